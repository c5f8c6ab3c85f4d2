from fractions import Fraction

import numpy as np
import pytest

from runner.statistics.metrics import Rule, auc, roc, tpr_at_fpr
from runner.statistics.resampling import half_samples, resampled_figures

COMPARED = np.greater, np.equal
RATES = (0.1, 0.01, 0.001, 0.5, 0.97)


def scored(seed: int, digits: int, num: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, members, and their places in a pool a third larger."""
    rng = np.random.default_rng(seed)
    member = rng.random(num) < 0.5
    return (
        (rng.normal(size=num) + member).round(digits),
        member,
        rng.permutation(4 * num // 3)[:num],
    )


def figures(seed: int, digits: int, rule: Rule, num_resamples: int = 50) -> np.ndarray:
    scores, member, places = scored(seed, digits)
    return resampled_figures(scores, member, places, RATES, rule, num_resamples, 3, 1200)


def slowly(seed: int, digits: int, rule: Rule) -> np.ndarray:
    """The figures of each half by itself, from its own ROC curve."""
    scores, member, places = scored(seed, digits)
    chosen = np.unpackbits(half_samples(1200, 50, 3), axis=1, count=50)[places] == 1
    found = []
    for some in chosen.T:
        curve = roc(scores[some], member[some])
        if rule == "interp":
            tprs = [tpr_at_fpr(*curve, rate, rule) for rate in RATES]
        else:
            num_out = int((~member[some]).sum())
            tprs = [mixed(*curve, num_out, reached(rate, rule, member)) for rate in RATES]
        found.append([auc(scores[some], member[some]), *tprs])
    return np.array(found)


def reached(rate: float, rule: Rule, member: np.ndarray) -> float:
    """The largest FPR of the whole sample that a rule permits."""
    fpr = np.arange((~member).sum() + 1) / (~member).sum()
    return fpr[fpr <= rate if rule == "step_le" else fpr < rate].max()


def mixed(fpr: np.ndarray, tpr: np.ndarray, num_out: int, rate: float) -> float:
    """The TPR at a rate between two whole numbers of false positives, by how near it is to each."""
    false, fewer = np.rint(fpr * num_out), int(rate * num_out + 1e-6)
    below, above = (tpr[false <= count].max() for count in (fewer, fewer + 1))
    return float(below + max(rate * num_out - fewer, 0) * (above - below))


@pytest.mark.parametrize("digits", [0, 1, 12])
@pytest.mark.parametrize("rule", ["step_le", "step_lt"])
def test_tprs_by_a_step_rule_are_of_each_halfs_own_curve_at_the_fpr_of_the_whole(
    rule: Rule, digits: int
):
    np.testing.assert_allclose(figures(0, digits, rule)[:, 1:], slowly(0, digits, rule)[:, 1:])


@pytest.mark.parametrize("digits", [0, 1, 12])
def test_the_auc_of_a_half_is_its_own_but_for_terms_of_one_over_n(digits: int):
    found, known = figures(1, digits, "step_le")[:, 0], slowly(1, digits, "step_le")[:, 0]
    assert np.abs(found - known).max() < 2.5 / 900
    assert found.std() == pytest.approx(known.std(), rel=0.03)


@pytest.mark.parametrize("digits", [0, 12])
def test_the_auc_of_a_half_adds_its_mean_placements_to_the_last_digits(digits: int):
    """Whole numbers are exact in whatever order; sums in float32 were 4e-9 of an interval off."""
    scores, member, places = scored(7, digits)
    chosen = np.unpackbits(half_samples(1200, 50, 3), axis=1, count=50)[places] == 1
    above, equal = (compare.outer(scores[member], scores[~member]) for compare in COMPARED)
    twice = 2 * above.astype(np.int64) + equal  # (I, O)
    whole, expected = Fraction(int(twice.sum()), twice.size), []
    for some in chosen.T:
        halves = twice[some[member]], twice[:, some[~member]]
        inside, outside = (Fraction(int(half.sum()), half.size) for half in halves)
        expected.append(float(inside + outside - whole) / 2)
    found = figures(7, digits, "step_le")[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_interpolated_tprs_scatter_as_those_of_each_halfs_own_hull():
    found, known = figures(2, 12, "interp")[:, 1:], slowly(2, 12, "interp")[:, 1:]
    ample = [0, 3]  # 10 % and 50 %, where many examples lie about the threshold
    assert np.abs(found - known)[:, ample].max() < 0.06
    ratio = found[:, ample].std(0) / known[:, ample].std(0)
    assert np.all((ratio > 0.7) & (ratio < 1.4))


def test_a_separation_of_members_and_others_is_one_in_every_half():
    member = np.arange(400) % 2 == 0
    places = np.arange(400)
    for rule in ("step_le", "interp"):
        found = resampled_figures(member + 0.0, member, places, (0.01,), rule, 20, 0, 400)
        assert np.array_equal(found, np.ones((20, 2)))


def test_an_example_has_its_weights_by_its_place_in_the_pool_alone():
    scores, member, places = scored(3, 12)
    shuffle = np.random.default_rng(0).permutation(len(scores))
    some = (0.1,), "step_le", 30, 5
    shuffled = scores[shuffle], member[shuffle], places[shuffle]
    expected = resampled_figures(scores, member, places, *some, 1200)
    np.testing.assert_allclose(resampled_figures(*shuffled, *some, 1200), expected, atol=1e-6)
    in_larger = resampled_figures(scores, member, places, *some, 5000)
    np.testing.assert_allclose(in_larger, expected, atol=1e-6)
    other_seed = resampled_figures(scores, member, places, (0.1,), "step_le", 30, 6, 1200)
    assert not np.allclose(other_seed, expected, atol=1e-3)


def test_half_of_the_examples_are_in_a_half_sample_and_halves_are_independent():
    chosen = np.unpackbits(half_samples(4000, 101, 0), axis=1, count=101) * 2.0 - 1
    assert chosen.shape == (4000, 101)
    correlation = chosen.T @ chosen / 4000 - np.eye(101)
    assert np.abs(chosen.mean(axis=0)).max() < 5 / np.sqrt(4000)
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    assert np.array_equal(half_samples(10, 101, 0), half_samples(4000, 101, 0)[:10])


def test_a_handful_of_examples_has_figures_in_every_resample():
    member = np.array([True, False, True])
    found = resampled_figures(np.arange(3.0), member, np.arange(3), (0.1,), "step_le", 64, 0, 3)
    assert np.isfinite(found).all()
    assert np.all((found >= 0) & (found <= 1))


def test_scores_without_a_curve_are_refused():
    scores, member = np.array([np.nan, 0]), np.array([True, False])
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        resampled_figures(scores, member, np.arange(2), (0.1,), "step_le", 8, 0, 2)


def test_copies_of_an_example_in_one_group_move_no_resampled_auc():
    scores, member, places = scored(0, 12)
    alone = resampled_figures(scores, member, places, (0.5,), "step_le", 50, 3, 1200)
    at = (3 * places[:, None] + np.arange(3)).ravel()
    copies = np.repeat(scores, 3), np.repeat(member, 3), at
    groups = np.repeat(np.arange(1200), 3)
    together = resampled_figures(*copies, (0.5,), "step_le", 50, 3, 3600, groups)
    assert together[:, 0] == pytest.approx(alone[:, 0], abs=1e-12)
    apart = resampled_figures(*copies, (0.5,), "step_le", 50, 3, 3600)
    assert together[:, 0].std() > 1.4 * apart[:, 0].std()  # as if they were three times as many
