"""One command tried again: what is set aside, what is waited for, and when it gives up."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from runner.driver.driver import read
from runner.driver.exits import ending
from runner.driver.repair import (
    MAX_ATTEMPTS,
    MAX_RETURNS,
    MadeElsewhere,
    at_work,
    set_aside_broken,
    until_sound,
)
from runner.faults import Unfinished
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.store import Corrupt, Store
from tests.made.shares import unmounted


@pytest.fixture
def at(tmp_path: Path) -> Store:
    there = Store(tmp_path / "share")
    there.check_writable()
    return there


def finished(at: Store, run_id: str) -> Folder:
    """The folder of a finished Run of one small file."""
    folder = at.run(run_id)
    store.write(folder / "run.json", b"{}")
    store.finish(folder, ["run.json"], {})
    return folder


class Fails:
    """An attempt that raises these errors, one at a time, and then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.count = [*errors], 0

    def __call__(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "made"


def test_what_is_corrupt_is_set_aside_told_once_and_the_next_attempt_counts(at: Store):
    folder, told = finished(at, "erm-m000"), []
    attempt = Fails(*[Corrupt(str(folder / "run.json"), "it is short")] * 2)
    assert until_sound(attempt, at, told.append) == "made"
    assert attempt.count == 3
    assert (at.root / "runs/erm-m000.corrupt-1/run.json").exists()
    # The second time it was not there any more, as where another process is quicker.
    assert told == [
        f"note: {folder}/run.json: it is short; set aside as erm-m000.corrupt-1, made again"
    ]


def test_what_another_process_makes_again_is_tried_again_without_a_word(at: Store):
    told = []
    assert until_sound(Fails(MadeElsewhere(), MadeElsewhere()), at, told.append) == "made"
    assert told == []


def test_a_command_that_meets_corrupt_files_again_and_again_gives_up(at: Store):
    attempt = Fails(*[Corrupt(str(finished(at, f"m{n}")), "odd") for n in range(MAX_ATTEMPTS + 1)])
    with pytest.raises(Unfinished, match=f"{MAX_ATTEMPTS} corrupt files in a row below {at.root}"):
        until_sound(attempt, at, lambda text: None)
    assert attempt.count == MAX_ATTEMPTS
    assert len([*at.root.glob("runs/*.corrupt-1")]) == MAX_ATTEMPTS


def test_a_storage_that_is_away_is_waited_for_and_what_for_is_told(at: Store):
    told: list[str] = []
    folder = finished(at, "erm-m000")

    def attempt() -> object:
        if not told:
            unmounted(Path(str(at.root)), lambda: bool(told))
        return store.facts(folder)

    assert until_sound(attempt, at, told.append) == {}
    assert told == [
        f"note: {at.root}: the storage folder is not there; is it mounted?; waits up to 300 s for "
        "the storage"
    ]


def test_a_storage_that_goes_away_again_and_again_ends_it(at: Store):
    attempt, told = Fails(*[OSError(5, "Input/output error")] * 9), []
    with pytest.raises(OSError, match="Input/output error"):
        until_sound(attempt, at, told.append)
    assert attempt.count == MAX_RETURNS + 1
    assert len(told) == MAX_RETURNS


def test_a_storage_that_stays_away_ends_it(at: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "PATIENCE_S", 0.0)
    attempt, told = Fails(OSError(5, "Input/output error", "a/b")), []
    with pytest.raises(OSError, match="Input/output error"):
        until_sound(attempt, at, told.append)
    assert attempt.count == 1
    assert told == ["note: a/b: Input/output error; waits up to 0 s for the storage"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), Unfinished("2 models"), KeyError("odd")]
)
def test_nobody_waits_for_what_does_not_pass(at: Store, error: Exception):
    attempt, told = Fails(error), []
    with pytest.raises(type(error)):
        until_sound(attempt, at, told.append)
    assert attempt.count == 1
    assert told == []


def test_folders_that_are_cut_short_are_set_aside_and_all_others_stay(at: Store):
    whole, cut, told = finished(at, "whole"), finished(at, "cut"), []
    runs = Path(str(at.root)) / "runs"
    (runs / "cut" / "run.json").write_bytes(b"{")
    set_aside_broken([whole, cut, at.run("never")], told.append)
    assert sorted(path.name for path in runs.iterdir()) == ["cut.corrupt-1", "whole"]
    assert told == [
        f"note: {cut}/run.json: 2 bytes were written, 1 are there; set aside as cut.corrupt-1, "
        "made again"
    ]


def test_a_note_is_printed_and_kept_and_another_line_is_printed(at: Store):
    out, folder = io.StringIO(), at.experiment("x")
    with at_work(at, folder, Console(file=out, width=200)) as driving:
        driving.tell("erm: converting 2 files")
        driving.tell("note: a file was set aside")
    assert [line[20:] for line in out.getvalue().splitlines()] == [
        "erm: converting 2 files",
        "note: a file was set aside",
    ]
    found = read(folder / "driver.json")
    assert found is not None
    assert [event["text"] for event in found["events"]] == ["a file was set aside"]


def test_a_storage_that_fails_a_command_is_named_with_the_way_on(at: Store):
    with (
        pytest.raises(Unfinished, match="No space left") as caught,
        at_work(at, at.experiment("x"), Console(quiet=True)),
    ):
        raise OSError(28, "No space left on device")
    code, message = ending(caught.value)
    assert code == 1
    assert message.startswith(f"{at.root}: No space left on device\nWhat is finished is kept")
