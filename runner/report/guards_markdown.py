"""The checks of a run as Markdown."""

from typing import Any

from runner.report.markdown import headed, in_markdown

SAID = {
    "pass": "passed",
    "fail": "FAILED",
    "undecided": "undecided: more models would tell",
    "unknown": "not known",
}


def guards_markdown(results: dict[str, Any]) -> str | None:
    """Return what every run is checked for before its privacy figures may be believed."""
    guards = results.get("guards") or []
    if not guards:
        return None
    rows = [[g["name"], SAID[g["verdict"]], g["says"]] for g in guards]
    table = headed(["check", "verdict", "what was found"], rows)
    return f"# {in_markdown(results['experiment'])}: checks\n\n{table}\n"
