"""Which check failed, and what that forbids one to say; which did not come to a verdict."""

from runner.results.verdict.evidence import Evidence, Sentence, listed
from runner.results.verdict.forbidden import forbidden


def checked(evidence: Evidence) -> list[Sentence]:
    """Return the failed checks with what follows, or that none failed; and the undecided ones."""
    guards = evidence.results.get("guards") or []
    failed = forbidden(evidence.results)
    parts = [f'the check "{one.check}" failed, so {one.follows}' for one in failed]
    passed = sum(check["verdict"] == "pass" for check in guards)
    if passed:
        other = "other check" if passed == 1 else "other checks"
        parts.append(f"{passed} {other if failed else f'of {len(guards)} checks'} passed")
    if unknown := sum(check["verdict"] == "unknown" for check in guards):
        parts.append(f"{unknown} could not be made")
    undecided = [f'"{check["name"]}"' for check in guards if check["verdict"] == "undecided"]
    if undecided:
        told = "is undecided: chance alone may" if len(undecided) == 1 else "are undecided: chance"
        more = "be behind it" if len(undecided) == 1 else "alone may be behind them"
        parts.append(f"{listed(undecided)} {told} {more}, and more models would tell")
    if not parts:
        return []
    text = f"{'; '.join(parts)}."
    arms = list(dict.fromkeys(arm for one in failed for arm in one.arms))
    names = [one.check for one in failed]
    return [Sentence("checks", arms, text[0].upper() + text[1:], because=names)]
