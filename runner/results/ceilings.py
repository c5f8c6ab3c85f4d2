"""The ceiling that is proved of any attack on an arm, and the check that none lies above it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from runner.plan.work import Work
from runner.results.checks import Check
from runner.statistics import metrics

NAME = "no attack finds more than is proved"


def ceiling_figures(work: Work, arm: str) -> dict[str, Any] | None:
    """Return what results.json has of an arm's ceiling; None: nothing is proved of its weights.

    One example added or removed, as epsilon is of; and what this audit is held to. Where canaries
    are drawn, each by a coin, that is the same, with all copies of one. In designs whose models all
    have as many members, another example takes a member's place.

    Where groups are members as a whole there is none: what is proved is of one example.

    By `interp` the audit's TPRs have no ceiling: which two thresholds are mixed is chosen by whom
    they find, so that scores which mean nothing have a TPR above the FPR in expectation.
    """
    if work.plan.groups is not None:
        return None
    canaries = work.experiment.design.canaries
    design = ("added", canaries.copies) if canaries else ("replaced", 1)
    added, held = work.trade_offs(arm, "added", 1), work.trade_offs(arm, *design)
    if not added or not held:
        return None
    rates = work.experiment.membership.false_positive_rates
    chosen = work.experiment.membership.tpr_rule == "interp"
    sizes = set((work.plan.member == 0).sum(1).tolist())  # of the models' non-members

    def most(of: Callable[[Any], float], curves: Sequence[Any]) -> float:
        return max(map(of, curves))

    def at_rates(curves: Sequence[Any]) -> dict[str, Any]:
        return {f"{r:g}": most(lambda c, r=r: c.tpr_at(r), curves) for r in rates}

    mu = most(lambda c: c.mu(), added)
    grid = metrics.roc_grid()
    return {
        "by": added[0].by,
        "one_example": {
            "auc": most(lambda c: c.auc(), added),
            "mu": mu if math.isfinite(mu) else None,
            "tpr_at_fpr": at_rates(added),
        },
        "audit": {
            "neighbours": design[0],
            "copies": design[1],
            "auc": min(1.0, most(lambda c: c.auc(), held) + 1 / min(sizes)),
            "tpr_at_fpr": {
                f"{r:g}": max(most(lambda c, r=r, n=n: c.observed(r, n), held) for n in sizes)
                for r in ([] if chosen else rates)
            },
            "roc": {
                "fpr": grid.tolist(),
                "tpr": [most(lambda c, x=x: c.tpr_at(x), held) for x in grid.tolist()],
            },
        },
    }


def ceiling_check(arms: Mapping[str, Any]) -> list[Check]:
    """Return the check of all arms that have a ceiling, or none where no arm has one.

    Args:
        arms: as results.json has them.
    """
    bounded = {name: arm for name, arm in arms.items() if arm.get("ceiling")}
    if not bounded:
        return []
    above = [told for name, arm in bounded.items() for told in _above(name, arm)]
    if above:
        told = "; ".join(above)
        return [Check(NAME, "fail", f"{told}: the training is not the one that the proof is of")]
    names = ", ".join(bounded)
    rates = any(arm["ceiling"]["audit"]["tpr_at_fpr"] for arm in bounded.values())
    what = "TPR or AUC" if rates else "AUC"
    return [Check(NAME, "pass", f"no interval of an attack's {what} lies above it ({names})")]


def _above(name: str, arm: Mapping[str, Any]) -> Iterator[str]:
    """What lies above the ceiling, its whole interval included."""
    held = arm["ceiling"]["audit"]
    for figures in filter(None, (arm, arm.get("averaged"))):
        strongest = {"the strongest attack": figures.get("strongest")}  # null of a single attack
        for attack, found in {**figures["membership"], **strongest}.items():
            if not found:
                continue
            known = {"AUC": (found["auc"], held["auc"])}
            for rate, most in held["tpr_at_fpr"].items():
                known[f"TPR at FPR {rate}"] = found["tpr_at_fpr"][rate], most
            for what, (figure, most) in known.items():
                low = figure["low"] if figure else None
                if low is not None and np.isfinite(low) and low > most:
                    yield (
                        f"{name}: {what} of {attack} is at least {low:.4g} by its interval, and "
                        f"{most:.4g} at the most by what is proved"
                    )
