import numpy as np
import pytest

from runner.averages import Averaging, averaging
from runner.experiment import Experiment
from runner.metrics import mean_interval, normal_interval
from tests.conftest import TINY

PARTNER = np.arange(12) ^ 1
VALUES = np.random.default_rng(0).uniform(size=12)


def asked(**averages: object) -> Averaging:
    changed = {"design": {"name": "pairs", "num_models": 12}, "averages": averages}
    return averaging(Experiment.model_validate({**TINY, **changed}), PARTNER)


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


def test_a_pair_of_which_one_model_is_drawn_is_a_unit_of_that_one():
    chosen = Averaging(np.array([0, 1, 4]), PARTNER, normal=False)
    units = np.array([VALUES[:2].mean(), VALUES[4]])
    assert chosen.mean(VALUES).mean == pytest.approx(units.mean())


def test_models_without_a_value_are_left_out_where_that_is_allowed():
    holes = VALUES.copy()
    holes[[0, 3]] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        asked().mean(holes)
    found = asked(interval="normal").mean_where_defined(holes)
    assert found == normal_interval(np.delete(VALUES, [0, 3]))
    assert asked().mean_where_defined(np.full(12, np.nan)) is None


def test_the_normal_interval_holds_the_mean_of_normal_values_95_times_in_100():
    values = np.random.default_rng(1).normal(0.5, 0.05, (4000, 200))
    found = [normal_interval(row) for row in values]
    held = np.mean([one.low <= 0.5 <= one.high for one in found])
    assert held == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors of 4,000 tries
    assert normal_interval(np.array([0.3])) == (0.3, 0.0, 1.0, 1)
