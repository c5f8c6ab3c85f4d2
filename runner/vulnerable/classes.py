"""What a target's one threshold finds of each class."""

from typing import Any

import numpy as np
from scipy.special import stdtrit

from runner.averages import Averaging
from runner.vulnerable.flags import Flags

ERROR = 0.05  # that any class is said to stand out by chance


def by_class(flags: Flags, labels: np.ndarray, over: Averaging) -> list[dict[str, Any]]:
    """Return TPR and FPR of each class that is judged, means over models, and which stand out.

    A class may have an FPR of its own above the target's, as where it is hard: members of it are
    then found by the same threshold that accuses its non-members.

    Args:
        labels: (n,) int, of the examples that are judged.
    """
    with np.errstate(invalid="ignore"):  # a model without members of a class has no TPR of it
        tpr, fpr = flags.true / flags.members, flags.false / flags.non_members
    overall = flags.true.sum(1) / flags.members.sum(1)
    numbers = np.bincount(labels, minlength=tpr.shape[1])
    judged = np.flatnonzero(numbers)
    found = []
    for k in judged:
        means = [over.mean_where_defined(values[:, k]) for values in (tpr, fpr)]
        found.append(
            {
                "label": int(k),
                "num_examples": int(numbers[k]),
                "tpr": means[0] and means[0]._asdict(),
                "fpr": means[1] and means[1]._asdict(),
                "stands_out": _stands_out(tpr[:, k] - overall, over, len(judged)),
            }
        )
    return found


def _stands_out(difference: np.ndarray, over: Averaging, num_classes: int) -> str | None:
    """Whether a class has a TPR "above" or "below" that of all members of the same model.

    By Student's t over pairs of models, corrected for the number of classes; None: neither.
    """
    models = np.arange(len(difference))
    chosen = np.where(np.isin(models, over.models), difference, np.nan)
    other = np.where(over.partner < 0, models, over.partner)
    pairs = np.stack([chosen, chosen[other]])[:, models <= other]
    there = np.isfinite(pairs)
    units = np.where(there, pairs, 0).sum(0)[there.any(0)] / there.sum(0)[there.any(0)]
    if num_classes < 2 or len(units) < 2:
        return None
    reach = stdtrit(len(units) - 1, 1 - ERROR / (2 * num_classes))
    reach *= units.std(ddof=1) / np.sqrt(len(units))
    if abs(units.mean()) <= reach:
        return None
    return "above" if units.mean() > 0 else "below"
