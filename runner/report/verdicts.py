"""The verdict of every check that may mark a report, which the page and its sentences count."""

from typing import Any, NamedTuple

from runner.report.readings import readings

SANE = {  # of `sanity` in results.json, and what a check of PGD is called
    "eps_monotone": "accuracy falls as eps grows",
    "chance_at_large_eps": "accuracy falls to chance at eps 1",
    "more_steps_not_weaker": "more steps are not weaker",
    "black_box_not_stronger": "Square is not stronger than PGD",
}


class Verdict(NamedTuple):
    """What one check says, of the arm that it was made of; "" of all together."""

    of: str  # privacy, robustness, epsilon
    check: str
    verdict: str  # pass, fail, undecided, unknown
    arm: str = ""


def verdicts(results: dict[str, Any]) -> list[Verdict]:
    """Return the verdict of each check: of privacy, of PGD reading by reading, and of epsilons."""
    found = [Verdict("privacy", one["name"], one["verdict"]) for one in results.get("guards") or []]
    for reading in readings(results):
        made = reading.figures.get("sanity") or {}
        found += [
            Verdict("robustness", name, made[check]["verdict"], reading.label)
            for check, name in SANE.items()
            if made.get(check)
        ]
    for name, arm in ((results.get("epsilon") or {}).get("arms") or {}).items():
        alarm = arm.get("alarm") or (arm.get("own") or {}).get("alarm")
        if alarm or (arm.get("stated") or {}).get("status") == "proved":
            check = "canaries bear out what is proved"
            found.append(Verdict("epsilon", check, "fail" if alarm else "pass", name))
    return found
