import io
import re
from itertools import pairwise

import pytest
from rich.console import Console

from runner.driver.progress import Show, about, describe, duration
from runner.driver.snapshot import Claim, Snapshot
from tests.made.snapshots import state


def test_the_line_says_done_and_to_do_and_when_it_ends():
    assert describe(state()) == "1/4 models | erm-m001 epoch 1/2 | ETA 50 s"
    assert "1 failed" in describe(state(failed={"x": "why"}))


def test_the_line_says_what_runs_wait_for():
    nobody = state(working={}, waiting=3)
    assert describe(nobody) == "1/4 models | starting workers"
    lost = nobody._replace(no_room=True)
    assert describe(lost) == "1/4 models | waiting for a node with room"
    between = nobody._replace(lanes=1)  # its worker has ended a Run and not asked for the next
    assert describe(between) == "1/4 models | ETA 1 min 30 s"
    assert describe(lost._replace(stopped="no room for 5 min")) == "1/4 models | ETA 1 min 30 s"
    first = state(total=2, done=0, working={}, waiting=2, since_first_claim_s=0.0)
    assert describe(first) == "0/2 models | starting workers"
    assert describe(first._replace(no_room=True)) == "0/2 models | waiting for a node with room"
    assert describe(state(done=4, working={}, waiting=0)) == "4/4 models"


def test_durations_read_as_people_say_them():
    assert [duration(s) for s in (4.4, 75, 7260)] == ["4 s", "1 min 15 s", "2 h 1 min"]


STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def test_without_a_terminal_only_changes_are_printed_and_notes_once_each_with_its_time():
    out = io.StringIO()
    with Show(Console(file=out, width=200)) as show:
        for _ in range(3):
            show(state(notes=["a file was set aside"]))
        show(state(done=4, working={}, waiting=0))
    lines = out.getvalue().splitlines()
    assert all(re.match(STAMP, line) for line in lines)
    lines = [re.sub(STAMP, "", line) for line in lines]
    assert lines[0] == "note: a file was set aside"
    assert len([line for line in lines if line.startswith("1/4")]) == 1
    assert lines[-1].startswith("4/4 models")


def test_a_log_of_a_day_has_lines_for_people_and_never_falls_silent():
    out, now = io.StringIO(), [0.0]
    times = []
    with Show(Console(file=out, width=200), clock=lambda: now[0]) as show:
        for second in range(24 * 3600):
            now[0] = float(second)
            stands_still = 6 * 3600 < second < 12 * 3600
            before = out.tell()
            show(state(total=2000, waiting=2000, since_first_claim_s=0 if stands_still else second))
            times += [second] * (out.tell() > before)
    assert 1000 < len(times) < 2000
    assert max(later - earlier for earlier, later in pairwise(times)) <= 61
    assert min(later - earlier for earlier, later in pairwise(times)) >= 5


def test_a_line_names_few_of_the_runs_in_work():
    working = {f"l/{i}": Claim(f"erm-m{i:03d}", "epoch 1/2", 0.5, ticket=i) for i in range(512)}
    line = describe(state(total=2000, waiting=1487, working=working))
    assert "erm-m003 epoch 1/2 | 508 more" in line
    assert len(line) < 200


TWO_ARMS = {
    "l/0": Claim("erm-m000-7c23a67a", "epoch 13/24 loss 0.513", 0.5, ticket=0),
    "l/1": Claim("erm-m000-9618e3e2", "epoch 11/24 loss 1.019", 0.4, ticket=1),
}
CALLED = {"erm-m000-7c23a67a": "erm-m000", "erm-m000-9618e3e2": "erm_group-m000"}


def test_two_runs_are_never_called_alike():
    both = state(total=24, done=0, waiting=22, working=TWO_ARMS)
    assert "| erm-m000 epoch 13/24 loss 0.513 | erm_group-m000 epoch 11/24" in describe(
        both, called=CALLED
    )
    assert "| erm-m000-7c23 epoch 13/24 loss 0.513 | erm-m000-9618 epoch 11/24" in describe(both)
    one = state(working={"l/0": TWO_ARMS["l/0"]})
    assert "| erm-m000 epoch 13/24 loss 0.513 |" in describe(one)


@pytest.mark.parametrize("width", range(45, 140))
def test_a_line_fits_whatever_room_there_is_and_says_counts_and_end(width: int):
    state_of_many = state(
        total=2000,
        done=0,
        waiting=1486,
        failed={"erm-m007": "why"},
        working=TWO_ARMS | {f"l/{i}": Claim(f"erm-m{i:03d}", "starts", 0, i) for i in range(2, 9)},
        since_first_claim_s=123456,
        to_come=12.4,
    )
    line = describe(state_of_many, width, CALLED)
    assert line.startswith("0/2000 models, 1 failed, 12 to come | ")
    assert " | ETA " in line
    assert len(line) <= max(
        width, len("0/2000 models, 1 failed, 12 to come | 9 in work | ETA 5184 h 0 min")
    )


def test_the_line_of_a_log_has_80_columns_and_names_what_it_can():
    out = io.StringIO()
    with Show(Console(file=out, width=200), called=CALLED) as show:
        show(state(total=24, done=0, waiting=22, working=TWO_ARMS, since_first_claim_s=100.0))
    (line,) = out.getvalue().splitlines()
    assert len(line) <= 80
    assert line[20:] == "0/24 models | erm-m000 13/24 0.513 | 1 more | ETA 43 min"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_has_one_line_that_is_written_again_and_never_wraps(width: int):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    with Show(console, called=CALLED) as show:
        for done in range(3):
            show(state(total=24, done=done, waiting=22 - done, working=TWO_ARMS))
            assert show.bar
            show.bar.refresh()
    lines = re.split(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]+", out.getvalue())
    assert max(map(len, lines)) <= width
    assert any(line.strip().endswith("0:00:00") and "2/24 models" in line for line in lines)
    assert out.getvalue().count("\x1b[1A") == 1, "it moves up at its end alone"


def test_what_is_still_to_come_is_told_and_takes_its_time():
    now = state(total=4, done=4, waiting=0, working={}, since_first_claim_s=40.0, to_come=6.0)
    assert describe(now) == "4/4 models, 6 to come | ETA 1 min 0 s"
    half = state(total=4, done=2, waiting=1, since_first_claim_s=50.0, to_come=6.0)
    assert describe(half).endswith("ETA 2 min 30 s")  # 2.5 of 10 in 50 s


def test_an_estimate_is_not_told_to_the_second():
    assert [about(s) for s in (4.4, 89, 2514, 7260, 36000)] == [
        *("4 s", "1 min", "42 min", "2 h 1 min", "10 h 0 min"),
    ]


def test_each_state_is_handed_on():
    seen: list[Snapshot] = []
    with Show(Console(file=io.StringIO()), seen.append) as show:
        show(state())
    assert seen == [state()]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_queue_that_grows_from_nothing_is_shown_all_along(terminal: bool):
    out = io.StringIO()
    empty = state(total=0, done=0, working={}, waiting=0, since_first_claim_s=0.0, closed=False)
    with Show(Console(file=out, width=200, force_terminal=terminal)) as show:
        for now in (
            empty,
            state(),
            state(done=4, working={}, waiting=0),
            state(total=9, waiting=7),
        ):
            show(now)
            if show.bar:
                show.bar.refresh()
                (bar,) = show.bar.tasks
                assert bar.total == (now.total or None)
                assert bar.completed == now.ended + 0.5 * len(now.working)
    assert "0/0 models | starting workers" in out.getvalue()
    assert "4/4 models" in out.getvalue()
