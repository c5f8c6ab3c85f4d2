"""How often models' attacks call each example a member, against loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.made.vulnerable import PLANTED, Made, experiment_of, slow_flags


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(experiment_of(), tmp_path)


def test_every_count_is_that_of_a_loop_over_models_and_examples(made: Made):
    found, member = made.find(), made.plan.member
    for arm, one in found.examples.items():
        flags = slow_flags(made, arm)
        for i in range(member.shape[1]):
            for kind, number, flagged in (
                (1, one.num_in, one.flagged_in),
                (0, one.num_out, one.flagged_out),
            ):
                models = [m for m in range(len(member)) if member[m, i] == kind]
                assert number[i] == len(models)
                assert flagged[i] == sum(flags[m, i] for m in models)


def test_a_pair_is_in_one_half_wherever_its_models_stand(tmp_path: Path):
    made = Made(experiment_of(), tmp_path)
    expected = made.find().figures["pgd_at"]["stability"]
    order = np.r_[0:16:2, 1:16:2]  # models whose partners come after all of them
    partner = (np.arange(16) + 8) % 16
    made.plan = replace(made.plan, member=made.plan.member[order], partner=partner)
    made.scores = {arm: scores[order] for arm, scores in made.scores.items()}
    made.odds = {arm: odds[order] for arm, odds in made.odds.items()}
    assert made.find().figures["pgd_at"]["stability"] == expected


def test_quarters_count_the_examples_that_four_models_are_trained_on(tmp_path: Path):
    made = Made(experiment_of(num_models=16, design="quarters"), tmp_path)
    found = made.find()
    inside = (made.plan.member == 1).sum(0)
    assert 0 < (inside >= 4).sum() < len(inside)
    figures = found.figures["erm"]
    assert figures["num_examples"] == (inside >= 4).sum()
    assert figures["least_in"] == 4
    assert figures["num_vulnerable"] == (inside[PLANTED] >= 4).sum()
