"""Settings are asked for in generations, and their order does not depend on who is quick."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from ray.tune.search import Searcher

from runner.experiment.sweep import Setting, Sweep
from runner.sweep.searchers import Generations, Listed, SettingSource, asked_by
from runner.sweep.settings import id_of

BETTER = {"natural": "max", "leakage": "min"}


def sweep_of(axes: dict[str, Any], **search: Any) -> Sweep:
    return Sweep.model_validate({"arm": "x", "axes": axes, "search": search})


class Heard(Listed):
    """A list that remembers what it was told."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        super().__init__(settings)
        self.told: list[tuple[str, bool]] = []

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        assert (result is None) == error
        self.told.append((trial_id, error))


def play(
    asked: SettingSource, total: int, at_once: int, turn: Sequence[int]
) -> list[list[Setting]]:
    """Search as Tune does, trials of a generation ending in this order; its generations."""
    opened: list[list[Setting]] = []
    search = Generations(asked, total, at_once, lambda some: opened.append([*some]), lambda _: None)
    for number in itertools.count():
        started: dict[str, Setting] = {}
        while isinstance(given := search.suggest(f"t{number}_{len(started)}"), dict):
            started[f"t{number}_{len(started)}"] = given["setting"]
        if given == Searcher.FINISHED:
            return opened
        assert [*started.values()] == opened[-1]
        for place in sorted(range(len(started)), key=lambda i: turn[i]):
            name = [*started][place]
            weight = started[name]["w"]
            search.on_trial_complete(name, {"natural": weight, "leakage": weight**2})
    raise AssertionError


def test_a_list_is_given_out_in_generations():
    settings = [{"w": n} for n in range(5)]
    found = play(Listed(settings), 5, 2, [0, 1])
    assert found == [settings[:2], settings[2:4], settings[4:]]


def test_a_trial_that_ends_before_the_next_one_was_asked_for_changes_nothing():
    """Tune starts trials one by one; a quick one may be over when the second one is due."""
    heard = Heard([{"w": n} for n in range(4)])
    search = Generations(heard, 4, 2, lambda some: None, lambda each: None)
    for generation in range(2):
        for each in range(2):
            assert search.suggest(f"{generation}{each}") == {
                "setting": {"w": 2 * generation + each}
            }
            search.on_trial_complete(f"{generation}{each}", {"natural": 1})
        assert len(heard.told) == 2 * generation
    assert search.suggest("end") == Searcher.FINISHED


def test_optuna_asks_for_the_same_whatever_the_order_in_which_trials_end():
    axes = {"w": {"low": 0.01, "high": 1, "scale": "log"}, "kind": ["x", {"name": "y"}]}
    sweep = sweep_of(axes, name="optuna", num_trials=24, at_once=3, seed=5)
    found = [
        play(asked_by(sweep, BETTER), 24, 3, turn) for turn in itertools.permutations(range(3))
    ]
    assert all(each == found[0] for each in found)
    weights = [setting["w"] for generation in found[0] for setting in generation]
    assert len(set(weights)) == 24
    assert all(0.01 <= weight <= 1 for weight in weights)
    other = sweep_of(axes, name="optuna", num_trials=24, at_once=3, seed=6)
    assert play(asked_by(other, BETTER), 24, 3, range(3)) != found[0]


def test_optuna_learns_from_what_it_is_told():
    """Accuracy and leakage both want a small weight: the last settings have smaller ones."""
    sweep = sweep_of({"w": {"low": 0, "high": 1}}, name="optuna", num_trials=60, at_once=2)
    asked, weights = asked_by(sweep, BETTER), []
    for n in range(60):
        weight = asked.suggest(f"{n}")["w"]
        asked.on_trial_complete(f"{n}", {"natural": -weight, "leakage": weight})
        weights.append(weight)
    assert sum(weights[40:]) / 20 < 0.6 * sum(weights[:10]) / 10


def test_the_same_setting_is_measured_once_and_told_of_each_time():
    heard = Heard([{"w": n} for n in (1, 1, 2, 1, 1, 1, 3)])
    found = play(heard, 7, 2, [0, 1])
    assert found == [[{"w": 1}], [{"w": 2}], [{"w": 3}]]
    assert heard.told[:6] == [(f"{n:05d}", False) for n in range(6)]


def test_a_trial_that_shows_no_figures_is_told_of_as_failed():
    lost: list[str] = []
    heard = Heard([{"w": 1}, {"w": 2}, {"w": 3}])
    search = Generations(heard, 3, 3, lambda some: None, lost.append)
    for name in "abc":
        search.suggest(name)
    search.on_trial_complete("a", {"done": True})
    search.on_trial_complete("b", None, error=True)
    search.on_trial_complete("c", {"natural": 1, "leakage": 1})
    assert search.suggest("d") == Searcher.FINISHED
    assert heard.told == [("00000", True), ("00001", True), ("00002", False)]
    assert lost == [id_of({"w": 2})]
