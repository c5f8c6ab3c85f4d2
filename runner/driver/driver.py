"""What a driver tells of itself: driver.json, which others read to know how it is."""

import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from runner.driver._losses import Losses
from runner.driver.events import MAX_EVENTS, Event, event, inherited, now
from runner.driver.snapshot import Snapshot, remaining_s
from runner.storage import store
from runner.storage.cloud import Folder, discreet

FILE = "driver.json"
KEYS = {"id", "host", "pid", "since", "at", "stage", "ended", "why", "models", "settings"}
KEYS |= {"working", "failed", "remaining_s", "events"}
BEAT_S = 5.0  # between two signs of life


class Driver:
    """What the driver of a folder tells of itself.

    Several threads add to `events` and read it: it only grows, by single appends.
    """

    def __init__(self, folder: Folder, say: Callable[[str], object] = lambda text: None) -> None:
        """
        Args:
            say: prints a line.
        """
        self.path, self._say = folder / FILE, say
        self.id = uuid.uuid4().hex[:12]
        self.taken_over = ""  # by whom
        self._stage, self._since = "starting", now()
        self._state: Snapshot | None = None
        self._settings: dict[str, Any] | None = None
        self._losses = Losses()
        self._counted: tuple[int, int, float] | None = None  # total, done, since when
        self._events: list[Event] = []
        self._away: tuple[float, str] | None = None  # since when by the clock, and why

    @property
    def events(self) -> list[Event]:
        """What went wrong, in this driver and in those before it: the last MAX_EVENTS."""
        return self._events[-MAX_EVENTS:]

    def follow(self, before: dict[str, Any] | None) -> None:
        """Take over the events of the driver before; once, before anything is written."""
        self._events = inherited(before)

    def enter(self, stage: str) -> None:
        """Say what is done from now on, such as "training"."""
        self._stage = stage

    def saw(self, state: Snapshot) -> None:
        """Take in the state of the queue; what it has not told before becomes events."""
        notes, failed = (self._state.notes, self._state.failed) if self._state else ([], {})
        self._state = state
        self._losses.see(state)
        goes_on = state.notes[: len(notes)] == notes  # else it is another queue
        for note in state.notes[len(notes) if goes_on else 0 :]:
            self.note(note)
        for run, reason in state.failed.items():
            if failed.get(run) != reason:
                self.note(f"{run} failed: {reason}")

    def tell(self, text: str) -> None:
        """Print a line; one that begins with "note: " is also an event."""
        self._say(text)
        if text.startswith("note: "):
            self.note(text)

    def note(self, text: str) -> None:
        """Keep a sentence on what went wrong, with the time."""
        self._events.append(event(text))

    def count_settings(self, total: int, asked: Sequence[Mapping[str, Any]]) -> None:
        """Say how far a sweep is.

        Args:
            total: how many settings there will be.
            asked: what is to be said of those that were asked for, with the `state` of each.
        """
        ended = sum(each["state"] != "running" for each in asked)
        self._settings = {"total": total, "ended": ended, "asked": [*asked]}

    def count_models(self, total: int, done: int) -> None:
        """Say how far it is where no queue does."""
        began = self._counted[2] if self._counted else time.monotonic()
        self._counted = total, done, began

    def write(self, ended: int | None = None, why: str = "") -> None:
        """Write driver.json; docs/store.md has its keys."""
        state = self._state
        facts = {
            "id": self.id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "command": discreet(sys.argv[1:]),
            "since": self._since,
            "at": now(),
            "every_s": BEAT_S,
            "stage": self._stage,
            "ended": ended,
            "why": why,
            "models": self._models(),
            "settings": self._settings,
            "working": {
                worker: {
                    "run": work.run_id,
                    "word": work.word,
                    "part": work.part,
                    "losses": self._losses.of(work.run_id),
                }
                for worker, work in (state.working.items() if state and ended is None else ())
            },
            "failed": state.failed if state else {},
            "remaining_s": self._remaining_s() if ended is None else None,
            "events": self.events,
        }
        store.write_json(self.path, facts)

    def _models(self) -> dict[str, int] | None:
        """How many models there are, done, failed, waiting and to come; None: nobody has said."""
        if state := self._state:
            failed, to_come = len(state.failed), round(state.to_come)
            total, done, waiting = state.counts
        elif self._counted:
            total, done, _ = self._counted
            failed, to_come, waiting = 0, 0, total - done
        else:
            return None
        told = {"total": total, "done": done, "failed": failed}
        return {**told, "waiting": waiting, "to_come": to_come}

    def _remaining_s(self) -> int | None:
        """The seconds until its models are done, if the rest goes as what is done went."""
        if self._state:
            return round(remaining_s(self._state))
        if not self._counted or not self._counted[1]:
            return None
        total, done, began = self._counted
        return round((time.monotonic() - began) * (total - done) / done)

    def beat(self) -> bool:
        """Write driver.json again; False if another driver's is there in its place."""
        try:
            found = read(self.path)
            if found and found["id"] != self.id:
                self.taken_over = (
                    f"{self.path.parent}: {who(found)} has taken over, so this one left; "
                    "what is finished is kept"
                )
                return False
            self.write()
        except OSError as error:  # the storage is away; the next one may come through
            self._away = self._away or (time.monotonic(), error.strerror or str(error))
            return True
        if self._away:
            since, why = self._away
            self._away = None
            self.note(f"the storage was away for {time.monotonic() - since:.0f} s: {why}")
        return True


def read(path: Folder) -> dict[str, Any] | None:
    """Return what a driver.json says; None if there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) and found.keys() >= KEYS else None


def age_s(found: dict[str, Any], now: float) -> float:
    """Return the seconds since a driver was last heard of, at a UNIX time."""
    return now - datetime.fromisoformat(found["at"]).timestamp()


def who(found: dict[str, Any]) -> str:
    """Return what to call the driver that wrote it."""
    return f"another driver (process {found['pid']} on {found['host']}, since {found['since']})"
