"""What is checked before privacy figures may be believed, and the null control."""

from typing import Any

from runner.report.blocks._block import Block, Files, as_html
from runner.report.html import rendered
from runner.report.quantities import QUANTITIES
from runner.report.text import headed, titled
from runner.report.verdicts import verdicts

HEADING = "Checks"
NULL = QUANTITIES["null_control/auc"]
UNDECIDED = "Undecided: chance alone may be behind it; more models would tell."
SAID = {
    "pass": "passed",
    "fail": "FAILED",
    "undecided": "undecided",
    "unknown": "not known",
}


def checks_in_short(results: dict[str, Any]) -> str:
    """Return how many checks had which verdict: 4 passed, 2 undecided; "" where none was made.

    Every check that may mark the report counts, also those of the attacks on robustness, arm by
    arm, and of a proved epsilon: else "7 passed" would stand beside a warning.
    """
    found: dict[str, list[str]] = {}
    for one in verdicts(results):
        found.setdefault(one.of, []).append(one.verdict)
    told = {of: _counted(each) for of, each in found.items()}
    if set(told) <= {"privacy"}:
        return told.get("privacy", "")
    return "; ".join(f"of {of}: {counted}" for of, counted in told.items())


def checks_markdown(results: dict[str, Any]) -> str | None:
    """Return the checks with their verdicts; None where none was made."""
    checks = results.get("guards") or []
    if not checks:
        return None
    rows = [[c["name"], SAID[c["verdict"]], c["says"]] for c in checks]
    table = headed(["check", "verdict", "what was found"], rows)
    told = "" if "undecided" not in {c["verdict"] for c in checks} else f"{UNDECIDED}\n"
    return "\n".join([f"{titled(results, 'checks')}\n", f"{table}\n", told])


def checks_html(results: dict[str, Any], files: Files) -> str:
    """Return the checks, if there are any, and the null control of all arms and of each."""
    text = checks_markdown(results)
    return rendered(
        "blocks/checks.html.j2",
        block=as_html("checks", HEADING, text, csv=False) if text else "",
        short=checks_in_short(results),
        by_arm=_by_arm(results),
        null=_null(results),
        nulls={name: _null(arm) for name, arm in results["arms"].items()},
        tolerance=results["null_control"]["tolerance"],
    )


def _counted(each: list[str]) -> str:
    known = ((each.count(verdict), said) for verdict, said in SAID.items())
    return ", ".join(f"{number} {said}" for number, said in known if number)


def _by_arm(results: dict[str, Any]) -> list[str]:
    """The checks of robustness and of epsilon that did not pass, with the arms that they are of."""
    arms: dict[tuple[str, str], list[str]] = {}
    for one in verdicts(results):
        if one.of != "privacy" and one.verdict != "pass":
            arms.setdefault((one.check, SAID[one.verdict]), []).append(one.arm)
    return [f"{check}: {said} of {', '.join(of)}" for (check, said), of in arms.items()]


def _null(holder: dict[str, Any]) -> dict[str, Any] | None:
    """The null control of the results or of an arm, as the page shows it."""
    null = holder.get("null_control")
    return null and {"auc": NULL.printed(null["auc"], 0), "verdict": null["verdict"]}


BLOCK = Block("checks", HEADING, markdown=checks_markdown, html=checks_html)
