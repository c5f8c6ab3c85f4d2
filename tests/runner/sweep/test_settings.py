"""From axes to settings, and from a setting to an experiment that is valid or refused."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.experiment.config import ConfigError, parse, validate
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Axis, grid
from runner.forecast.rehearsal.rehearse import rehearse_early
from runner.sweep import settings
from tests.conftest import TINY
from tests.made.sweeps import SWEPT, sweep_of, swept


def test_random_settings_depend_on_the_seed_alone_and_fill_their_ranges_evenly():
    axes = {
        "log": {"low": 0.01, "high": 1, "scale": "log"},
        "whole": {"low": 1, "high": 4, "integer": True},
        "list": ["x", {"name": "y"}],
    }
    sweep = sweep_of(axes, name="random", num_trials=2000)
    found = settings.drawn(sweep)
    assert found == settings.drawn(sweep)
    assert found != settings.drawn(sweep_of(axes, name="random", num_trials=2000, seed=1))
    log = np.log10([s["log"] for s in found])
    assert log.min() >= -2
    assert log.max() <= 0
    assert log.mean() == pytest.approx(-1, abs=0.05)
    assert np.bincount([s["whole"] for s in found], minlength=5)[1:] == pytest.approx(500, abs=75)
    assert sum(s["list"] == "x" for s in found) == pytest.approx(1000, abs=100)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_whole_numbers_stay_between_the_ends(scale: Any):
    axis = Axis(low=1, high=3, integer=True, scale=scale)
    found = {settings.value_at(axis, part) for part in np.linspace(0, 0.999999, 50)}
    assert found == {1, 2, 3}


def test_a_setting_has_one_id_and_a_label_that_tells_it_from_others():
    bases = [{"name": "trades", "beta": 1}, {"name": "trades", "beta": 6}, {"name": "erm"}]
    sweep = sweep_of({"arms.a.base": bases, "arms.a.weight": [0.1]})
    labels = [settings.labels_of(sweep, s)["arms.a.base"] for s in grid(sweep)]
    assert labels == ["trades(beta 1)", "trades(beta 6)", "erm"]
    first = grid(sweep)[0]
    assert settings.in_words(sweep, first) == "base trades(beta 1), weight 0.1"
    assert settings.id_of(first) == settings.id_of(dict(first))
    assert len({settings.id_of(s) for s in grid(sweep)}) == 3
    sweep = sweep_of({"arms.a.weight": [0.1, 0.10000001, 1 / 3]})
    labels = [settings.labels_of(sweep, s)["arms.a.weight"] for s in grid(sweep)]
    assert labels == ["0.1", "0.10000001", "0.333333"]


def test_a_setting_is_the_experiment_with_its_values_and_only_the_arms_it_needs():
    data, experiment = swept()
    before = copy.deepcopy(data)
    setting = {"arms.pgd_at.defense.attack.eps": 0.2, "training.epochs": 4}
    made = validate(settings.with_setting(data, experiment, setting, 8), Experiment, "x")
    assert data == before
    assert made.sweep is None
    assert made.memorization is None
    assert made.design.num_models == 8
    assert list(made.arms) == ["pgd_at"]
    assert made.arms["pgd_at"].training.epochs == 4
    assert made.arms["pgd_at"].defense.attack.eps == 0.2  # pyright: ignore[reportAttributeAccessIssue]
    assert made.robustness.attacks["pgd2"].eps == 0.2  # pyright: ignore[reportAttributeAccessIssue]
    with_base = settings.with_setting(*swept(base="erm"), setting, 8)
    assert list(with_base["arms"]) == ["erm", "pgd_at"]


def test_arms_whose_models_an_attack_takes_as_shadows_are_kept():
    data = copy.deepcopy(SWEPT)
    shadows = {"name": "shadow_mlp", "shadow_arm": "erm"}
    data["membership"]["attacks"] = {"own": {"name": "lira"}, "other": shadows}
    experiment = validate(data, Experiment, "x")
    assert settings.compared_arms(experiment) == ["erm", "pgd_at"]


def test_an_inner_key_is_put_into_the_mapping_that_another_axis_gives():
    data: dict[str, Any] = {"arms": {"a": {"defense": "demem"}}}
    settings.put(data, "arms.a.defense.base", {"name": "trades"})
    settings.put(data, "arms.a.defense.base.beta", 3)
    base = {"name": "trades", "beta": 3}
    assert data == {"arms": {"a": {"defense": {"name": "demem", "base": base}}}}
    settings.put(data, "arms.a.defense.base.beta", None)
    assert data["arms"]["a"]["defense"]["base"] == {"name": "trades"}
    with pytest.raises(ValueError, match=r"arms\.b\.x is 3, which has no keys"):
        settings.put({"arms": {"b": {"x": 3}}}, "arms.b.x.y", 1)


def faults(axes: dict[str, Any], **rest: Any) -> str:
    data, experiment = swept(axes, **rest)
    with pytest.raises(ConfigError) as raised:
        settings.check(data, experiment, "swept.yaml")
    return str(raised.value)


def test_a_valid_sweep_is_not_refused():
    settings.check(*swept(), "swept.yaml")


def test_of_what_was_rehearsed_before_a_sweep_rehearses_the_sorts_of_arms_that_are_new():
    axes = {
        "arms.pgd_at.defense.attack.eps": [0.1, 0.2],
        "arms.pgd_at.defense.name": ["pgd_at", "trades"],
    }
    data, experiment = swept(axes)
    dataset, seen = experiment.data.load(), set[str]()
    rehearse_early(experiment, dataset, "x", seen=seen)
    before = {*seen}
    settings.check(data, experiment, "x", dataset, seen)
    new = seen - before
    assert any("'name': 'trades'" in each for each in new)
    assert not any("'name': 'pgd_at'" in each for each in new)
    alone = set[str]()
    settings.check(data, experiment, "x", dataset, alone)
    assert alone <= seen, "what is found is the same"


def test_a_value_that_makes_no_experiment_is_refused_with_its_setting():
    told = faults({"arms.pgd_at.defense.attack.eps": [0.1, -1]})
    assert "arms.pgd_at.defense.attack.eps" in told
    assert "(with eps -1)" in told
    assert told.count("with eps") == 1


def test_a_key_that_does_not_exist_is_refused_with_the_nearest_one():
    told = faults({"training.epoch": [1, 2]})
    assert "unknown key 'epoch'; did you mean 'epochs'?" in told


def test_both_ends_of_a_range_are_tried():
    axis = {"low": -0.1, "high": 0.5}
    told = faults(
        {"arms.pgd_at.defense.attack.eps": axis}, search=parse("{name: random, num_trials: 2}")
    )
    assert "(with eps -0.1)" in told
    assert "eps 0.5" not in told


def test_of_too_many_combinations_each_value_is_tried_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(settings, "MOST_TRIED", 5)
    assert len([*settings.to_try(swept()[1].sweep)]) == 4  # pyright: ignore[reportArgumentType]
    told = faults({"training.epochs": [1, 2, 0], "training.lr": [0.1, 0.2]})
    assert "with epochs 0, lr 0.1" in told


def test_the_yaml_of_a_sweep_survives_being_written_and_read(tmp_path: Path):
    import yaml

    data, experiment = swept()
    setting = {"arms.pgd_at.defense.attack.eps": 0.05, "training.epochs": 1}
    made = settings.with_setting(data, experiment, setting, 6)
    assert parse(yaml.safe_dump(made)) == made


def test_a_whole_base_is_put_in_before_what_another_axis_changes_in_it():
    arms = {name: {"defense": {"name": "trades"}} for name in ("trades", "other")}
    axes = {
        "arms.other.defense": {"values": [{"name": "trades"}], "also": ["arms.trades.defense"]},
        "arms.trades.defense.beta": [1, 6],
    }
    data = {**TINY, "arms": arms, "sweep": {"arm": "trades", "base": "other", "axes": axes}}
    data["membership"] = {"false_positive_rates": [0.001]}
    experiment = validate(data, Experiment, "x")
    assert experiment.sweep is not None
    betas = [
        settings.with_setting(data, experiment, setting, 6)["arms"]["trades"]["defense"]["beta"]
        for setting in grid(experiment.sweep)
    ]
    assert betas == [1, 6]
