"""Verdicts depend on the figures alone, and nobody waits for one who is gone."""

import itertools
import json
from collections.abc import Iterator, Sequence

import pytest

from runner.sweep.rungs import Board, ToAsk
from tests.made.sweeps import BASE, figures

RUNGS = (8, 16)
FIGURES = {  # by setting and rung
    "good": {8: figures(0.9, 0.5, 0.1, 0.02), 16: figures(0.9, 0.5, 0.12, 0.01)},
    "leaky": {8: figures(0.9, 0.5, 0.3, 0.02), 16: figures(0.9, 0.5, 0.3, 0.01)},
    "robust": {8: figures(0.85, 0.6, 0.3, 0.02), 16: figures(0.85, 0.6, 0.3, 0.01)},
}
VERDICTS = {"good": "finished", "leaky": "stopped", "robust": "finished"}
ORDERS = [*itertools.permutations(FIGURES)]


def opened(settings: Sequence[str], total: int = 3) -> Board:
    board = Board(RUNGS, total)
    board.open({each: f"setting {each}" for each in settings})
    return board


class Trial:
    """What a setting does: hand in, wait for the verdict, go on or leave; one move at a time."""

    def __init__(self, name: str, board: Board) -> None:
        self.name, self.board, self.moves = name, board, self._life()
        self.alive = True

    def _life(self) -> Iterator[None]:
        for rung in RUNGS:
            self.board.ask(self.name, rung)
            self.board.hand_in(self.name, rung, FIGURES[self.name][rung])
            yield
            while (verdict := self.board.verdict(self.name, rung)) is None:
                yield
            if verdict:
                return

    def move(self) -> None:
        if self.alive:
            self.alive = next(self.moves, "over") is None


def play(board: Board, order: Sequence[str], fails: str = "", after: int = -1) -> None:
    """Let the trials move in turns of this order until all left; one may fail after some moves."""
    trials = {name: Trial(name, board) for name in order}
    for turn in range(20):
        for name, one in trials.items():
            if name == fails and turn == after:
                one.alive = False
                board.fail(name, "its process died")
            one.move()
    waiting = [name for name, one in trials.items() if one.alive]
    assert not waiting, f"these wait for ever: {waiting}"


def test_where_settings_are_not_compared_all_of_them_finish():
    board = Board(RUNGS, 3, compares=False)
    board.open({each: f"setting {each}" for each in FIGURES})
    play(board, [*FIGURES])
    assert {end.state for end in board.ended().values()} == {"finished"}
    assert all(set(of_setting) == set(RUNGS) for of_setting in board.records().values())


@pytest.mark.parametrize("order", ORDERS)
def test_whoever_comes_first_the_verdicts_are_the_same(order: Sequence[str]):
    board = opened(order)
    play(board, order)
    assert {each: end.state for each, end in board.ended().items()} == VERDICTS
    assert board.ended()["leaky"].why == "with 8 models setting good beats it"
    assert set(board.records()["leaky"]) == {8}
    assert set(board.records()["good"]) == {8, 16}


@pytest.mark.parametrize("fails", FIGURES)
@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("order", ORDERS)
def test_nobody_waits_for_one_that_failed(order: Sequence[str], fails: str, after: int):
    board = opened(order)
    play(board, order, fails, after)
    ended = board.ended()
    assert set(ended) == set(FIGURES)
    assert ended[fails].state in ("failed", VERDICTS[fails])
    for each in set(FIGURES) - {fails}:
        # Who beats nobody and is beaten by nobody comes out as ever.
        assert ended[each].state in (VERDICTS[each], "finished")


def test_all_may_fail():
    board = opened(["good", "leaky"])
    board.fail("good", "x")
    board.fail("leaky", "y")
    assert {end.state for end in board.ended().values()} == {"failed"}
    assert board.verdict("good", 8) == "x"


def test_a_generation_is_compared_with_the_earlier_ones_too():
    board = opened(["good"])
    play(board, ["good"])
    board.open({"leaky": "leaky", "robust": "robust"})
    play(board, ["leaky", "robust"])
    assert {each: end.state for each, end in board.ended().items()} == VERDICTS


def test_an_earlier_generation_is_not_judged_again():
    board = opened(["leaky"])
    play(board, ["leaky"])
    board.open({"good": "good"})
    play(board, ["good"])
    assert board.ended()["leaky"].state == "finished"


def test_a_trial_that_died_and_came_back_hands_in_the_same_without_harm():
    board = opened(["good", "leaky"])
    board.hand_in("good", 8, FIGURES["good"][8])
    assert board.verdict("good", 8) is None
    board.hand_in("good", 8, FIGURES["good"][8])
    board.hand_in("leaky", 8, FIGURES["leaky"][8])
    board.hand_in("good", 8, FIGURES["good"][8])
    assert board.verdict("good", 8) == ""
    board.hand_in("good", 16, FIGURES["good"][16])
    assert board.ended()["good"].state == "finished"
    board.fail("good", "its process died")
    assert board.ended()["good"].state == "finished"


def test_what_happens_is_told_once_in_lines():
    board = opened(["good", "leaky"], total=5)
    play(board, ["good", "leaky"])
    news = board.news()
    assert "setting good: with 8 models: natural 0.900 [0.880, 0.920], robust 0.500" in news[0]
    assert "setting good: goes on to 16 models" in news
    assert "setting leaky: stopped: with 8 models setting good beats it" in news
    assert "settings 2/5 done" in news
    assert not any(line.startswith("note: ") for line in news)
    assert board.news() == []


def test_a_failure_is_told_as_what_went_wrong():
    board = opened(["good", "leaky"], total=5)
    board.fail("leaky", "odd")
    assert board.news() == ["note: setting leaky: failed: odd", "settings 1/5 done"]


def test_before_anybody_was_judged_all_are_taken_to_go_on_to_the_last_rung():
    board = Board((6, 8, 16), 4)
    assert board.to_ask() == ToAsk(4 * 16, 16)
    board.open({"a": "a", "b": "b"})
    assert board.to_ask() == ToAsk(4 * 16, 16), "their processes start"
    board.ask("a", 6)
    assert board.to_ask() == ToAsk(3 * 16 + 10, 10)
    board.ask("b", 6)
    board.hand_in("a", 6, BASE)
    board.hand_in("b", 6, BASE)
    board.ask("b", 8)
    assert board.to_ask() == ToAsk(2 * 16 + 10 + 8, 8)


def test_as_many_are_taken_to_go_on_as_went_on_so_far():
    board = opened([*FIGURES], total=9)
    play(board, [*FIGURES])
    went_on = sum(16 in records for records in board.records().values())
    stopped = sum(end.state == "stopped" for end in board.ended().values())
    assert went_on > 0
    assert stopped > 0
    share = (went_on + 1) / (went_on + stopped + 1)
    expected = (9 - len(FIGURES)) * (8 + 8 * share)
    assert board.to_ask().of_settings == pytest.approx(expected)
    assert board.to_ask().shared == 0


def test_nothing_is_to_be_asked_for_once_all_have_ended():
    board = opened([*FIGURES], total=len(FIGURES))
    play(board, [*FIGURES])
    assert board.to_ask() == ToAsk(0, 0)
    failing = opened(["good"], total=1)
    failing.fail("good", "odd")
    assert failing.to_ask() == ToAsk(0, 0)


def test_each_setting_is_told_of_in_plain_values():
    board = opened([*FIGURES])
    assert {each["state"] for each in board.settings()} == {"running"}
    play(board, [*FIGURES])
    told = {each["setting"]: each for each in board.settings()}
    assert told["setting leaky"]["state"] == "stopped"
    assert told["setting leaky"]["why"] == "with 8 models setting good beats it"
    assert told["setting good"]["num_models"] == 16
    assert "natural " in told["setting good"]["figures"]
    json.dumps(board.settings())
