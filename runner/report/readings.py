"""What is known of an arm: by one draw of its model's noise, and by the mean of several.

A model without noise has one reading. Every key may be missing: what was not measured is not shown.
"""

import math
from typing import Any, NamedTuple, TypeGuard

Figure = dict[str, Any]  # mean, low, high, num_models; None where it was not measured
Figures = dict[str, Any]  # an arm of results.json, or its `averaged`, which has the same shape

STRONGEST, COMBINED = "strongest", "mean_rank"  # what several attacks come to
INTERVAL = ("mean", "low", "high", "num_models")  # the columns of a figure in a CSV


class ArmFigures(NamedTuple):
    """The figures of an arm by so many draws."""

    arm: str
    place: int  # the arm's position, which decides its colour
    draws: int
    told: str  # of the draws, where the model has noise; else ""
    figures: Figures
    overstated: tuple[str, ...]  # evasion attacks that did not average over the model's noise

    @property
    def averaged(self) -> bool:
        return self.draws > 1

    @property
    def label(self) -> str:
        return label(self.arm, self.told)


def readings(results: dict[str, Any]) -> list[ArmFigures]:
    """Return one reading of each arm, and a second one right after it where there is noise."""
    found = []
    for place, (name, arm) in enumerate(results["arms"].items()):
        mean, overstated = arm.get("averaged"), tuple(arm.get("overstated") or ())
        told = by_draws(1) if mean or arm.get("randomized") else ""
        found.append(ArmFigures(name, place, 1, told, arm, overstated))
        if mean:
            draws, proved = mean["draws"], {"ceiling": arm.get("ceiling")}  # of any number of them
            told = by_draws(draws)
            found.append(ArmFigures(name, place, draws, told, mean | proved, overstated))
    return found


def label(arm: str, told: str) -> str:
    """Return what a row or a line is called: the arm, and over how many draws if it has noise."""
    return f"{arm} · {told}" if told else arm


def by_draws(draws: int) -> str:
    """1 -> 1 draw; 10 -> mean of 10 draws."""
    return "1 draw" if draws == 1 else f"mean of {draws} draws"


def membership(figures: Figures, attack: str) -> dict[str, Any]:
    """Return what is known of one membership attack, or of the strongest; empty if nothing is."""
    if attack == STRONGEST:
        return figures.get(STRONGEST) or {}
    return (figures.get("membership") or {}).get(attack) or {}


def attacks_of(results: dict[str, Any]) -> list[str]:
    """Return the strongest attack and the combination, where there are any, then each attack."""
    every = list(results["attacks"].get("membership", {}))
    first = [STRONGEST] if any(r.figures.get(STRONGEST) for r in readings(results)) else []
    first += [name for name in every if name == COMBINED]
    return [*first, *(name for name in every if name not in first)]


def rates_of(figures: Figures, attack: str) -> dict[str, Figure]:
    """Return the TPRs by the asked FPR, rising, without those that were not measured."""
    asked = {at: f for at, f in membership(figures, attack).get("tpr_at_fpr", {}).items() if f}
    return dict(sorted(asked.items(), key=lambda item: float(item[0])))


def ceilings(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is proved of any attack on an arm, of the arms of which something is."""
    return {name: arm["ceiling"] for name, arm in results["arms"].items() if arm.get("ceiling")}


def neighbours(results: dict[str, Any]) -> str:
    """Return what differs between the neighbours that an audit is held to; arms share a design."""
    audit = next(iter(ceilings(results).values()))["audit"]
    if audit["neighbours"] == "replaced":
        return "another example in a member's place (replaced)"
    of_copies = f", all its {audit['copies']} copies," if audit["copies"] > 1 else ""
    return f"one canary{of_copies} more or fewer (added)"


def calibrated(results: dict[str, Any]) -> list[str]:
    """Return the membership attacks whose scores are probabilities, so that thresholds apply."""
    return [
        attack
        for attack in results["attacks"].get("membership", {})
        if any(membership(r.figures, attack).get("thresholds") for r in readings(results))
    ]


def thresholds(results: dict[str, Any], attack: str) -> list[str]:
    """Return the thresholds of a calibrated attack, rising, as results.json writes them."""
    of_each = [membership(r.figures, attack).get("thresholds") or {} for r in readings(results)]
    return sorted({at for decided in of_each for at in decided}, key=float)


def share_of_members(results: dict[str, Any]) -> float:
    """Return the share of members among those judged: the precision of a guess."""
    data = results["data"]
    return data["num_members"] / max(data["num_members"] + data["num_negatives"], 1)


def measured(figure: Figure | None) -> TypeGuard[Figure]:
    """Whether a figure is there and has a mean."""
    return figure is not None and finite(figure.get("mean"))


def finite(value: Any) -> TypeGuard[float]:
    """Whether a number is there and finite."""
    return value is not None and math.isfinite(value)


def ends(figure: Figure, scale: float = 100) -> tuple[float, float, float]:
    """Return mean, low and high times `scale`; an end that is not known is the mean."""
    mean = scale * figure["mean"]
    low, high = (figure.get(key) for key in ("low", "high"))
    return mean, scale * low if finite(low) else mean, scale * high if finite(high) else mean


def hollow_marks(results: dict[str, Any]) -> str:
    """Return what hollow marks of a figure mean, to follow a caption; "" where there are none."""
    if not any(reading.averaged for reading in readings(results)):
        return ""
    return " Hollow marks: the mean of several draws of a model's noise."


def with_shadows(results: dict[str, Any], attack: str) -> str:
    """Return an attack's name, and whose models it learned from where that is one arm's."""
    if attack == STRONGEST:
        return "strongest attack"
    whose = _whose(results, attack)
    if not whose:
        return attack
    return f"{attack} (shadows: {'own arm' if _own(whose) else ', '.join(_arms(whose))})"


def shadows_told(results: dict[str, Any], attack: str) -> str:
    """Return a sentence on whose models an attack's shadows are.

    An attack that names none has those of the arm that it judges, unless it needs none.
    """
    if attack in results["attacks"].get("alone", ()):
        return "It has no shadows: it looks at no model but the one that it judges."
    whose = _whose(results, attack)
    if _own(whose):
        return "Its shadows are other models of the arm that it judges."
    return f"Its shadows are models of {', '.join(_arms(whose))}, whichever arm it judges."


def _whose(results: dict[str, Any], attack: str) -> dict[str, str]:
    """The arm of the shadows by the arm that is judged, where that is known."""
    known = {
        name: membership(arm, attack).get("shadow_arm") for name, arm in results["arms"].items()
    }
    return {arm: shadows for arm, shadows in known.items() if shadows}


def _own(whose: dict[str, str]) -> bool:
    return all(arm == shadows for arm, shadows in whose.items())


def _arms(whose: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(whose.values()))
