"""Several attacks on one arm together: the strongest one, chosen honestly, and whom they find.

Letters: A attacks, M models, R resamples, F false positive rates.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.audit.judged import Judged, read_judged, read_overlap
from runner.experiment.judging import STRONGEST
from runner.results.membership import negatives
from runner.statistics.averages import Averaging
from runner.statistics.intervals import ERROR, Interval
from runner.statistics.strongest import Strongest, strongest
from runner.storage.cloud import Folder
from runner.storage.scores import Reading

if TYPE_CHECKING:  # it would be torch, which `compare` does not wait for
    from runner.plan.subject import Subject

BOTH_WAYS = (-1.0, 1.0)  # bounds of the difference of two shares
Arrays = tuple[np.ndarray, np.ndarray]  # a figure of each model (M,), and resampled (M, R)
Leakage = dict[str, Arrays]  # by figure


def figures_of(work: "Subject") -> list[str]:
    """Return what every attack has: "auc", "tpr_at_fpr/0.01" and so on."""
    return ["auc", *(f"tpr_at_fpr/{at:g}" for at in work.settings.membership.false_positive_rates)]


def leakages(work: "Subject", judged: Folder, arm: str, draws: int) -> dict[str, Leakage]:
    """Return every figure of each model by each reading of an arm, the strongest one first.

    The strongest is there where there is something to choose from: two attacks, or more. The
    combination is one of them, since it was settled before anybody looked.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    return leakages_of(_read(work, judged, arm, draws), figures_of(work), work.over)


def leakages_of(
    read: Mapping[str, Judged], figures: Sequence[str], over: Averaging
) -> dict[str, Leakage]:
    """Return what `leakages` does, of what was read already of an arm.

    Args:
        read: by the attack or the combination, all there are.
        figures: as `figures_of` names them, in the order of the rates.
    """
    of_each = {
        name: {
            figure: (_points(one)[:, f], one.resampled[:, :, f]) for f, figure in enumerate(figures)
        }
        for name, one in read.items()
    }
    if len(read) == 1:
        return of_each
    chosen = _chosen(read, figures, over)
    strong = {figure: (one.point, one.resampled) for figure, one in chosen.items()}
    return {STRONGEST: strong, **of_each}


def over_apart(work: "Subject", one: Arrays, other: Arrays, error: float = ERROR) -> Interval:
    """Return how much more one arm leaks than another, model by model and resample by resample.

    Args:
        error: how often the interval may miss.
    """
    over = work.over._replace(error=error)
    return over.leakage(one[0] - other[0], one[1] - other[1], BOTH_WAYS)


def strongest_figures(
    work: "Subject", judged: Folder, arm: str, draws: int
) -> dict[str, Any] | None:
    """Return `strongest` of an arm; docs/results_schema.md has its keys. None of a single attack.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    read = _read(work, judged, arm, draws)
    if len(read) == 1:
        return None
    found = {
        figure: {
            **work.over.leakage(one.point, one.resampled)._asdict(),
            "chosen": {name: float(share) for name, share in zip(read, one.shares, strict=True)},
        }
        for figure, one in _chosen(read, figures_of(work), work.over).items()
    }
    membership, num_out = work.settings.membership, next(iter(read.values())).num_out
    return {
        "auc": found["auc"],
        "tpr_at_fpr": {
            f"{at:g}": {
                **found[f"tpr_at_fpr/{at:g}"],
                **negatives(at, int(num_out.min()), membership.tpr_rule),
            }
            for at in membership.false_positive_rates
        },
    }


def overlap_figures(work: "Subject", judged: Folder, arm: str, draws: int) -> dict[str, Any] | None:
    """Return `overlap` of an arm; docs/results_schema.md has its keys. None of a single attack.

    Whoever calls a member whom any of several attacks calls one accuses more non-members than each
    of them: the share of members that any finds stands beside the rate of the false ones.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    attacks = list(work.settings.membership.attacks)
    if len(attacks) == 1:
        return None
    first = Reading(arm, draws, attacks[0], "member")
    found, own, over = read_overlap(judged, first), read_judged(judged, first), work.over
    at = {}
    for f, rate in enumerate(found.rates):
        both = found.both[:, f]
        at[f"{rate:g}"] = {
            "any": {
                "tpr": over.mean(found.any_true[:, f] / own.num_in)._asdict(),
                "fpr": over.mean(found.any_false[:, f] / own.num_out)._asdict(),
            },
            "pairs": [
                {"attacks": [attacks[i], attacks[j]], "jaccard": _jaccard(both, i, j, work)}
                for i, j in combinations(range(len(attacks)), 2)
            ],
        }
    return {"num_members": int(own.num_in.min()), "at_fpr": at}


def changed_places(work: "Subject", judged: Folder) -> dict[str, Any]:
    """Return `places` of results.json: of which two arms leaks more hangs on the attack.

    A change is clear where one attack has the one arm above and another one the other, each with
    an interval without 0; else it is within noise. Differences are taken as in `comparisons`, and
    a randomized arm is read by one draw. Of two arms that all attacks order alike nothing is said.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    if len(work.settings.membership.readings) == 1:
        return {"num_compared": 0, "changes": []}
    of_arms = {arm: leakages(work, judged, arm, 1) for arm in work.plan.arms}
    pairs = list(combinations(of_arms, 2))
    figures = list(_distinct(work, judged))
    changes = [
        {"arms": list(pair), "figure": figure, **change}
        for pair in pairs
        for figure in figures
        if (change := _change(work, of_arms[pair[0]], of_arms[pair[1]], figure))
    ]
    return {"num_compared": len(pairs) * len(figures), "changes": changes}


def _change(
    work: "Subject", one: dict[str, Leakage], other: dict[str, Leakage], figure: str
) -> dict[str, Any] | None:
    """How each reading orders two arms by a figure; None where all order them alike."""
    points = [of[figure][0] - other[name][figure][0] for name, of in one.items()]
    means = [work.over.mean(point, BOTH_WAYS).mean for point in points]
    if min(means) >= 0 or max(means) <= 0:
        return None
    under = {name: over_apart(work, of[figure], other[name][figure]) for name, of in one.items()}
    clear = any(i.low > 0 for i in under.values()) and any(i.high < 0 for i in under.values())
    return {
        "under": {name: interval._asdict() for name, interval in under.items()},
        "change": "clear" if clear else "within_noise",
    }


def _distinct(work: "Subject", judged: Folder) -> Iterator[str]:
    """The figures that are compared; of rates at zero false positives, which are one, the first."""
    yield "auc"
    membership, zero = work.settings.membership, False
    reading = Reading(next(iter(work.plan.arms)), 1, next(iter(membership.attacks)), "member")
    num_out = int(read_judged(judged, reading).num_out.min())
    for at in membership.false_positive_rates:
        at_zero = negatives(at, num_out, membership.tpr_rule)["at_zero_false_positives"]
        if not (at_zero and zero):
            yield f"tpr_at_fpr/{at:g}"
        zero |= at_zero


def _read(work: "Subject", judged: Folder, arm: str, draws: int) -> dict[str, Judged]:
    """Every reading of an arm, by the attack or the combination."""
    names = work.settings.membership.readings
    return {name: read_judged(judged, Reading(arm, draws, name, "member")) for name in names}


def _chosen(
    read: Mapping[str, Judged], figures: Sequence[str], over: Averaging
) -> dict[str, Strongest]:
    """The strongest of all readings of an arm, chosen for each figure anew."""
    points = np.stack([_points(one) for one in read.values()])  # (A, M, 1 + F)
    resampled = np.stack([one.resampled for one in read.values()])
    return {
        figure: strongest(points[:, :, f], resampled[:, :, :, f], over)
        for f, figure in enumerate(figures)
    }


def _points(one: Judged) -> np.ndarray:
    """AUC and TPRs of each model, (M, 1 + F)."""
    return np.column_stack([one.auc, one.tpr])


def _jaccard(both: np.ndarray, i: int, j: int, work: "Subject") -> dict[str, Any] | None:
    """Of the members that either attack finds, the share that both do; None where none is found."""
    either = both[:, i, i] + both[:, j, j] - both[:, i, j]
    with np.errstate(invalid="ignore"):  # a model of which neither finds anybody has no share
        found = work.over.mean_where_defined(both[:, i, j] / either)
    return found and found._asdict()
