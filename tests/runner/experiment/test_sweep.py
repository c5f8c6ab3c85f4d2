"""Axes of a sweep, and what no sweep can be."""

from typing import Any

import pytest

from runner.experiment.config import ConfigError
from runner.experiment.sweep import Axis, Sweep, grid, num_asked, times
from tests.made.sweeps import sweep_of, swept


def test_a_grid_is_every_combination_the_last_axis_fastest():
    sweep = sweep_of({"a": [1, 2], "b": {"low": 0.01, "high": 1, "scale": "log", "num": 3}})
    found = [tuple(s.values()) for s in grid(sweep)]
    assert found == [(1, 0.01), (1, 0.1), (1, 1.0), (2, 0.01), (2, 0.1), (2, 1.0)]
    assert num_asked(sweep) == 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"arm": "pgd_add"}, "sweep.arm: unknown arm 'pgd_add'; did you mean 'pgd_at'?"),
        ({"base": "none"}, "sweep.base: unknown arm 'none'"),
        ({"constraint": {"robust_within": 0.1}}, "it measures from a base"),
        ({"axes": {"seed": [0, 1]}}, "seed has to be the same for all settings"),
        ({"axes": {"design.num_models": [6, 8]}}, "design.num_models has to be the same"),
        ({"axes": {"arms.pgd_at": [{}]}}, "an axis goes to a key of an arm"),
        ({"axes": {"arms.pgd.defense.x": [1]}}, "did you mean 'pgd_at'?"),
        (
            {"axes": {"training.lr": {"values": [0.1], "also": ["data.num_examples"]}}},
            "sweep.axes.training.lr: data.num_examples has to be the same",
        ),
        ({"objectives": {"robustness": "pgd"}}, "unknown evasion attack of this experiment 'pgd'"),
        ({"objectives": {"membership": "lira_onlin"}}, "did you mean 'lira_online'?"),
        ({"objectives": {"false_positive_rate": 0.01}}, "0.01 is not among"),
        ({"rungs": [8, 6]}, "expected growing numbers of models"),
    ],
)
def test_what_no_sweep_can_be_is_refused_with_its_place(change: dict[str, Any], told: str):
    with pytest.raises(ConfigError) as raised:
        swept(**change)
    assert told in str(raised.value)


def test_keys_that_move_along_take_exact_multiples_of_the_value():
    axis = Axis.model_validate({"values": ["8/255", 0.15], "also": {"x.step": "5/12", "y": 1}})
    assert times("8/255", axis.also["x.step"]) == 10 / 765
    assert times(0.15, "1/3") == 0.05
    with pytest.raises(ValueError, match="takes multiples of numbers"):
        Axis.model_validate({"values": [{"name": "trades"}], "also": {"x": 0.5}})
    with pytest.raises(ValueError, match="takes multiples of numbers"):
        Axis.model_validate({"low": 1, "high": 2, "also": {"x": "half"}})


def test_settings_that_are_attacked_differently_are_not_compared():
    def axes(**also: Any) -> Sweep:
        return Sweep.model_validate({"arm": "x", "axes": {"arms.x.defense.attack.eps": also}})

    assert axes(values=[0.1], also=["arms.y.defense.attack.eps"]).alike
    assert not axes(values=[0.1], also={"robustness.attacks.pgd20.eps": 1}).alike


def test_values_that_are_nearly_one_number_or_of_another_type_are_two_settings():
    for values in ([0.1, 0.1000001], [1, True], [0, False], [2**60, 2**60 + 1], ["1", 1]):
        assert Axis.model_validate(values).listed == tuple(values)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"values": [1], "low": 2}, "either a list of values"),
        ({"low": 0.2, "high": 3, "integer": True, "num": 3}, "whole numbers have whole ends"),
        ({"values": [1], "also": [["a"]]}, "expected dotted keys"),
        ({"values": [1], "also": "hello"}, "expected dotted keys"),
        ({"values": [0.1, 0.2, 0.1]}, "0.1 stands twice among the values"),
        ({"values": [1, 2.5, 1.0]}, "1 stands twice among the values"),
        ({"low": 0.1, "high": 0.10000001, "num": 3}, "are the same to six digits"),
    ],
)
def test_an_axis_that_says_two_things_is_refused(axis: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Axis.model_validate(axis)


def test_ends_may_be_fractions():
    axis = Axis.model_validate({"low": "1/255", "high": "8/255", "num": 2})
    assert axis.listed == pytest.approx((1 / 255, 8 / 255), rel=1e-5)
