"""The ROC curves as the page draws them: the arms under an attack, and the attacks on an arm."""

from typing import Any

from runner.report import live
from runner.report.columns import num_negatives
from runner.report.live import PERCENT, Live
from runner.report.readings import ArmFigures, membership, readings, with_shadows

HINT = "Point at the curves, or use the arrow keys, to read them off; drag to see a part"
CEILING = "1.5 3"
MANY = 60  # curves, of which every second point is enough: a page has 1.5 MB


def roc_live(results: dict[str, Any]) -> Live | None:
    """Return a panel an attack where there are several arms, and one an arm where several attacks.

    The axes begin at the smallest FPR that the non-members of a model can show, or at a decade
    above it. None where there is no curve.
    """
    arms, attacks = readings(results), list(results["attacks"].get("membership", {}))
    if not any(_curve(arm, attack) for arm in arms for attack in attacks):
        return None
    smallest = 1 / max(num_negatives(results, attack) for attack in attacks)
    drawn = _Drawn(results, arms, attacks, smallest)
    panels = []
    if len(arms) > 1:
        panels += [drawn.panel(with_shadows(results, a), arms, [a], by_arm=True) for a in attacks]
    if len(attacks) > 1 or len(arms) == 1:
        panels += [
            drawn.panel(f"{arm.label}: all attacks", [arm], attacks, by_arm=False) for arm in arms
        ]
    return {
        "name": "ROC curves",
        "ranges": _ranges(smallest),
        "series": drawn.series,
        "grids": drawn.grids,
        "curves": drawn.curves,
        "panels": [panel for panel in panels if panel["lines"]],
    }


class _Drawn:
    """Collects curves once, however many panels they stand in."""

    def __init__(
        self, results: dict[str, Any], arms: list[ArmFigures], attacks: list[str], smallest: float
    ) -> None:
        self.smallest = smallest
        self.every = 2 if len(arms) * len(attacks) > MANY else 1  # of the points of a curve
        self.grids: list[list[float]] = []
        self.curves: list[Live] = []
        self.series = live.of_arms(results)
        self.of_arm = {arm.label: i for i, arm in enumerate(arms)}
        self.of_attack = {attack: len(arms) + i for i, attack in enumerate(attacks)}
        for i, attack in enumerate(attacks):
            name = with_shadows(results, attack)
            self.series.append(live.series(live.attack_key(name), name, i))
        self.known = {
            (arm.label, attack): self._added(curve)
            for arm in arms
            for attack in attacks
            if (curve := _curve(arm, attack))
        }
        self.ceilings = {arm.label: self._ceiling(arm) for arm in arms}

    def panel(self, name: str, arms: list[ArmFigures], attacks: list[str], by_arm: bool) -> Live:
        """One panel: its lines are arms, or attacks."""
        lines = []
        for arm in arms:
            for attack in attacks:
                if (at := self.known.get((arm.label, attack))) is not None:
                    of = self.of_arm[arm.label] if by_arm else self.of_attack[attack]
                    lines.append({"of": of, "curve": at})
            if lines and (proved := self.ceilings[arm.label]):
                lines.append(proved)
        return {
            "name": name,
            "hint": HINT,
            "x": live.axis("false-positive rate", 100 * self.smallest, 100, PERCENT),
            "y": live.axis("true-positive rate", 0, 100, PERCENT),
            "guides": [
                {"diagonal": True, "name": "chance"},
                {"x": live.short(100 * self.smallest), "name": "one false positive"},
            ],
            "lines": lines,
        }

    def _ceiling(self, arm: ArmFigures) -> Live | None:
        """What is proved of any attack on an arm, as a line of its own."""
        proved = ((arm.figures.get("ceiling") or {}).get("audit") or {}).get("roc")
        if not proved or arm.averaged:
            return None
        own = self.series[self.of_arm[arm.label]]
        self.series.append({**own, "name": f"{arm.label}: proved ceiling", "dash": CEILING})
        return {"of": len(self.series) - 1, "curve": self._added(proved)}

    def _added(self, curve: dict[str, Any]) -> int:
        """The place of a curve among all, without what lies far below what can be seen."""
        seen = [i for i, rate in enumerate(curve["fpr"]) if rate >= self.smallest / 2]
        seen = seen[:: -self.every][::-1]  # with the last one
        grid = live.shorts((curve["fpr"][i] for i in seen), 100)
        if grid not in self.grids:
            self.grids.append(grid)
        found: Live = {"x": self.grids.index(grid), "y": self._part(curve["tpr"], seen)}
        if curve.get("low") and curve.get("high"):
            found |= {end: self._part(curve[end], seen) for end in ("low", "high")}
        self.curves.append(found)
        return len(self.curves) - 1

    def _part(self, values: list[float], seen: list[int]) -> list[float]:
        return live.shorts((values[i] for i in seen), 100)


def _curve(arm: ArmFigures, attack: str) -> dict[str, Any] | None:
    """The curve of an attack on an arm, where there is one."""
    curve = membership(arm.figures, attack).get("roc")
    return curve if curve and curve.get("fpr") else None


def _ranges(smallest: float) -> list[float]:
    """Where the axis may begin, in percent: the smallest FPR, then decades above it up to 10 %."""
    decades = [10.0**power for power in range(-7, 2)]
    return [live.short(100 * smallest), *(at for at in decades if at > 100 * smallest)]
