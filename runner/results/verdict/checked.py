"""Which check failed, and what that forbids one to say; which did not come to a verdict."""

from runner.report.verdicts import Verdict, verdicts
from runner.results.verdict.evidence import Evidence, Sentence, listed
from runner.results.verdict.forbidden import forbidden


def checked(evidence: Evidence) -> list[Sentence]:
    """Return the failed checks with what follows, or that none failed; and the undecided ones."""
    made = verdicts(evidence.results)
    failed = forbidden(evidence.results)
    parts = [f'the check "{one.check}" failed, so {one.follows}' for one in failed]
    if passed := sum(one.verdict == "pass" for one in made):
        other = "other check" if passed == 1 else "other checks"
        parts.append(f"{passed} {other if failed else f'of {len(made)} checks'} passed")
    if unknown := sum(one.verdict == "unknown" for one in made):
        parts.append(f"{unknown} could not be made")
    if undecided := _named([one for one in made if one.verdict == "undecided"]):
        told = "is undecided: chance alone may" if len(undecided) == 1 else "are undecided: chance"
        more = "be behind it" if len(undecided) == 1 else "alone may be behind them"
        parts.append(f"{listed(undecided)} {told} {more}, and more models would tell")
    if not parts:
        return []
    text = f"{'; '.join(parts)}."
    arms = list(dict.fromkeys(arm for one in failed for arm in one.arms))
    names = [one.check for one in failed]
    return [Sentence("checks", arms, text[0].upper() + text[1:], because=names)]


def _named(some: list[Verdict]) -> list[str]:
    """Each check once, with the arms that it was made of."""
    arms: dict[str, list[str]] = {}
    for one in some:
        arms.setdefault(one.check, []).extend([one.arm] if one.arm else [])
    return [f'"{check}"' + (f" of {listed(of)}" if of else "") for check, of in arms.items()]
