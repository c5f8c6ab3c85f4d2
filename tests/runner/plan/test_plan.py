import hashlib
from typing import Literal

import numpy as np
import pytest

from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.experiment.training import Design
from runner.plan.plan import (
    Run,
    make_plan,
    member_matrix,
    others_of,
    untrained,
)
from runner.plan.shadows import num_others
from runner.plan.work import Work
from runner.storage.ids import seed_of
from tests.conftest import TINY


def drawn(name: Literal["pairs", "quarters"], num_models: int, num_pool: int, seed: int = 0):
    """The member matrix of a design, (M, N) int8."""
    return member_matrix(Design(name=name, num_models=num_models), num_pool, seed)


def test_a_run_knows_the_noise_that_its_target_epsilon_takes(work: Work):
    def planned(**keys: object) -> Run:
        private = {"name": "dp_sgd", "accountant": "rdp", **keys}
        arms = {"dp": {"defense": private}}
        return make_plan(Experiment.model_validate({**TINY, "arms": arms}), work.dataset).runs[0]

    settled = planned(target_epsilon=8).recipe()["defense"]
    assert settled["target_epsilon"] is None
    assert 0.3 < settled["noise_multiplier"] < 5
    given = planned(noise_multiplier=settled["noise_multiplier"])
    assert given.id == planned(target_epsilon=8).id


@pytest.mark.parametrize(
    ("arm", "told"),
    [
        (
            {
                "defense": {"name": "dp_sgd", "noise_multiplier": 1.0},
                "training": {"batch_size": 999},
            },
            r"arms\.a: dp_sgd draws .* batch_size must be at most 100, .* got 999",
        ),
        (
            {
                "defense": {"name": "erm"},
                "training": {"batch_size": 25, "schedule": {"name": "step", "milestones": [1.8]}},
            },
            r"arms\.a\.training\.schedule\.milestones: 1\.8 is behind .* begins 1\.75 epochs in",
        ),
    ],
)
def test_what_a_run_of_so_many_members_cannot_have_is_said_of_its_arm(
    work: Work, arm: dict, told: str
):
    experiment = Experiment.model_validate({**TINY, "arms": {"a": arm}})
    with pytest.raises(ValueError, match=told):
        make_plan(experiment, work.dataset)


def test_partners_are_complementary_halves_and_every_example_is_in_half_of_the_models():
    member = drawn("pairs", 8, 101, seed=3)
    assert set(np.unique(member)) == {0, 1}
    assert (member[0::2] + member[1::2] == 1).all()
    assert (member.sum(0) == 4).all()
    assert sorted(member.sum(1)) == [50] * 4 + [51] * 4


def test_the_first_half_of_a_seeded_order_is_in_the_first_model_of_each_pair():
    """Other bits here would be other models: every Run's id hashes its row."""
    member = drawn("pairs", 6, 101, seed=3)
    for k in range(3):
        order = np.random.Generator(np.random.Philox(seed_of(3, k))).permutation(101)
        assert set(order[:50]) == set(np.flatnonzero(member[2 * k]))
    first = hashlib.sha256(drawn("pairs", 6, 101, seed=3).tobytes()).hexdigest()
    assert first[:16] == "a264935769bab076"


@pytest.mark.parametrize("num_pool", [100, 101, 102, 103])
def test_quarters_part_the_pool_and_leave_up_to_three_examples_that_nobody_judges(num_pool: int):
    member = drawn("quarters", 8, num_pool)
    for first, second in zip(member[0::2], member[1::2], strict=True):
        parts = [np.flatnonzero(row == value) for row in (first, second) for value in (1, 0)]
        assert [len(part) for part in parts] == [25] * 4
        assert len(np.unique(np.concatenate(parts))) == 100
        assert ((first == -1) & (second == -1)).sum() == num_pool - 100


def test_a_model_of_quarters_is_judged_on_its_half_and_its_partner_on_the_other():
    member = drawn("quarters", 8, 100)
    judged = member >= 0
    assert (judged.sum(1) == 50).all()
    assert ((member == 1).sum(1) == 25).all()
    assert not (judged[0::2] & judged[1::2]).any()


@pytest.mark.parametrize("name", ["pairs", "quarters"])
def test_more_models_keep_the_rows_of_the_first_ones(name: Literal["pairs", "quarters"]):
    assert (drawn(name, 16, 50, seed=1)[:6] == drawn(name, 6, 50, seed=1)).all()


@pytest.mark.parametrize("name", ["pairs", "quarters"])
def test_rows_of_different_pairs_and_seeds_are_independent(name: Literal["pairs", "quarters"]):
    member = drawn(name, 400, 1000)[0::2].astype(float)
    correlation = np.corrcoef(member)[np.triu_indices(200, 1)]
    assert abs(correlation.mean()) < 1e-3
    assert correlation.std() == pytest.approx(1 / np.sqrt(1000), rel=0.05)
    assert 0.2 < (drawn(name, 2, 1000, seed=1) == drawn(name, 2, 1000, seed=2)).mean() < 0.55


def test_the_null_matrix_is_of_the_same_design_and_says_nothing_of_the_members(work: Work):
    null, member = work.plan.null_member, work.plan.member
    assert (null[0::2] + null[1::2] == 1).all()
    assert abs((null == member).mean() - 0.5) < 0.1


def test_the_null_matrix_of_quarters_judges_other_halves(noisy_work: Work):
    null, member = noisy_work.plan.null_member, noisy_work.plan.member
    assert ((null == 1).sum(1) == 50).all()
    assert ((null == 0).sum(1) == 50).all()
    both = (null >= 0) & (member >= 0)
    assert abs((null == member)[both].mean() - 0.5) < 0.1


def test_the_shadows_of_pairs_are_all_but_the_target_and_its_partner(work: Work):
    shadows = [list(others) for others in work.plan.shadows]
    assert [sorted(others) for others in shadows] == [
        [m for m in range(6) if m // 2 != target // 2] for target in range(6)
    ]
    assert [others[0] for others in shadows] == [2, 2, 4, 4, 0, 0]  # not all have the same first


def test_the_shadow_of_quarters_is_the_partner_which_never_saw_the_targets_half(noisy_work: Work):
    plan = noisy_work.plan
    assert [list(others) for others in plan.shadows] == [[1], [0], [3], [2]]
    for target, (shadow,) in enumerate(plan.shadows):
        assert not ((plan.member[shadow] == 1) & (plan.member[target] >= 0)).any()
    assert plan.num_negatives == 50


def test_a_run_id_depends_on_what_changes_the_weights_and_on_nothing_else(work: Work):
    experiment, dataset = work.experiment, work.dataset
    ids = {run.id for run in work.plan.runs}

    def renewed(**changes: object) -> set[str]:
        other = Experiment.model_validate({**TINY, **changes})
        return {run.id for run in make_plan(other, dataset).runs}

    assert renewed(name="other", fleet={"checkpoint_every_s": 1}, robustness={}) == ids
    assert renewed(guarantee={"delta": 1e-6, "G": 1}, answers={"draws": 2}) == ids
    assert renewed(membership={"thresholds": [0.9]}, report={"baseline": "erm"}) == ids
    assert renewed(arms={"x": TINY["arms"]["erm"], "y": TINY["arms"]["pgd_at"]}) == ids
    assert renewed(design={"num_models": 8}) > ids
    assert not renewed(seed=1) & ids
    assert not renewed(training={**TINY["training"], "lr": 0.2}) & ids
    assert not renewed(model={"name": "small_cnn", "width": 5}) & ids
    assert len(ids) == 2 * experiment.design.num_models


def test_only_what_has_group_norm_or_dp_sgd_is_of_the_third_version():
    """A user's own network counts by what is in it, and one that cannot be built by the newest."""
    arms = {
        "batch": ("erm", {"norm": "batch"}, 2),
        "none": ("erm", {"norm": "none"}, 2),
        "group": ("erm", {"norm": "group"}, 3),
        "private": ({"name": "dp_sgd", "noise_multiplier": 1}, {"norm": "none"}, 3),
        "ensemble": (
            {"name": "residual_perturbation", "gamma": 0.1, "members": 2},
            {"name": "resnet8", "norm": "group"},
            3,
        ),
        "unbuilt": ({"name": "residual_perturbation", "gamma": 0.1}, {"norm": "batch"}, 3),
    }
    changed = {name: {"defense": d, "model": m} for name, (d, m, _) in arms.items()}
    tiny = Experiment.model_validate({**TINY, "arms": changed})
    plan = make_plan(tiny, tiny.data.load())
    for name, (_, _, version) in arms.items():
        (found,) = {run.recipe()["weights_version"] for run in plan.arms[name]}
        assert found == version, name


def test_arms_share_splits_and_seeds(work: Work):
    for erm, pgd in zip(work.plan.arms["erm"], work.plan.arms["pgd_at"], strict=True):
        assert erm.seed == pgd.seed
        assert (erm.member == pgd.member).all()


def test_held_out_examples_are_minus_one_in_every_row_and_the_rest_is_halved(work: Work):
    def planned(**changed: object):
        return make_plan(Experiment.model_validate({**TINY, **changed}), work.dataset)

    plain, chosen = planned(), planned(selection={"num_examples": 50})
    held_out = chosen.runs[0].selected_on
    assert held_out is not None
    assert len(np.unique(held_out)) == 50
    for matrix in (chosen.member, chosen.null_member):
        assert ((matrix == -1).all(0) == np.isin(np.arange(200), held_out)).all()
        rest = np.delete(matrix, held_out, axis=1)
        assert (rest[0::2] + rest[1::2] == 1).all()
        assert set(rest.sum(1)) == {75}
    assert not {run.id for run in plain.runs} & {run.id for run in chosen.runs}
    own = planned(selection={"on": "non_members", "num_examples": 30})
    for run in own.runs:
        assert run.selected_on is not None
        assert (run.member[run.selected_on] == 0).all()
        assert len(run.selected_on) == 30
    np.testing.assert_array_equal(own.member, plain.member)
    with pytest.raises(ValueError, match="hold out no more than half"):
        planned(selection={"num_examples": 101})


def test_a_targets_shadows_are_all_models_but_itself_and_its_partner_from_it_on():
    shadows = [of.tolist() for of in others_of(np.array([1, 0, 2, 4, 3]))]
    assert shadows == [[2, 3, 4], [2, 3, 4], [3, 4, 0, 1], [0, 1, 2], [0, 1, 2]]


def test_other_models_of_a_kind_are_counted_without_a_target_and_its_partner():
    partner = np.array([1, 0, 2, 4, 3])
    member = np.random.default_rng(5).integers(-1, 2, (5, 30)).astype(np.int8)
    for kind in (0, 1):
        for others, shadows in zip(
            num_others(member, partner, kind), others_of(partner), strict=True
        ):
            assert np.array_equal(others, (member[shadows] == kind).sum(0))


def test_a_class_that_some_models_are_not_trained_on_is_said_with_their_number():
    """One example of class 1 is in half of the models, ten of class 0 are in each."""
    labels = np.array([0] * 10 + [1])
    images = np.arange(11, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8), np.uint8)
    data = Dataset(images, labels, images[:0], labels[:0], 2, (0.5,), (0.5,))
    experiment = Experiment.model_validate(TINY | {"design": {"name": "pairs", "num_models": 8}})
    plan = make_plan(experiment, data)
    (said,) = untrained(plan, data)
    assert said.startswith("of 8 models of an arm some are trained on no example of a class")
    assert ": class 1 in 4. Give" in said
    whole = experiment.data.load()
    assert untrained(make_plan(experiment, whole), whole) == []
