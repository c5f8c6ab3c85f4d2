"""What the steps of an experiment's Runs take, read from Runs that are finished."""

import errno
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.storage.cloud import Away
from runner.storage.store import Corrupt

UNNAMED = "a device that was not written down"
TRAIN, ANSWERS = "training", "answers"


class Step(NamedTuple):
    """One thing to do with each Run of a recipe."""

    recipe: str
    what: str  # TRAIN, or the folder of its answers, or of an attack


class Seconds(NamedTuple):
    """How long one thing took in each of the Runs that were measured, in seconds."""

    median: float
    low: float  # the fastest one's
    high: float  # the slowest one's
    num_runs: int


class StepTimes(NamedTuple):
    """What is known of steps, and on which device they were measured."""

    of: dict[Step, Seconds]
    device: str  # "" where nothing is known
    others: list[str]  # devices whose times are left out

    def trained(self, run: Run) -> float | None:
        """Return the seconds that training a Run takes, or None where nobody knows."""
        found = self.of.get(Step(recipe_of(run), TRAIN))
        return found and found.median


def step_times_of(work: Work, short: Work | None, measured_on: str = "") -> StepTimes:
    """Return what the finished Runs of an experiment, and of its short version, took.

    All are of one device: that of most Runs among those whose names have `measured_on` in them.

    Args:
        short: the same arms trained for fewer epochs, the last of which stands for all: a process's
            first steps are slower.
    """
    found: dict[str, dict[Step, list[float]]] = defaultdict(lambda: defaultdict(list))
    trained: Counter[str] = Counter()
    for each in (work, short) if short else (work,):
        for step, device, seconds in _finished(each, work):
            found[device][step].append(seconds)
            trained[device] += step.what == TRAIN
    fitting = {device: n for device, n in trained.items() if measured_on in device}
    if not fitting:
        return StepTimes({}, "", sorted(trained))
    chosen = max(fitting, key=lambda device: (fitting[device], device))
    of = {
        step: Seconds(statistics.median(each), min(each), max(each), len(each))
        for step, each in found[chosen].items()
    }
    return StepTimes(of, chosen, sorted(set(trained) - {chosen}))


def _finished(each: Work, wanted: Work) -> Iterator[tuple[Step, str, float]]:
    """The steps that are done, each with its device and its seconds for the wanted experiment."""
    seen = set()
    for name, runs in each.plan.arms.items():
        recipe = recipe_of(wanted.plan.arms[name][0])
        epochs = wanted.experiment.arms[name].training.epochs
        for run in runs:
            facts = quietly(lambda r: store.facts(each.store.run(r.id)), run)
            if run.id in seen or not facts:
                continue
            seen.add(run.id)
            yield Step(recipe, TRAIN), facts.get("device", UNNAMED), _seconds(facts, run, epochs)
            for folder in each.asked(run):
                asked = quietly(lambda _, at=folder: store.facts(at), run)
                if asked and "time_s" in asked:
                    yield Step(recipe, folder.name), asked["device"], asked["time_s"]


def _seconds(facts: dict[str, Any], run: Run, epochs: int) -> float:
    """What training for so many epochs takes, by a Run that may have been trained for others."""
    if run.training.epochs == epochs:
        return facts["train_time_s"] + facts.get("other_time_s", 0.0)
    # The best epoch is looked for after each, and so are losses; all else is done once.
    each = run.selection or run.training.loss_trace
    other = facts["other_time_s"] * (epochs / run.training.epochs if each else 1)
    return facts["epoch_time_s"] * epochs + other


def steps_left(work: Work, run: Run) -> list[Step]:
    """Return what is still to do with a Run."""
    recipe = recipe_of(run)
    trained = quietly(work.is_trained, run)
    left = [] if trained else [Step(recipe, TRAIN)]
    for folder in work.asked(run):
        if not trained or quietly(lambda _, at=folder: store.facts(at), run) is None:
            left.append(Step(recipe, folder.name))
    return left


def recipe_of(run: Run) -> str:
    """Return what the Runs of one arm share."""
    recipe = run.recipe()
    return repr([recipe[key] for key in ("data", "augment", "model", "defense", "training")])


def arms_by_recipe(work: Work) -> dict[str, str]:
    """Return the arm of each recipe; of several that share their Runs, the first."""
    found: dict[str, str] = {}
    for name, runs in work.plan.arms.items():
        found.setdefault(recipe_of(runs[0]), name)
    return found


def quietly(question: Callable[[Run], Any], run: Run) -> Any:
    """Return the answer, and None where something is corrupt: `run` sets it aside and says so.

    Or where the folder of the storage is still to be made, which only `run` does.
    """
    try:
        return question(run)
    except Corrupt:
        return None
    except Away as away:
        if away.errno != errno.ENOENT:  # a cloud that does not answer
            raise
        return None
