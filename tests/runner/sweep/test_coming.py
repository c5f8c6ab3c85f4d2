"""How many models a sweep still asks for, beside what its queue has."""

from typing import Any

import pytest

from runner.driver.snapshot import Counts
from runner.sweep.coming import Coming
from runner.sweep.rungs import ToAsk
from runner.sweep.settings import varied_arms
from tests.made.snapshots import state
from tests.made.sweeps import swept

EPS = "arms.pgd_at.defense.attack.eps"


def queue(total: int) -> Any:
    return state(total=total, runs=Counts(total, 0, total))


def coming(axes: dict[str, Any], **rest: Any) -> Coming:
    return Coming(swept(axes, base="erm", **rest)[1])


def test_an_arm_varies_only_if_something_that_trains_it_does():
    for axes, expected in (
        ({EPS: [0.1, 0.2]}, {"pgd_at"}),
        ({EPS: {"values": [0.1], "also": ["robustness.attacks.pgd2.eps"]}}, {"pgd_at"}),
        ({EPS: [0.1], "training.epochs": [1, 2]}, {"erm", "pgd_at"}),
    ):
        assert varied_arms(swept(axes)[1]) == expected


def test_settings_count_by_their_own_arms_and_the_base_once_and_both_to_confirm():
    one = coming({EPS: [0.1, 0.2]})
    one.search(ToAsk(20.0, 2.0))
    assert one.of(queue(6)).to_come == 20 + 2 + 2 * 8  # rungs up to 8
    both = coming({"training.epochs": [1, 2]})
    both.search(ToAsk(20.0, 2.0))
    assert both.of(queue(6)).to_come == 2 * 20 + 2 * 8


def test_what_is_asked_for_to_confirm_is_to_come_no_more():
    one = coming({EPS: [0.1, 0.2]})
    one.search(ToAsk(2.0, 0.0))
    one.of(queue(30))
    one.confirm(True)
    assert [one.of(queue(n)).to_come for n in (30, 40, 46, 50)] == [16, 6, 0, 0]


def test_nothing_is_confirmed_where_nothing_is_recommended():
    one = coming({EPS: [0.1, 0.2]})
    one.of(queue(30))
    one.confirm(False)
    assert one.of(queue(30)).to_come == 0
    unlike = coming({EPS: {"values": [0.1, 0.2], "also": ["robustness.attacks.pgd2.eps"]}})
    unlike.search(ToAsk(8.0, 0.0))
    assert unlike.of(queue(8)).to_come == 8, "settings that are attacked differently"


@pytest.mark.parametrize("to_come", [0.0, 3.0])
def test_the_rest_of_the_state_is_as_it_was(to_come: float):
    one = coming({EPS: [0.1, 0.2]})
    one.confirm(False)
    one.search(ToAsk(to_come, 0.0))
    assert one.of(queue(4)) == queue(4)._replace(to_come=to_come)
