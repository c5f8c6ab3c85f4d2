"""Over which models figures are averaged, and with which interval, as an experiment asks for it."""

import numpy as np
import pytest

from runner.experiment.experiment import Experiment
from runner.experiment.judging import Membership
from runner.statistics.averages import Averaging
from runner.statistics.intervals import bootstrap_interval, mean_interval, normal_interval
from tests.conftest import TINY

PARTNER = np.arange(12) ^ 1
VALUES = np.random.default_rng(0).uniform(size=12)
REPLICATES = VALUES[:, None] + np.random.default_rng(1).normal(0, 0.1, (12, 30))


def asked(**averages: object) -> Averaging:
    changed = {"design": {"name": "pairs", "num_models": 12}, "averages": averages}
    experiment = Experiment.model_validate({**TINY, **changed})
    return experiment.averages.over(PARTNER, experiment.seed)


def test_all_models_are_averaged_pair_by_pair_unless_something_else_is_asked_for():
    assert asked().mean(VALUES) == mean_interval(VALUES, PARTNER)


def test_ten_models_are_drawn_by_the_seed_and_stay_the_same():
    chosen = asked(num_models=10, interval="normal")
    assert np.array_equal(chosen.models, asked(num_models=10).models)
    assert len(np.unique(chosen.models)) == 10
    some = VALUES[chosen.models]
    found = chosen.mean(VALUES)
    assert found.mean == pytest.approx(some.mean())
    assert found.high - found.mean == pytest.approx(1.96 * some.std(ddof=1) / np.sqrt(10))
    assert found.num_models == 10
    with pytest.raises(ValueError, match="there are only 12 models"):
        asked(num_models=13)


def test_models_without_a_value_are_left_out_where_that_is_allowed():
    holes = VALUES.copy()
    holes[[0, 3]] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        asked().mean(holes)
    found = asked(interval="normal").mean_where_defined(holes)
    assert found == normal_interval(np.delete(VALUES, [0, 3]))
    assert asked().mean_where_defined(np.full(12, np.nan)) is None


def test_leakage_is_resampled_by_examples_unless_another_interval_is_asked_for():
    expected = bootstrap_interval(VALUES, REPLICATES, PARTNER)
    assert asked().leakage(VALUES, REPLICATES) == expected
    assert expected != asked().mean(VALUES)
    for interval in ("t", "normal"):
        other = asked(interval=interval)
        assert other.leakage(VALUES, REPLICATES) == other.mean(VALUES)


@pytest.mark.parametrize(
    ("key", "numbers", "told"),
    [
        ("false_positive_rates", [0.1, 0.10000001], "0.1 and 0.10000001 are the same to six"),
        ("false_positive_rates", [0.3, 0.1, 0.1 + 0.2], "0.3 and 0.30000000000000004 are the same"),
        ("false_positive_rates", [0.01, 0.01], "0.01 and 0.01 are the same"),
        ("thresholds", [0.5, 0.5000001], "0.5 and 0.5000001 are the same"),
    ],
)
def test_numbers_that_name_figures_are_apart_by_six_digits(key: str, numbers: list, told: str):
    with pytest.raises(ValueError, match=told):
        Experiment.model_validate({**TINY, "membership": {key: numbers}})
    Membership.model_validate({key: [0.1, 0.100001]})
