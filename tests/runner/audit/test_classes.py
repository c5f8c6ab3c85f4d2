"""Rates of classes at the targets' own thresholds."""

from pathlib import Path

import numpy as np
import pytest

from runner.audit._classes import by_class
from runner.audit._flags import Flags
from runner.statistics.averages import Averaging
from tests.made.vulnerable import Made, experiment_of, slow_flags


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(experiment_of(), tmp_path)


def test_rates_of_classes_are_counts_at_the_targets_one_threshold(made: Made):
    found, member = made.find(), made.plan.member
    for arm, figures in found.figures.items():
        flags = slow_flags(made, arm)
        for one in figures["by_class"]:
            own = made.labels == one["label"]
            assert one["num_examples"] == own.sum()
            for quantity, kind in (("tpr", 1), ("fpr", 0)):
                rates = [
                    flags[m, own & (member[m] == kind)].mean()
                    for m in range(len(member))
                    if (own & (member[m] == kind)).any()
                ]
                assert one[quantity]["mean"] == pytest.approx(np.mean(rates))
                assert one[quantity]["low"] <= one[quantity]["mean"] <= one[quantity]["high"]


def test_a_class_that_is_found_more_often_stands_out_and_random_scores_have_none(tmp_path: Path):
    made = Made(experiment_of(), tmp_path)
    made.scores["erm"] = made.scores["pgd_at"] + 3 * (made.labels == 7) * (made.plan.member == 1)
    found = made.find().figures
    assert {one["label"]: one["stands_out"] for one in found["erm"]["by_class"]}[7] == "above"
    assert all(one["stands_out"] is None for one in found["pgd_at"]["by_class"])


def test_classes_too_small_to_be_found_by_chance_do_not_stand_out():
    rng, over = np.random.default_rng(5), Averaging(np.arange(16), np.arange(16) ^ 1)
    none, members, times = np.zeros((2, 1), np.int32), np.full((16, 100), 25), 0
    for _ in range(40):
        true, false = rng.binomial(25, 0.01, (2, 16, 100))
        flags = Flags(none, none, none, none, 0.01, members, true, members, false)
        times += any(one["stands_out"] for one in by_class(flags, np.arange(100), over))
    assert times <= 2
