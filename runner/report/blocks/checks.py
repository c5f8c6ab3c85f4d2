"""The checks of a run as Markdown."""

from typing import Any

from runner.report.markdown import headed, in_markdown

UNDECIDED = "Undecided: chance alone may be behind it; more models would tell."
SAID = {
    "pass": "passed",
    "fail": "FAILED",
    "undecided": "undecided",
    "unknown": "not known",
}


def in_short(results: dict[str, Any]) -> str:
    """Return how many checks had which verdict: 4 passed, 2 undecided; "" where none was made."""
    verdicts = [guard["verdict"] for guard in results.get("guards") or []]
    known = ((verdicts.count(verdict), said) for verdict, said in SAID.items())
    return ", ".join(f"{number} {said}" for number, said in known if number)


def guards_markdown(results: dict[str, Any]) -> str | None:
    """Return what every run is checked for before its privacy figures may be believed."""
    guards = results.get("guards") or []
    if not guards:
        return None
    rows = [[g["name"], SAID[g["verdict"]], g["says"]] for g in guards]
    table = headed(["check", "verdict", "what was found"], rows)
    told = "" if "undecided" not in {g["verdict"] for g in guards} else f"{UNDECIDED}\n"
    return "\n".join([f"# {in_markdown(results['experiment'])}: checks\n", f"{table}\n", told])
