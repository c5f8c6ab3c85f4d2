"""Which arms make a line when figures are drawn against a number of their defenses."""

from typing import Any, NamedTuple

from runner.report.readings import Reading, readings


class DialLine(NamedTuple):
    """Arms that differ in the dial, by one number of draws; `points` rise with the dial."""

    value: float | None  # of the number that parts the lines; None where an arm has no such
    averaged: bool
    points: list[tuple[float, Reading]]

    @property
    def connected(self) -> bool:
        """Whether one arm stands at each value: through two at one, no line would mean anything."""
        at = [value for value, _ in self.points]
        return len(set(at)) == len(at)


def dial_lines(results: dict[str, Any]) -> list[DialLine]:
    """Return the lines that `report` of the configuration asks for; none where it asks for none.

    Each value of `by` has a line for one draw and, where an arm of it was averaged over several,
    one for their mean, in which an arm without noise stands as it is. Arms without the dial are
    left out; the baseline stands at 0 of every line and nowhere else.
    """
    chosen = results.get("report") or {}
    against, by, baseline = (chosen.get(key) for key in ("against", "by", "baseline"))
    placed = [
        (arm["dials"].get(by) if by else None, arm["dials"][against], name)
        for name, arm in results["arms"].items()
        if against in (arm.get("dials") or {}) and name != baseline
    ]
    values = sorted({value for value, *_ in placed}, key=lambda v: (v is None, v or 0))
    found = []
    for value in values:
        arms = [(at, name) for of, at, name in placed if of == value]
        if baseline in results["arms"]:
            arms.append((0.0, baseline))
        for averaged in (False, True):
            points = [(at, _reading(results, name, averaged)) for at, name in sorted(arms)]
            if not averaged or any(reading.averaged for _, reading in points):
                found.append(DialLine(value, averaged, points))
    return found


def _reading(results: dict[str, Any], arm: str, averaged: bool) -> Reading:
    """An arm's reading of one draw, or of their mean where it has one."""
    one, *mean = (reading for reading in readings(results) if reading.arm == arm)
    return mean[0] if averaged and mean else one
