"""Where the results come from: when, on what, by which command, code and configuration."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered
from runner.report.text import DASH

HEADING = "Where it comes from"


def provenance_html(results: dict[str, Any], files: Files) -> str:
    """Return what is known as a list, and the resolved YAML to be opened; `files` are not read."""
    given = {"heading": HEADING, "lines": [*lines(results)], "config": config_yaml(results)}
    return rendered("blocks/provenance.html.j2", **given).rstrip("\n")


def lines(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (what, how it is told) of all that is known."""
    known = results.get("provenance") or {}
    if known.get("date"):
        yield "Written", known["date"]
    if known.get("command"):
        yield "Command", " ".join(["runner", *known["command"]])
    yield from _times(known)
    if devices := known.get("devices"):
        on = (f"{one['name']} ({one['num_models']} models)" for one in devices)
        yield "Trained on", "; ".join(on)
    if machine := known.get("machine"):
        yield "Report written on", _machine(machine)
    yield "Commit of the code", results.get("git_commit") or "not known"
    if code := results.get("code"):
        yield "Digest of the code", code["digest"]
        for stage, files in groupby(code["deciding"], key=lambda file: file["stage"]):
            told = ", ".join(f"{file['name']} {file['digest']}" for file in files)
            yield f"Own source and files ({stage}), part of each id", told
    yield "Versions", ", ".join(f"{name} {of}" for name, of in results["versions"].items())


def config_yaml(results: dict[str, Any]) -> str:
    """Return the resolved configuration as YAML; "" where it is not known."""
    return (results.get("provenance") or {}).get("config") or ""


def _times(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if known.get("duration_s") is not None:
        yield "The command took", _duration(known["duration_s"])
    if known.get("training_s") is not None:
        yield "Training took", f"{_duration(known['training_s'])}, of all models together"


def _machine(machine: dict[str, Any]) -> str:
    told = f"{machine['system']} {machine['architecture']}, {machine['processors']} processors"
    return f"{told}, {machine['memory_gib'] or DASH} GiB"


def _duration(seconds: float) -> str:
    """3725.2 -> 1 h 2 min 5 s."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((i for i, (n, _) in enumerate(parts) if n), 2)
    return " ".join(f"{n} {unit}" for n, unit in parts[first:])


BLOCK = Block("provenance", html=provenance_html)
