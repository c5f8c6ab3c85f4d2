"""Bins of memorization scores, and how many models the scores take."""

import numpy as np
import pytest

from runner.results._memorization_scores import bin_edges, bins_of, num_scoring, rates_by_bin


def test_bins_are_open_below_and_closed_above_and_0_is_apart():
    edges = bin_edges(10)
    score = np.array([-1, -0.2, 0, 1e-6, 0.1, 0.100001, 0.9 - 0.2, 0.3, 1, np.nan])
    assert bins_of(score, edges).tolist() == [0, 0, 0, 1, 1, 2, 7, 3, 10, -1]
    for num_bins in range(1, 60):  # every edge ends its own bin, whatever its last digit is
        edges = bin_edges(num_bins)
        assert bins_of(edges, edges).tolist() == list(range(num_bins + 1))
        assert bins_of(np.linspace(0, 1, num_bins + 1), edges).tolist() == [*range(num_bins + 1)]


def test_bins_are_no_narrower_than_the_error_of_a_score():
    for error, used in (
        (None, 20),
        (0.01, 20),
        (0.05, 20),
        (0.0501, 19),
        (0.3, 3),
        (0.7, 1),
        (2, 1),
    ):
        edges = bin_edges(20, error)
        assert len(edges) - 1 == used
        assert used == 1 or error is None or np.diff(edges).min() >= error - 1e-9


def test_rates_by_bin_weigh_up_to_the_rate_over_all():
    random = np.random.default_rng(9)
    hit, bins = random.random(500) < 0.3, random.integers(0, 6, 500)
    overall, *rates = rates_by_bin(hit, bins, 5)
    counts = np.bincount(bins, minlength=6)
    assert overall == hit.mean() == pytest.approx((counts * rates).sum() / 500)


@pytest.mark.parametrize(("num_models", "first"), [(4, 2), (6, 2), (8, 4), (10, 4), (16, 8)])
def test_whole_pairs_give_the_scores_and_at_least_as_many_are_targets(num_models: int, first: int):
    assert num_scoring(num_models) == first <= num_models - first
