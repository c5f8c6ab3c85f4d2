"""What a target's one threshold finds of each class."""

from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from runner.audit._flags import Flags
from runner.statistics.averages import Averaging

ERROR = 0.05  # that any class is said to stand out by chance


def by_class(flags: Flags, labels: np.ndarray, over: Averaging) -> list[dict[str, Any]]:
    """Return TPR and FPR of each class that is judged, means over models, and which stand out.

    A class may have an FPR of its own above the target's, as where it is hard: members of it are
    then found by the same threshold that accuses its non-members.

    Args:
        labels: (n,) int, of the examples that are judged.
    """
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # a model without members of a class has no TPR of it
        tpr, fpr = flags.true / flags.members, flags.false / flags.non_members
        overall = (flags.true.sum(1) / flags.members.sum(1))[:, None]
        noise = overall * (1 - overall) / flags.members
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
                "stands_out": _stands_out((tpr - overall)[:, k], noise[:, k], over, len(judged)),
            }
        )
    return found


def _stands_out(
    difference: np.ndarray, noise: np.ndarray, over: Averaging, num_classes: int
) -> str | None:
    """Whether a class has a TPR "above" or "below" that of all members of the same model.

    By Student's t over pairs of models, and beyond what a count of so few members moves by itself,
    both corrected for the number of classes; None: neither. Few units often agree by chance, as
    where nobody of a small class is found: by t alone random scores had 100 classes of 25 members
    stand out in 81 of 100 simulations of 16 models.

    Args:
        noise: (M,) binomial variances of the class's TPR, if it were that of all members.
    """
    models = np.arange(len(difference))
    chosen = np.where(np.isin(models, over.models), difference, np.nan)
    other = np.where(over.partner < 0, models, over.partner)
    both = np.stack([models, other])[:, models <= other]
    both = both[:, np.isfinite(chosen[both]).any(0)]
    there = np.isfinite(chosen[both])
    units = np.where(there, chosen[both], 0).sum(0) / there.sum(0)
    if num_classes < 2 or len(units) < 2:
        return None
    level = 1 - ERROR / (2 * num_classes)
    by_units = stdtrit(len(units) - 1, level) * units.std(ddof=1) / np.sqrt(len(units))
    alone = both[0] == both[1]  # such a model is there twice
    of_units = np.where(there, noise[both], 0).sum(0) * np.where(alone, 2, 1) / there.sum(0) ** 2
    by_counts = ndtri(level) * np.sqrt(of_units.sum()) / len(units)
    if abs(units.mean()) <= max(by_units, by_counts):
        return None
    return "above" if units.mean() > 0 else "below"
