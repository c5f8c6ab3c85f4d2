"""How much an example is memorized, by its plain view."""

from pathlib import Path

import pytest

from tests.made.vulnerable import PLANTED, Made, experiment_of


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(experiment_of(), tmp_path)


def test_memorization_is_the_difference_of_how_often_the_plain_view_is_right(made: Made):
    found, member = made.find(), made.plan.member
    for arm, one in found.examples.items():
        for i in range(member.shape[1]):
            right = made.odds[arm][:, i] > 0
            expected = right[member[:, i] == 1].mean() - right[member[:, i] == 0].mean()
            assert one.memorization[i] == pytest.approx(expected)
    assert found.examples["erm"].memorization[PLANTED] == pytest.approx(1)
    assert (found.examples["erm"].standard_error > 0).all()
