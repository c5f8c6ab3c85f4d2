import numpy as np
import pytest

from runner.experiment import Experiment
from runner.ids import seed_of
from runner.pipeline import Work
from runner.plan import make_plan, member_matrix
from tests.conftest import TINY


def test_partners_are_complementary_halves_and_every_example_is_in_half_of_the_models():
    member = member_matrix(8, 101, seed=3)
    assert set(np.unique(member)) == {0, 1}
    assert (member[0::2] + member[1::2] == 1).all()
    assert (member.sum(0) == 4).all()
    assert sorted(member.sum(1)) == [50] * 4 + [51] * 4


def test_more_models_keep_the_rows_of_the_first_ones():
    assert (member_matrix(16, 50, seed=1)[:6] == member_matrix(6, 50, seed=1)).all()


def test_rows_of_different_pairs_and_seeds_are_independent():
    member = member_matrix(400, 1000, seed=0)[0::2].astype(float)
    correlation = np.corrcoef(member)[np.triu_indices(200, 1)]
    assert abs(correlation.mean()) < 1e-3
    assert correlation.std() == pytest.approx(1 / np.sqrt(1000), rel=0.05)


def test_the_null_matrix_is_of_the_same_design_and_says_nothing_of_the_members(work: Work):
    null, member = work.plan.null_member, work.plan.member
    assert (null[0::2] + null[1::2] == 1).all()
    assert abs((null == member).mean() - 0.5) < 0.1


def test_a_run_id_depends_on_what_changes_the_weights_and_on_nothing_else(work: Work):
    experiment, dataset = work.experiment, work.dataset
    ids = {run.id for run in work.plan.runs}

    def renewed(**changes: object) -> set[str]:
        other = Experiment.model_validate({**TINY, **changes})
        return {run.id for run in make_plan(other, dataset).runs}

    assert renewed(name="other", fleet={"checkpoint_every_s": 1}, robustness={}) == ids
    assert renewed(arms={"x": TINY["arms"]["erm"], "y": TINY["arms"]["pgd_at"]}) == ids
    assert renewed(design={"num_models": 8}) > ids
    assert not renewed(seed=1) & ids
    assert not renewed(training={**TINY["training"], "lr": 0.2}) & ids
    assert not renewed(model={"name": "small_cnn", "width": 5}) & ids
    assert len(ids) == 2 * experiment.design.num_models


def test_arms_share_splits_and_seeds(work: Work):
    for erm, pgd in zip(work.plan.arms["erm"], work.plan.arms["pgd_at"], strict=True):
        assert erm.seed == pgd.seed
        assert (erm.member == pgd.member).all()


def test_precision_is_resolved_when_the_plan_is_made():
    auto = Experiment.model_validate({**TINY, "training": {"epochs": 1}})
    run = make_plan(auto, auto.data.load()).runs[0]
    assert run.training.precision in ("fp32", "bf16")


def test_seeds_depend_on_every_part_and_fit_in_63_bits():
    seeds = {seed_of(*parts) for parts in [(1, "a"), (1, "b"), (2, "a"), ("a", 1), (1,)]}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
