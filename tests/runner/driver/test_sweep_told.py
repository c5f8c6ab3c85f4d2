"""Counts and end of a real sweep as it was told, against what there was in the end."""

import itertools
from datetime import datetime

import pytest

from runner.driver._standing import left_s
from tests.made.told import DONE_AT, moments

DONE = datetime.fromisoformat(DONE_AT).timestamp()
TOLD = [each for each in moments() if each["models"]]


def at(told: dict) -> float:
    return datetime.fromisoformat(told["at"]).timestamp()


def test_models_are_counted_once_each_up_to_those_that_were_trained():
    counts = [each["models"] for each in TOLD]
    for before, after in itertools.pairwise(counts):
        assert after["done"] >= before["done"]
        assert after["total"] >= before["total"]
    for each in TOLD:
        models = each["models"]
        parts = models["done"] + models["failed"] + models["waiting"] + len(each["working"])
        assert parts == models["total"], each["at"]
    assert counts[-1] == {"total": 54, "done": 53, "failed": 1, "waiting": 0, "to_come": 0}


def test_what_is_to_come_is_bounded_by_what_every_setting_could_ask_for():
    most = 4 * 8 + 8 + 2 * 8  # settings and their base to the last rung, and both to confirm
    assert max(each["models"]["total"] + each["models"]["to_come"] for each in TOLD) == most


def test_the_end_is_never_told_as_now_while_models_are_to_do_and_is_near_when_they_are_known():
    begun = [each for each in TOLD if each["models"]["done"] and at(each) < DONE]
    assert len(begun) > 30
    for each in begun:
        left = left_s(each, at(each))
        assert left is not None
        assert left > 30
        if each["stage"] == "confirmation":  # before: 0 s, as all settings had ended
            assert left == pytest.approx(DONE - at(each), rel=0.3)


def test_who_looks_later_is_told_less():
    told = next(each for each in TOLD if each["stage"] == "confirmation")
    assert left_s(told, at(told) + 20) == told["remaining_s"] - 20
    assert left_s(told, at(told) + 9999) == 0
