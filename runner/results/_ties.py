"""True positive rates that ties keep below chance, said in a sentence."""

from collections.abc import Mapping

import numpy as np

from runner.audit.judged import Judged
from runner.statistics.averages import Averaging
from runner.statistics.metrics import Rule


def tied_warnings(
    found: Mapping[tuple[str, str], Judged], over: Averaging, rule: Rule
) -> list[str]:
    """Return a sentence on each attack whose scores are too coarse for a false positive rate.

    Scores of few values, as a share of right views is, have as few thresholds. Where even the
    first of them admits more non-members than a rate allows, a step rule reads the TPR of nobody:
    0, below the chance that a guess has. `interp` mixes two thresholds, as an attacker may.

    Args:
        found: what was judged of an arm and an attack.
    """
    if rule == "interp":
        return []
    said: dict[str, list[str]] = {}
    for (arm, attack), judged in found.items():
        far = [told for f in range(len(judged.rates)) if (told := _far(judged, f, over))]
        if far:
            said.setdefault(f"{attack}: {'; '.join(far)}", []).append(arm)
    return [
        f"{told} ({', '.join(arms)}): its scores take few values, so no threshold lies in between, "
        "and such a TPR may be below chance, which is no sign of privacy; "
        "`membership.tpr_rule: interp` mixes two thresholds"
        for told, arms in said.items()
    ]


def _far(judged: Judged, f: int, over: Averaging) -> str:
    """How far below a rate the thresholds stay, where ties and not a handful of examples do it."""
    rate, num_out = float(judged.rates[f]), judged.num_out
    reached = np.asarray(over.mean(judged.false_positives[:, f] / num_out).mean)
    if (rate * num_out < 1).any() or reached >= rate / 2:
        return ""
    return (
        f"the TPR at {100 * rate:g} % FPR is one at {100 * reached:.2g} %, "
        f"{100 * over.mean(judged.tpr[:, f]).mean:.1f} %"
    )
