"""Several attacks on one target: the mean of their ranks, and whom they find both."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from runner.audit import judge as stage
from runner.audit._several import mean_ranks, overlap
from runner.audit.judge import Judging, judge
from runner.audit.judged import read_judged, read_overlap
from runner.statistics.metrics import auc, threshold_at_fpr
from tests.made.judged import ASKED, MEMBERS, NULL, OTHER, REAL, M, N, judging, ties


def test_a_mean_rank_is_of_those_judged_and_ties_share_theirs():
    each, rows = [ties(0), -ties(1)], MEMBERS["member"]
    found = mean_ranks(each, rows)
    assert found.dtype == np.float32
    for m in range(M):
        judged = rows[m] >= 0
        ranks = [rankdata(scores[m, judged]) for scores in each]
        np.testing.assert_allclose(found[m, judged], np.mean(ranks, 0) / judged.sum(), rtol=1e-6)
        assert not found[m, ~judged].any()


def test_infinite_scores_have_ranks_and_the_others_do_not_see_what_is_not_judged():
    scores = np.array([[np.inf, -np.inf, np.nan, 0.0]], np.float32)
    rows = np.array([[1, 0, -1, 0]], np.int8)
    np.testing.assert_allclose(mean_ranks([scores], rows), [[1, 1 / 3, 0, 2 / 3]])


def test_members_that_two_attacks_find_are_counted_at_the_own_threshold_of_each():
    rates = (1.0, 0.2, 0.01, 0.0)
    scores, row = np.stack([ties(0)[0], ties(1)[0], ties(2)[0]]), MEMBERS["member"][0]
    found = overlap(scores, row, rates)
    for f, rate in enumerate(rates):
        least = [threshold_at_fpr(of[row == 0], rate) if rate < 1 else -np.inf for of in scores]
        called = [of > at for of, at in zip(scores, least, strict=True)]
        for i, j in itertools.product(range(3), repeat=2):
            assert found["both"][f, i, j] == (called[i] & called[j] & (row == 1)).sum()
        anybody = called[0] | called[1] | called[2]
        assert found["any_true"][f] == (anybody & (row == 1)).sum()
        assert found["any_false"][f] == (anybody & (row == 0)).sum()


def test_infinite_scores_are_found_where_no_other_has_as_much_and_who_is_not_judged_never_is():
    """Three members and four others of two attacks; the last two examples are not judged."""
    row = np.array([1, 1, 1, 0, 0, 0, 0, -1, -1], np.int8)
    top = np.array([np.inf, 2, -np.inf, 1, 0, -1, -np.inf, np.nan, np.inf], np.float32)
    tied = np.array([np.inf, 2, 2, np.inf, 0, -1, -2, 5, np.nan], np.float32)
    found = overlap([top, tied], row, (0.0, 0.25, 1.0))
    assert found["both"].tolist() == [[[2, 0], [0, 0]], [[2, 2], [2, 3]], [[3, 3], [3, 3]]]
    assert found["any_true"].tolist() == [2, 3, 3]
    assert found["any_false"].tolist() == [0, 1, 4]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Judging:
    """Two attacks, and the mean of their ranks."""
    made = judging(tmp_path_factory.mktemp("two"), others={OTHER: ties(3)})
    combined = ASKED._replace(attacks=("lira", "rmia"), thresholds=())
    asked = {**made.asked, REAL._replace(attack="mean_rank"): combined}
    asked[NULL._replace(attack="mean_rank")] = combined._replace(num_resamples=0)
    return made._replace(asked=asked)


def test_the_combination_is_judged_as_any_attack_and_under_the_null_matrix_too(two: Judging):
    folder = judge(two, in_ray=False)
    for matrix, member in MEMBERS.items():
        found = read_judged(folder, REAL._replace(attack="mean_rank", matrix=matrix))
        expected = mean_ranks([ties(2), ties(3)], member)
        for m, row in enumerate(member):
            assert found.auc[m] == auc(expected[m][row >= 0], row[row >= 0] == 1)
    null = read_judged(folder, NULL._replace(attack="mean_rank"))
    assert null.resampled.shape == (M, 0, 1 + len(ASKED.rates))


def test_overlaps_are_written_where_several_attacks_read_the_same_answers(two: Judging):
    found = read_overlap(judge(two, in_ray=False), REAL)
    assert found.attacks.tolist() == ["lira", "rmia"]
    assert found.both.shape == (M, len(ASKED.rates), 2, 2)
    alone = read_judged(judge(two, in_ray=False), REAL)
    for m in range(M):
        expected = overlap(np.stack([ties(2)[m], ties(3)[m]]), MEMBERS["member"][m], ASKED.rates)
        np.testing.assert_array_equal(found.both[m], expected["both"])
        at = alone.tpr[m] * alone.num_in[m]
        np.testing.assert_allclose(found.both[m, :, 0, 0], at)
    assert N  # the scores of all of them were read


def test_the_same_is_counted_where_the_readings_of_a_source_are_not_counted_together(
    two: Judging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    together = judge(two, in_ray=False)
    monkeypatch.setattr(stage, "SCORES_AT_ONCE", 3 * N)
    monkeypatch.setattr(stage, "COUNTS_AT_ONCE", 1)
    apart = judge(two._replace(home=tmp_path), in_ray=False)
    for read, of in (*((read_judged, reading) for reading in two.asked), (read_overlap, REAL)):
        for one, other in zip(read(together, of), read(apart, of), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_the_cluster_finds_the_same_bits_of_several_attacks(two: Judging, tmp_path_factory):
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    here = judge(two, in_ray=False)
    there = judge(two._replace(home=tmp_path_factory.mktemp("ray")), in_ray=True)
    reading = REAL._replace(attack="mean_rank")
    for read, of in ((read_judged, reading), (read_overlap, REAL)):
        for one, other in zip(read(here, of), read(there, of), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
