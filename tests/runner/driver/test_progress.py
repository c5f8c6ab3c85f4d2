import io
import re
from itertools import pairwise

import pytest
from rich.console import Console

from runner.driver.progress import Show, describe, duration
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
