import numpy as np
import pytest

from runner.statistics.averages import Averaging
from runner.statistics.intervals import bootstrap_interval

PARTNER = np.arange(12) ^ 1
VALUES = np.random.default_rng(0).uniform(size=12)


def test_a_pair_of_which_one_model_is_drawn_is_a_unit_of_that_one():
    chosen = Averaging(np.array([0, 1, 4]), PARTNER)
    units = np.array([VALUES[:2].mean(), VALUES[4]])
    assert chosen.mean(VALUES).mean == pytest.approx(units.mean())


REPLICATES = VALUES[:, None] + np.random.default_rng(1).normal(0, 0.1, (12, 30))


def test_leakage_is_averaged_over_the_chosen_models_and_the_pairs_among_them():
    chosen = Averaging(np.array([0, 1, 4]), PARTNER)
    some = bootstrap_interval(VALUES[[0, 1, 4]], REPLICATES[[0, 1, 4]], np.array([1, 0, -1]))
    assert chosen.leakage(VALUES, REPLICATES) == some
