"""What went wrong, over all the drivers of a folder, from the queue to results.json."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from runner import pipeline
from runner.__main__ import app
from runner.driver import driver, events
from runner.driver.driver import Driver, read
from runner.driver.events import MAX_EVENTS, event, inherited
from runner.driver.lock import hold
from runner.driver.snapshot import Snapshot
from runner.faults import Stopped
from runner.plan.work import Work
from runner.storage.cloud import Folder
from runner.storage.store import StorageError
from tests.conftest import do_here

HOUSE = Path(__file__).parents[3]
HOLDS = """
import sys, time
from pathlib import Path
from runner.driver.lock import hold
with hold(Path(sys.argv[1]), print) as driving:
    driving.note("note: odd")
    driving.beat()
    print("holds", flush=True)
    time.sleep(60)
"""


def state(notes: list[str], failed: dict[str, str] | None = None) -> Snapshot:
    return Snapshot(4, 1, failed or {}, {}, notes, 3, "", 1.0, closed=True)


def texts(of: list[dict[str, str]]) -> list[str]:
    return [one["text"] for one in of]


def left(folder: Folder) -> list[dict[str, str]]:
    """The events that driver.json has."""
    found = read(folder / driver.FILE)
    assert found is not None
    return found["events"]


def test_an_event_is_one_line_with_the_time_and_without_what_logs_somebody_in():
    before = datetime.now(UTC).replace(microsecond=0)
    found = event("note: s3://me:secret@bucket/runs is\n  odd")
    assert found["text"] == "s3://***@bucket/runs is odd"
    at = datetime.fromisoformat(found["at"])
    assert before <= at <= datetime.now(UTC)
    assert at.utcoffset() is not None
    assert at.microsecond == 0


def test_each_note_and_each_failure_of_a_queue_is_heard_once_and_keeps_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = Driver(tmp_path)
    for second, seen in enumerate(
        (
            state([]),
            state(["a died"]),
            state(["a died"]),
            state(["a died", "b died"], {"m1": "odd"}),
            state(["a died", "b died"], {"m1": "odd"}),
            state([]),  # another queue, after something had to be set aside
            state(["a died"]),
            state(["a died"], {"m1": "odd"}),
        )
    ):
        monkeypatch.setattr(events, "now", lambda s=second: f"at {s}")
        one.saw(seen)
    expected = [(1, "a died"), (3, "b died"), (3, "m1 failed: odd"), (6, "a died")]
    expected += [(7, "m1 failed: odd")]
    assert one.events == [{"at": f"at {s}", "text": text} for s, text in expected]


def test_the_next_driver_goes_on_with_the_events_and_one_that_ended_well_adds_none(tmp_path: Path):
    with hold(tmp_path, print) as first:
        first.note("a worker died")
        assert read(tmp_path / driver.FILE) is not None
    before = left(tmp_path)
    assert texts(before) == ["a worker died"]
    with hold(tmp_path, print) as second:
        assert left(tmp_path) == before, "from its first sign of life on"
        second.note("a node was lost")
    assert left(tmp_path)[:1] == before
    assert texts(left(tmp_path)) == ["a worker died", "a node was lost"]


def test_the_last_ones_are_kept(tmp_path: Path):
    with hold(tmp_path, print) as first:
        for i in range(MAX_EVENTS + 3):
            first.note(f"{i}")
    assert texts(left(tmp_path)) == [f"{i}" for i in range(3, MAX_EVENTS + 3)]
    with pytest.raises(StorageError), hold(tmp_path, print):
        raise StorageError("full")
    with hold(tmp_path, print):
        assert len(left(tmp_path)) == MAX_EVENTS
        assert left(tmp_path)[-1]["text"].endswith("exit code 1: full")


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGKILL, "was last heard of at {at} and did not say how it ended: killed, lost"),
        (signal.SIGTERM, "was stopped at {at} (exit code 143)"),
    ],
)
def test_how_a_driver_was_made_to_end_is_told_by_the_next_one(
    tmp_path: Path, number: signal.Signals, told: str
):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        process.send_signal(number)
        process.communicate(timeout=30)
    before = read(tmp_path / driver.FILE)
    assert before is not None
    assert (before["ended"] is None) == (number == signal.SIGKILL)
    with hold(tmp_path, print):
        first, last = left(tmp_path)
    assert first["text"] == "odd"
    name = f"process {process.pid} on {socket.gethostname()}, begun at {before['since']}, "
    assert last["text"].startswith(name + told.format(at=before["at"]))
    with hold(tmp_path, print):
        assert left(tmp_path) == [first, last], "it is told once"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StorageError("no room\non it"), "exit code 1: no room"),
        (RuntimeError("odd"), "exit code 1: RuntimeError: odd"),
        (
            pipeline.Unfinished(
                "2 of 12 models were not finished:\n  erm-m002: odd\n  erm-m003: x"
            ),
            "exit code 1: 2 of 12 models were not finished: erm-m002: odd",
        ),
        (Stopped(130), "(exit code 130)"),
    ],
)
def test_an_error_that_ended_a_driver_is_told_in_one_line(
    tmp_path: Path, error: BaseException, told: str
):
    with pytest.raises(type(error)), hold(tmp_path, print):
        raise error
    assert left(tmp_path) == [], "its end is in `ended` and `why` until somebody comes after it"
    with hold(tmp_path, print):
        (only,) = left(tmp_path)
    assert only["text"].startswith(f"process {os.getpid()} on ")
    assert only["text"].endswith(told)


def test_one_that_is_refused_leaves_the_events_as_they_are(tmp_path: Path):
    with hold(tmp_path, print) as first:
        first.note("a worker died")
        first.beat()
        with pytest.raises(StorageError), hold(tmp_path, print):
            raise AssertionError("never entered")
        assert texts(left(tmp_path)) == ["a worker died"]
    assert inherited(None) == []


def test_a_storage_that_was_away_is_told_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    one = Driver(tmp_path / "there")
    real = Driver.write

    def away(self: Driver) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Driver, "write", away)
    assert one.beat()
    assert one.beat()
    assert one.events == []
    monkeypatch.setattr(Driver, "write", real)
    assert one.beat()
    assert one.beat()
    assert texts(left(tmp_path / "there")) == [
        "the storage was away for 0 s: Read-only file system"
    ]


def test_threads_that_add_and_write_at_once_lose_nothing(tmp_path: Path):
    with hold(tmp_path, print) as driving:
        over = threading.Event()

        def beat() -> None:
            while not over.is_set():
                driving.beat()

        heart = threading.Thread(target=beat)
        heart.start()
        seen: list[str] = []
        until = time.monotonic() + 0.3
        while time.monotonic() < until and len(seen) < 100:
            seen.append(f"queue {len(seen)}")
            driving.saw(state([*seen]))
            driving.note(f"driver {len(seen)}")
        over.set()
        heart.join()
    found = texts(left(tmp_path))
    assert [text for text in found if text.startswith("queue")] == seen
    assert len(found) == 2 * len(seen)


@pytest.mark.slow
def test_results_and_the_report_have_what_the_drivers_told(work: Work, tmp_path: Path):
    """Trained in this process; then as `runner report` does it, which is no driver."""
    do_here(work)

    def written() -> dict[str, Any]:
        return json.loads((work.folder / "results.json").read_bytes())

    runs = {"trained": 12, "reused": 0}
    pipeline.report(work, runs)
    assert written()["events"] == []
    assert not (work.folder / "report/events.md").exists()
    with hold(work.folder, print) as driving:
        driving.note("the first one's word")
        driving.note("the second one's word")
        results = pipeline.report(work, runs, events=driving.events)
        assert texts(results["events"]) == ["the first one's word", "the second one's word"]
    told = left(work.folder)
    assert written()["events"] == results["events"] == told
    config = tmp_path / "x.yaml"
    config.write_text(yaml.safe_dump(work.experiment.model_dump(mode="json", exclude_unset=True)))
    (work.folder / "results.json").unlink()
    (work.folder / "report/index.html").unlink()
    words = ["report", str(config), "--storage", str(work.store.root)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert written()["events"] == told
    assert written()["runs"] == {"trained": 0, "reused": 12}
    page = (work.folder / "report/index.html").read_bytes().decode()
    assert "the second one&#39;s word" in page
    assert left(work.folder) == told, "it is no driver"
    assert "the first one's word" in (work.folder / "report/events.md").read_bytes().decode()
