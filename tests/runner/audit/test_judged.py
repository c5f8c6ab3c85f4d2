"""Targets judged by their scores in small tasks, against slow counts over all scores at once."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from attacks.membership.lira import Lira
from runner.audit import judge as stage
from runner.audit._of_target import Asked, above, edges, figures
from runner.audit._pooled import Counts, pooled, shadow_thresholds, union
from runner.audit.judge import Judging, judge
from runner.audit.judged import Judged, read_judged
from runner.plan.work import Work
from runner.results.membership import membership_figures, predictive_value
from runner.statistics import metrics
from runner.statistics.averages import Averaging
from runner.statistics.intervals import Interval, clopper_pearson
from runner.statistics.resampling import resampled_figures
from runner.storage import store
from runner.storage.scores import PARTITIONS, Reading, scores_table
from runner.storage.store import Corrupt

M, N = 8, 401
RATES = (0.5, 0.1, 0.03, 1e-5)
PARTNER = np.arange(M) ^ 1
ASKED = Asked(RATES, "step_le", (0.5, 0.9), 24, 7)
REAL, NULL = (Reading("erm", 1, "lira", matrix) for matrix in ("member", "null"))
BLOCKS = (slice(0, 150), slice(150, N))


def members(seed: int) -> np.ndarray:
    """(M, N) int8 of complementary halves, a few not judged."""
    half = np.random.default_rng(seed).integers(0, 2, (M // 2, N))
    member = np.stack([half, 1 - half], axis=1).reshape(M, N).astype(np.int8)
    member[:, ::40] = -1
    return member


MEMBERS = {"member": members(0), "null": members(1)}


def ties(seed: int) -> np.ndarray:
    """Scores (M, N) with ties, which members exceed others by."""
    drawn = np.random.default_rng(seed).normal(size=(M, N)) + (MEMBERS["member"] == 1)
    return np.round(drawn, 1).astype(np.float32)


SCORES = ties(2)


def judging(folder: Path) -> Judging:
    """Scores as the audit writes them, in two blocks."""
    scores = folder / "scores" / "s"
    for reading in (REAL, NULL):
        for b, part in enumerate(BLOCKS):
            numbers = np.arange(N, dtype=np.int32)[part]
            pq.write_to_dataset(
                scores_table(reading, numbers, SCORES[:, part]),
                scores / "blocks",
                partition_cols=PARTITIONS,
                basename_template=f"{b}-{{i}}.parquet",
            )
    asked = {REAL: ASKED, NULL: ASKED._replace(num_resamples=0)}
    return Judging(scores, asked, MEMBERS, PARTNER)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Judging:
    return judging(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def found(made: Judging) -> Judged:
    return read_judged(judge(made, in_ray=False), REAL)


def counts_above(scores: np.ndarray, member: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Members and non-members of each target above each edge, (M, E) each."""
    counted = [above(s, row, at) for s, row in zip(scores, member, strict=True)]
    return tuple(np.stack([one[key] for one in counted]) for key in ("inside", "outside"))


def own(m: int, matrix: str = "member") -> tuple[np.ndarray, np.ndarray]:
    """The judged scores of a target, and who is a member."""
    row = MEMBERS[matrix][m]
    return SCORES[m][row >= 0], row[row >= 0] == 1


@pytest.mark.parametrize("rule", ["step_le", "step_lt", "interp"])
def test_a_targets_figures_are_those_of_its_whole_curve(rule: metrics.Rule):
    for m, row in enumerate(MEMBERS["member"]):
        found = figures(SCORES[m], row, ASKED._replace(rule=rule, num_resamples=0))
        scores, member = own(m)
        fpr, tpr = metrics.roc(scores, member)
        assert found["auc"] == metrics.auc(scores, member)
        expected = metrics.roc_on_grid(fpr, tpr, metrics.roc_grid())
        np.testing.assert_array_equal(found["roc"], expected)
        for f, rate in enumerate(RATES):
            assert found["tpr"][f] == metrics.tpr_at_fpr(fpr, tpr, rate, rule)


def test_a_threshold_calls_exactly_those_whom_its_rate_admits_and_infinity_nobody():
    row = np.array([1, 1, 0, 0, 1, 0], np.int8)
    scores = np.array([5, 3, 4, 2, 1, 2], np.float32)
    found = figures(scores, row, ASKED._replace(rates=(0.3, 0.4, 1), num_resamples=0))
    assert found["threshold"].tolist() == [5, 3, 1]
    assert found["false_positives"].tolist() == [0, 1, 3]
    best_is_no_member = figures(-scores, row, ASKED._replace(rates=(0.3,), num_resamples=0))
    assert best_is_no_member["threshold"].tolist() == [-1]
    nobody = np.array([1, 0, 0, 0, 1, 0], np.int8)
    found = figures(-np.abs(scores - 4), nobody, ASKED._replace(rates=(0.2,), num_resamples=0))
    assert found["threshold"].tolist() == [np.inf]
    assert found["false_positives"].tolist() == [0]


def test_every_target_is_resampled_by_the_same_draws_of_its_own_examples(found: Judged):
    for m in (0, 5):
        scores, member = own(m)
        places = np.flatnonzero(MEMBERS["member"][m] >= 0)
        expected = resampled_figures(scores, member, places, RATES, "step_le", 24, 7, N)
        np.testing.assert_array_equal(found.resampled[m], expected)


def test_decisions_are_counted_at_or_above_each_threshold(found: Judged):
    for t, threshold in enumerate(ASKED.thresholds):
        for m in range(M):
            scores, member = own(m)
            called = scores >= threshold
            counts = found.called_in[m, t], found.called_out[m, t]
            assert counts == ((called & member).sum(), (called & ~member).sum())


def test_edges_are_all_non_members_where_there_are_few_and_log_spaced_from_the_highest_on():
    scores = np.arange(1000, dtype=np.float32)
    row = (np.arange(1000) % 2).astype(np.int8)
    assert edges(scores, row, 500).tolist() == list(range(998, -1, -2))
    few = edges(scores, row, 12)
    assert (few[0], few[1], few[-1]) == (998, 996, 0)
    assert len(few) <= 12
    ranks = 500 - few / 2
    assert np.all(np.diff(ranks)[1:] >= np.diff(ranks)[:-1])


def test_the_pooled_curve_is_that_of_all_scores_in_one_heap(found: Judged):
    """With few non-members every one of them is an edge, so nothing is lost."""
    rows = MEMBERS["member"]
    fpr, tpr = metrics.roc(SCORES[rows >= 0], rows[rows >= 0] == 1)
    for rate in (*RATES, 0.0, 0.01, 1.0):
        assert found.pooled.tpr_at_fpr(rate) == pytest.approx(metrics.tpr_at_fpr(fpr, tpr, rate))
    assert found.pooled.num_negatives == (rows == 0).sum()
    expected = metrics.roc_on_grid(fpr, tpr, metrics.roc_grid())
    np.testing.assert_allclose(found.pooled.on_grid(), expected)


def test_fewer_edges_only_ever_lower_the_pooled_curve_and_keep_its_end():
    random = np.random.default_rng(3)
    member = np.stack([np.arange(4000) % 2] * 4).astype(np.int8)
    scores = (random.normal(size=member.shape) + 2 * member).astype(np.float32)
    fpr, tpr = metrics.roc(scores.ravel(), member.ravel() == 1)
    some = union([edges(s, row, 40) for s, row in zip(scores, member, strict=True)])
    inside, outside = (of.sum(axis=0) for of in counts_above(scores, member, some))
    curve = pooled(inside, outside, 8000, 8000)
    for rate in (0.0, 1e-4, 0.001, 0.01, 0.1):
        exact = metrics.tpr_at_fpr(fpr, tpr, rate)
        assert exact - 0.05 <= curve.tpr_at_fpr(rate) <= exact
    assert curve.tpr_at_fpr(0) == metrics.tpr_at_fpr(fpr, tpr, 0)
    assert curve.auc is None  # with so few edges it may be wrong by 0.001


def test_the_pooled_area_is_exact_where_every_non_member_is_an_edge():
    """Then every run of the curve between edges is one non-member, however members lie."""
    random = np.random.default_rng(6)
    member = np.stack([np.arange(900) % 2, 1 - np.arange(900) % 2]).astype(np.int8)
    scores = (random.normal(size=member.shape) + member).astype(np.float32)
    some = union([edges(s, row, 450) for s, row in zip(scores, member, strict=True)])
    inside, outside = (of.sum(axis=0) for of in counts_above(scores, member, some))
    exact = metrics.auc(scores.ravel(), member.ravel() == 1)
    assert pooled(inside, outside, 900, 900).auc == pytest.approx(exact, abs=1e-12)


def test_a_threshold_of_the_other_pairs_is_the_lowest_of_theirs_within_the_rate(found: Judged):
    rows = MEMBERS["member"]
    for m in range(M):
        others = [k for k in range(M) if k not in (m, PARTNER[m])]
        outside = np.concatenate([SCORES[k][rows[k] == 0] for k in others])
        for f, rate in enumerate(RATES):
            lowest = min(x for x in outside if (outside > x).mean() <= rate)
            assert found.shadow_threshold[m, f] == lowest
            assert found.shadow_true[m, f] == (SCORES[m][rows[m] == 1] > lowest).sum()
            assert found.shadow_false[m, f] == (SCORES[m][rows[m] == 0] > lowest).sum()


def test_no_score_of_a_target_or_its_partner_moves_its_threshold():
    random, num = np.random.default_rng(4), 60
    member = MEMBERS["member"][:, :num]

    def thresholds(scores: np.ndarray) -> np.ndarray:
        given = [edges(s, row, 8) for s, row in zip(scores, member, strict=True)]
        some = union(given)
        of_all = counts_above(scores, member, some)
        counts = Counts(some, *of_all, num_out=(member == 0).sum(axis=1))
        return shadow_thresholds(counts, given, PARTNER, RATES)["shadow_threshold"]

    scores = random.normal(size=member.shape)
    other = scores.copy()
    other[2:4] = random.normal(5, 3, (2, num))
    before, after = thresholds(scores), thresholds(other)
    np.testing.assert_array_equal(before[2:4], after[2:4])
    assert np.any(before[:2] != after[:2])


def test_a_single_pair_has_no_other_to_set_its_threshold():
    member = MEMBERS["member"][:2]
    given = [edges(SCORES[m], member[m], 100) for m in range(2)]
    some = union(given)
    of_all = counts_above(SCORES[:2], member, some)
    counts = Counts(some, *of_all, num_out=(member == 0).sum(axis=1))
    assert np.isnan(
        shadow_thresholds(counts, given, np.array([1, 0]), RATES)["shadow_threshold"]
    ).all()


def test_the_null_matrix_has_an_auc_and_nothing_that_only_the_true_one_needs(
    made: Judging, found: Judged
):
    null = read_judged(judge(made, in_ray=False), NULL)
    for m in range(M):
        assert null.auc[m] == metrics.auc(*own(m, "null"))
    assert null.resampled.shape == (M, 0, 1 + len(RATES))
    assert null.edge.size == null.shadow_true.size == null.pooled_true.size == 0


def test_smaller_tasks_and_groups_of_readings_find_the_same(
    tmp_path: Path, found: Judged, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stage, "SCORES_AT_ONCE", 2 * N)
    monkeypatch.setattr(stage, "COUNTS_AT_ONCE", 1)
    again = read_judged(judge(judging(tmp_path), in_ray=False), REAL)
    for expected, got in zip(found, again, strict=True):
        np.testing.assert_array_equal(expected, got)


def test_what_is_judged_is_not_judged_again_and_other_questions_have_another_place(tmp_path: Path):
    made = judging(tmp_path)
    folder = judge(made, in_ray=False)
    file = next(folder.rglob("*member.npz"))
    before = file.stat().st_mtime_ns
    assert judge(made, in_ray=False) == folder
    assert file.stat().st_mtime_ns == before
    for changed in (
        made._replace(asked={**made.asked, REAL: ASKED._replace(rates=(0.2,))}),
        made._replace(asked={**made.asked, REAL: ASKED._replace(rule="interp")}),
        made._replace(asked={**made.asked, REAL: ASKED._replace(num_resamples=5)}),
        made._replace(scores=made.scores.with_name("t")),
    ):
        assert changed.folder != folder
    store.finish(made.scores, [], {})
    assert made.folder != folder  # scores that were written anew are other scores


def test_a_flipped_bit_in_what_was_judged_is_corrupt_and_its_folder_is_set_aside(tmp_path: Path):
    folder = judge(judging(tmp_path), in_ray=False)
    file = next(folder.rglob("*member.npz"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    store.write(file, bytes(content))
    with pytest.raises(Corrupt) as corrupt:
        read_judged(folder, REAL)
    assert store.set_aside(Path(corrupt.value.path)) == folder.with_name(f"{folder.name}.corrupt-1")


def test_missing_scores_are_not_found_and_damaged_ones_condemn_the_scores(tmp_path: Path):
    made = judging(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the audit first"):
        judge(made._replace(scores=made.scores.with_name("t")), in_ray=False)
    broken = next(made.scores.rglob("*.parquet"))
    store.write(broken, broken.read_bytes()[:-9])
    with pytest.raises(Corrupt) as corrupt:
        judge(made, in_ray=False)
    assert corrupt.value.path == str(made.scores)


def test_an_experiment_asks_for_all_draws_of_the_true_matrix_and_one_of_the_null(noisy_work: Work):
    asked = noisy_work.judging.asked
    draws = {(r.arm, r.draws, r.matrix) for r in asked}
    of_erm, of_noisy = ("erm", 1), ("noisy", 1)
    expected = {(*of, matrix) for of in (of_erm, of_noisy) for matrix in ("member", "null")}
    assert draws == expected | {("noisy", 3, "member")}
    assert {len(one.thresholds) for r, one in asked.items() if r.matrix == "member"} == {4}
    assert len({one.seed for one in asked.values()}) == 1


OVER = Averaging(np.arange(M), PARTNER, "t")


def test_the_predictive_value_is_bayes_rule_of_the_mean_rates_with_the_spread_of_its_tangent():
    random = np.random.default_rng(5)
    true, false = random.uniform(0.2, 0.4, M), random.uniform(0.01, 0.02, M)
    found = predictive_value(true, false, 10**9, 0.01, OVER)  # so many that counting is exact
    assert found is not None
    t, f = true.mean(), false.mean()
    assert found.mean == pytest.approx(0.01 * t / (0.01 * t + 0.99 * f))
    by_pair = (true.reshape(-1, 2).mean(1), false.reshape(-1, 2).mean(1))
    step = 1e-6
    slopes = [
        (0.01 * a / (0.01 * a + 0.99 * b) - 0.01 * c / (0.01 * c + 0.99 * d)) / (2 * step)
        for a, b, c, d in [(t + step, f, t - step, f), (t, f + step, t, f - step)]
    ]
    spread = slopes[0] * by_pair[0] + slopes[1] * by_pair[1]
    error = spread.std(ddof=1) / np.sqrt(M / 2)
    assert found.high - found.mean == pytest.approx(3.1824463 * error, rel=1e-5)  # t of 3


def test_a_predictive_value_without_a_false_positive_is_no_certainty():
    found = predictive_value(np.full(M, 0.2), np.zeros(M), 1000, 0.01, OVER)
    most = clopper_pearson(0, 1000)[1]
    assert isinstance(found, Interval)
    assert (found.mean, found.high) == (1, 1)
    assert found.low == pytest.approx(0.01 * 0.2 / (0.01 * 0.2 + 0.99 * most))
    assert found.low < 0.4


def test_few_false_positives_are_counted_where_models_agree_by_chance():
    """Hits and errors of one model alone move together, so the spread over models is nothing."""
    true, false = np.zeros(M), np.zeros(M)
    true[3], false[3] = 4 / 1000, 2 / 1000
    found = predictive_value(true, false, M * 1000, 0.5, OVER)
    assert found is not None
    few, most = clopper_pearson(2, M * 1000)
    t = true.mean()
    assert found[:3] == pytest.approx((4 / 6, t / (t + most), t / (t + few)))


def test_nobody_called_has_no_predictive_value():
    assert predictive_value(np.zeros(M), np.zeros(M), 1000, 0.01, OVER) is None


def test_figures_of_an_attack_are_the_means_of_what_is_judged(found: Judged, tiny):
    figures = membership_figures(found, Lira(), "erm", tiny, OVER)
    assert figures["auc"]["mean"] == pytest.approx(found.auc.mean())
    for f, rate in enumerate(RATES):
        one, shadow = (
            figures["tpr_at_fpr"][f"{rate:g}"],
            figures["at_shadow_thresholds"][f"{rate:g}"],
        )
        assert one["mean"] == pytest.approx(found.tpr[:, f].mean())
        assert one["num_negatives"] == (MEMBERS["member"] == 0).sum(1).min()
        assert one["at_zero_false_positives"] == (rate == 1e-5)
        reached = (found.shadow_false[:, f] / (MEMBERS["member"] == 0).sum(1)).mean()
        assert shadow["fpr"]["mean"] == pytest.approx(reached)
        pool = figures["pooled"]["tpr_at_fpr"][f"{rate:g}"]
        assert pool["tpr"] == found.pooled.tpr_at_fpr(rate)
        assert pool["num_negatives"] == (MEMBERS["member"] == 0).sum()
    assert "thresholds" not in figures


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_the_cluster_finds_the_same_bits(tmp_path: Path, found: Judged):
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    again = read_judged(judge(judging(tmp_path), in_ray=True), REAL)
    for expected, got in zip(found, again, strict=True):
        np.testing.assert_array_equal(expected, got)
        assert expected.dtype == got.dtype


@pytest.mark.parametrize(
    ("rule", "expected"), [("step_le", False), ("step_lt", True), ("interp", False)]
)
def test_whether_a_rate_admits_no_false_positive_is_up_to_the_rule(
    found: Judged, tiny, rule: metrics.Rule, expected: bool
):
    rate = 1 / int(found.num_out.min())
    membership = tiny.membership.model_copy(update={"tpr_rule": rule})
    told = membership_figures(
        found._replace(rates=np.array([rate, rate / 2, 0.5, 0.1])),
        Lira(),
        "erm",
        tiny.model_copy(update={"membership": membership}),
        OVER,
    )
    at, below, *above = (one["at_zero_false_positives"] for one in told["tpr_at_fpr"].values())
    assert (at, below, *above) == (expected, rule != "interp", False, False)
