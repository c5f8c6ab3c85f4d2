"""Judging in small tasks, again and after damage."""

from pathlib import Path

import numpy as np
import pytest

from runner.audit import judge as stage
from runner.audit.judge import Judging, judge, judging_of
from runner.audit.judged import Judged, read_judged
from runner.plan.work import Work
from runner.statistics import metrics
from runner.statistics.resampling import resampled_figures
from runner.storage import store
from runner.storage.store import Corrupt
from tests.made.judged import ASKED, MEMBERS, NULL, RATES, REAL, M, N, judging, own


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


def test_groups_are_resampled_whole_and_have_a_place_of_their_own(tmp_path: Path, found: Judged):
    alone = judging(tmp_path)
    grouped = alone._replace(groups=np.arange(N) // 3)
    assert grouped.folder != alone.folder
    by_group = read_judged(judge(grouped, in_ray=False), REAL)
    assert np.array_equal(by_group.auc, found.auc)
    assert np.array_equal(by_group.tpr, found.tpr)
    scores, member = own(0)
    there = np.flatnonzero(MEMBERS["member"][0] >= 0)
    expected = resampled_figures(
        *(scores, member, there, RATES, ASKED.rule, ASKED.num_resamples, ASKED.seed, N),
        groups=np.arange(N) // 3,
    )
    assert by_group.resampled[0] == pytest.approx(expected, abs=1e-12)
    assert not np.array_equal(by_group.resampled, found.resampled)


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
    asked = judging_of(noisy_work).asked
    draws = {(r.arm, r.draws, r.matrix) for r in asked}
    of_erm, of_noisy = ("erm", 1), ("noisy", 1)
    expected = {(*of, matrix) for of in (of_erm, of_noisy) for matrix in ("member", "null")}
    assert draws == expected | {("noisy", 3, "member")}
    assert {len(one.thresholds) for r, one in asked.items() if r.matrix == "member"} == {4}
    assert len({one.seed for one in asked.values()}) == 1


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_the_cluster_finds_the_same_bits(tmp_path: Path, found: Judged):
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    again = read_judged(judge(judging(tmp_path), in_ray=True), REAL)
    for expected, got in zip(found, again, strict=True):
        np.testing.assert_array_equal(expected, got)
        assert expected.dtype == got.dtype
