"""What went wrong while something was made: sentences with their times, over all its drivers."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from runner.driver.exits import DONE, INTERRUPTED, TERMINATED
from runner.storage.cloud import discreet

Event = dict[str, str]  # `at`, an ISO time in UTC; `text`
MAX_EVENTS = 500  # that are kept: the last ones


def now() -> str:
    """Return the time as all that drivers write has it: ISO, UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def event(text: str) -> Event:
    """Return what happened just now: one line, without the "note: " that a log has before it."""
    (line,) = discreet([" ".join(text.removeprefix("note: ").split())])
    return {"at": now(), "text": line}


def inherited(before: Mapping[str, Any] | None) -> list[Event]:
    """Return what a driver takes over from the one before: its events, and how it ended if badly.

    Args:
        before: what that one's driver.json says; None: there was none.
    """
    if before is None:
        return []
    events = [*before["events"]]
    if before["ended"] != DONE:
        which = f"process {before['pid']} on {before['host']}, begun at {before['since']}"
        events.append(event(f"{which}, {_how(before)}"))
    return events[-MAX_EVENTS:]


def _how(before: Mapping[str, Any]) -> str:
    """How a driver ended that did not end well."""
    ended, at = before["ended"], before["at"]
    if ended is None:
        return (
            f"was last heard of at {at} and did not say how it ended: killed, lost with its "
            "machine, or cut off from the storage"
        )
    if ended in (INTERRUPTED, TERMINATED):
        return f"was stopped at {at} (exit code {ended})"
    first, *rest = before["why"].splitlines() or [""]
    if first.endswith(":") and rest:  # a list follows: "2 of 12 models were not finished:"
        first = f"{first} {rest[0].strip()}"
    return f"ended at {at} with exit code {ended}: {first}"
