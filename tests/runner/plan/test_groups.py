"""Members that are drawn by group: a patient's images are all in, or all out."""

from dataclasses import replace

import numpy as np
import pytest

from runner.experiment.experiment import Experiment
from runner.experiment.training import Design
from runner.plan.plan import check_groups, group_notes, make_plan, member_matrix
from tests.made.experiments import TINY

GROUPS = np.random.default_rng(0).permutation(np.repeat(np.arange(80), np.arange(80) % 4 + 1))
N = len(GROUPS)


@pytest.mark.parametrize("name", ["pairs", "quarters"])
def test_a_group_is_a_member_as_a_whole_and_parts_are_as_large_as_whole_groups_let_them(name: str):
    design = Design.model_validate({"name": name, "num_models": 8})
    member = member_matrix(design, N, 0, groups=GROUPS)
    for row in member:
        for group in range(80):
            assert len(np.unique(row[group == GROUPS])) == 1
    part = N / (2 if name == "pairs" else 4)
    assert np.abs((member == 1).sum(1) - part).max() <= 4
    assert np.abs((member == 0).sum(1) - part).max() <= 4
    if name == "pairs":
        assert np.array_equal(member[::2], 1 - member[1::2])
    else:
        assert np.array_equal(member[::2] < 0, member[1::2] >= 0)


def test_more_models_keep_the_first_ones_and_each_group_is_drawn_evenly():
    few, many = (member_matrix(Design(num_models=m), N, 1, groups=GROUPS) for m in (8, 400))
    assert np.array_equal(few, many[:8])
    often = many[::2].mean(0)  # one of each pair
    assert np.abs(often - 0.5).max() < 5 * 0.5 / np.sqrt(200)


def test_what_chooses_checkpoints_shares_no_group_with_what_is_trained_on_or_judged():
    keys = {**TINY, "selection": {"on": "held_out", "num_examples": 30, "attack": None}}
    experiment = Experiment.model_validate(keys)
    dataset = experiment.data.load()
    groups = np.arange(len(dataset.pool_labels)) // 4
    ids = {**dataset.pool_ids, "group": groups.astype(np.str_)}
    plan = make_plan(experiment, replace(dataset, pool_ids=ids, by_group=True))
    assert plan.groups is not None
    run = plan.runs[0]
    assert run.selected_on is not None
    assert len(run.selected_on) == 30
    chosen = np.isin(groups, groups[run.selected_on])
    assert (plan.member[:, chosen] == -1).all()
    assert (plan.member[:, ~chosen] >= 0).all()
    assert "50 groups of 4 examples are members as a whole" in group_notes(plan.groups)[0]


def test_a_group_too_large_for_a_half_is_refused_and_few_groups_are_told():
    with pytest.raises(ValueError, match=r"one group has 30 of 100 examples.*no more than 1 in 4"):
        check_groups(Design(), np.minimum(np.arange(100), 70))
    assert "of fewer than 50 groups intervals are rough" in group_notes(np.arange(20))[0]
    assert group_notes(None) == []
