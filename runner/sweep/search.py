"""The search itself: Ray Tune runs trials, a generation at a time, and the board compares them."""

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import Callback
from ray.tune.progress_reporter import TrialProgressCallback

from runner.driver.driver import Driver
from runner.experiment.sweep import Setting, num_asked
from runner.faults import Unfinished
from runner.sweep.coming import Coming
from runner.sweep.rungs import Ended
from runner.sweep.searchers import Generations, asked_by
from runner.sweep.settings import id_of, in_words
from runner.sweep.trial import Sweeping, trial

BETTER = {"natural": "max", "robust": "max", "leakage": "min"}
LITTLE_MEMORY = 1_000_000  # bytes; a trial waits for the lanes and shall take no CPU from them
MAX_DEATHS = 2  # of a trial's process, which goes on from what is done


class SearchOutcome(NamedTuple):
    """How every setting came out."""

    settings: Mapping[str, Setting]  # by id, as are the others
    records: Mapping[str, Mapping[int, Any]]  # by rung, what the board took in
    ended: Mapping[str, Ended]


def search(sweeping: Sweeping, driving: Driver, coming: Coming) -> SearchOutcome:
    """Try every setting that is asked for; Ray is connected and the lanes are there.

    Tune keeps its files in a temporary folder of the driver, and none of them is read again: trials
    skip what is done, and the same settings are asked for.

    Raises:
        Unfinished: Ray lost what the search is kept in.
    """
    sweep, board = sweeping.experiment.sweep, sweeping.board
    assert sweep is not None
    settings: dict[str, Setting] = {}

    def opens(generation: Sequence[Setting]) -> None:
        settings.update({id_of(each): each for each in generation})
        ray.get(board.open.remote({id_of(each): in_words(sweep, each) for each in generation}))

    def lost(setting: str) -> None:
        ray.get(board.fail.remote(setting, "its process died again and again"))

    there = {k: v for k, v in BETTER.items() if k != "robust" or sweeping.objectives.robustness}
    asked, total = asked_by(sweep, there), num_asked(sweep)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a death is told by the news
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Ctrl-C leaves, as everywhere else
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # Tune says nothing; the news here say what happens
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(sweep.search.at_once)  # else one by one
    tunes_own = tempfile.TemporaryDirectory(prefix="tune-")
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trial, sweeping=sweeping), {"memory": LITTLE_MEMORY}
        ),
        tune_config=tune.TuneConfig(
            search_alg=Generations(asked, total, sweep.search.at_once, opens, lost),
            num_samples=total,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=tunes_own.name,
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
            callbacks=[News(sweeping, driving, coming), Mute()],
        ),
    )
    try:
        tuner.fit()
        tell_news(sweeping, driving, coming)
        return SearchOutcome(
            settings, ray.get(board.records.remote()), ray.get(board.ended.remote())
        )
    except RayError as error:
        raise Unfinished(
            f"the sweep's own actors died ({type(error).__name__}); what is finished is kept, "
            "and the same command goes on"
        ) from error
    finally:
        tunes_own.cleanup()


class Mute(TrialProgressCallback):
    """Stands where Tune puts its own, which prints of a trial that reported nothing, always."""

    def _print(self, msg: str) -> None:
        """Print nothing."""


class News(Callback):
    """Prints what happened on the board, while Tune waits."""

    def __init__(self, sweeping: Sweeping, driving: Driver, coming: Coming) -> None:
        self.sweeping, self.driving, self.coming = sweeping, driving, coming

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        tell_news(self.sweeping, self.driving, self.coming)

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        assert self.sweeping.experiment.sweep is not None
        told = in_words(self.sweeping.experiment.sweep, trial.config["setting"])
        self.driving.tell(f"note: {told}: its process died; it goes on from what is done")

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune would keep it, and a console cannot be."""
        return {}


def tell_news(sweeping: Sweeping, driving: Driver, coming: Coming) -> None:
    """Print what happened on the board since the last time."""
    board, sweep = sweeping.board, sweeping.experiment.sweep
    news, to_ask = ray.get([board.news.remote(), board.to_ask.remote()])
    coming.search(to_ask)
    for line in news:
        driving.tell(line)
    if news and sweep:
        driving.count_settings(num_asked(sweep), ray.get(board.settings.remote()))
