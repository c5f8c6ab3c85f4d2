"""Leakage and accuracy of examples by how much they are memorized."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.plan.work import Work
from runner.results._memorization_scores import bin_edges, bins_of, is_correct, rates_by_bin, scored
from runner.statistics.averages import Averaging
from runner.statistics.metrics import smallest_fpr, threshold_at_fpr
from runner.storage.scores import Reading, read_scores

Rates = Mapping[str, np.ndarray]  # by quantity (M, K + 2): of all examples, then of each bin


def leakage_by_memorization(work: Work) -> dict[str, Any]:
    """Return `memorization` of results.json, whose keys docs/results_schema.md has.

    Each target has one threshold for all bins, at the false positive rate over all its non-members
    that have a memorization score. Every target counts, whatever `averages.num_models` is. The
    figures of a randomized arm are of one draw. Source: DeMem, section 3.2 and figure 1.

    Args:
        work: of an experiment that asks for it.

    Raises:
        ValueError: the published file is not of this data.
        Corrupt: something that was finished cannot be read.
    """
    chosen, plan, scores = work.experiment.memorization, work.plan, work.scores
    assert chosen is not None
    score, targets, standard_error, labels_compared = scored(work)
    edges = bin_edges(chosen.num_bins, standard_error)
    bins, rate = bins_of(score, edges), chosen.false_positive_rate
    attack = chosen.attack or next(iter(work.settings.membership.attacks))
    rates: dict[str, dict[str, np.ndarray]] = {}
    for name, runs in plan.arms.items():
        rates[name] = {}
        for m in targets:
            found = read_scores(scores, Reading(name, 1, attack, "member"), m)
            correct = is_correct(work, name, m)
            of_target = target_rates(found, correct, plan.member[m], bins, len(edges) - 1, rate)
            for key, values in of_target.items():
                unknown = np.full((len(runs), len(edges) + 1), np.nan)
                rates[name].setdefault(key, unknown)[m] = values
    shares = _shares(plan.member, bins, targets, len(edges))
    num_negatives = int(((plan.member[targets] == 0) & (bins >= 0)).sum(1).min())
    reference = chosen.arm or next(iter(plan.arms))
    over = work.over
    return {
        "source": {
            "arm": chosen.arm,
            "file": chosen.file and chosen.file.name,
            "num_models": chosen.arm and len(plan.member) - len(targets),
            "labels_compared": labels_compared,
        },
        "attack": attack,
        "false_positive_rate": rate,
        "at_zero_false_positives": rate < smallest_fpr(num_negatives),
        "num_targets": len(targets),
        "num_negatives": num_negatives,
        "bins": {
            "asked": chosen.num_bins,
            "used": len(edges) - 1,
            "median_standard_error": standard_error,
            "edges": edges.tolist(),
            "counts": np.bincount(bins[bins >= 0], minlength=len(edges)).tolist(),
            "num_not_judged": int((bins < 0).sum()),
        },
        "reference": reference,
        "arms": {
            name: {
                **{key: _figures(values, over) for key, values in found.items()},
                "change": None
                if name == reference
                else _change(found, rates[reference], shares, over),
            }
            for name, found in rates.items()
        },
    }


def target_rates(
    scores: np.ndarray,
    correct: np.ndarray,
    member: np.ndarray,
    bins: np.ndarray,
    num_bins: int,
    false_positive_rate: float,
) -> dict[str, np.ndarray]:
    """Return what is found of one target over all examples and in each bin.

    Args:
        scores: (N,) float, of a membership attack.
        correct: (N,) bool, whether the target is right.
        member: (N,) int8, the target's row: 1 in, 0 out, -1 not judged.
        bins: (N,) int64 in [-1, num_bins], -1 not judged.

    Returns:
        (num_bins + 2,) float64 each: `tpr` of the members above the one threshold, `accuracy` on
        the non-members, `member_accuracy`; NaN where a bin is empty.
    """
    inside, outside = ((member == c) & (bins >= 0) for c in (1, 0))
    found = scores > threshold_at_fpr(scores[outside], false_positive_rate)
    return {
        "tpr": rates_by_bin(found[inside], bins[inside], num_bins),
        "accuracy": rates_by_bin(correct[outside], bins[outside], num_bins),
        "member_accuracy": rates_by_bin(correct[inside], bins[inside], num_bins),
    }


def _shares(member: np.ndarray, bins: np.ndarray, targets: np.ndarray, num_bins: int) -> np.ndarray:
    """The share of each target's non-members that a bin has, (M, num_bins); NaN of the others."""
    shares = np.full((len(member), num_bins), np.nan)
    for m in targets:
        outside = bins[(member[m] == 0) & (bins >= 0)]
        shares[m] = np.bincount(outside, minlength=num_bins) / len(outside)
    return shares


def _change(found: Rates, reference: Rates, shares: np.ndarray, over: Averaging) -> dict[str, Any]:
    """An arm less the reference, target by target, since both had the same members.

    And how much of the change of accuracy each bin is answerable for, by having many examples that
    lose little or few that lose much: the parts add up to the change over all.
    """
    differences = {key: values - reference[key] for key, values in found.items()}
    parts = shares * np.nan_to_num(differences["accuracy"][:, 1:])  # an empty bin has a share of 0
    return {
        **{key: _figures(values, over, (-1, 1)) for key, values in differences.items()},
        "accuracy_parts": [_figure(values, over, (-1, 1)) for values in parts.T],
    }


def _figures(
    values: np.ndarray, over: Averaging, bounds: tuple[float, float] = (0, 1)
) -> dict[str, Any]:
    """A figure of all examples, and one of each bin."""
    overall, *by_bin = (_figure(column, over, bounds) for column in values.T)
    return {"overall": overall, "by_bin": by_bin}


def _figure(
    values: np.ndarray, over: Averaging, bounds: tuple[float, float]
) -> dict[str, Any] | None:
    """The mean over the models that have a value; None where none has."""
    there = np.flatnonzero(np.isfinite(values))
    return over._replace(models=there).mean(values, bounds)._asdict() if len(there) else None
