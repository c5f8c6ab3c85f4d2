"""What is said below leakage by memorization: where scores come from, and which bins lose."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from runner.report.text import percent, printed, significant


def memorization_notes(results: dict[str, Any]) -> list[str]:
    """Return how it was measured, then a sentence for each arm that is compared."""
    found = results["memorization"]
    told = " ".join([_source(found), *_bins(found), _threshold(results, found)])
    return [told, *_losses(found)]


def bin_names(found: dict[str, Any]) -> list[str]:
    """Return the names of the bins: 0, then (0, 0.05] and so on."""
    ends = [f"{edge:.3g}" for edge in found["bins"]["edges"]]
    return ["0", *(f"({a}, {b}]" for a, b in pairwise(ends))]


def _source(found: dict[str, Any]) -> str:
    """Whose scores they are."""
    source = found["source"]
    if source["arm"] is not None:
        text = (
            "Memorization: how much more often models are right about an example if they were "
            f"trained on it, of {source['num_models']} models of {source['arm']}; none of them is "
            "a target here."
        )
    else:
        compared = (
            "its labels are those of the pool"
            if source["labels_compared"]
            else "it has no labels, so that the order of its examples is taken on trust"
        )
        text = f"Memorization is read from {source['file']}; {compared}."
    if without := found["bins"]["num_not_judged"]:
        text += f" {without:,} examples have no score and are not judged."
    return text


def _bins(found: dict[str, Any]) -> Iterator[str]:
    """Why there are fewer bins than were asked for."""
    bins = found["bins"]
    yield "Scores of 0 and below have a bin of their own."
    if bins["used"] < bins["asked"]:
        error = significant(bins["median_standard_error"], 2)
        yield (
            f"There are {bins['used']} more and not {bins['asked']}, so that none is narrower "
            f"than {error}, the median standard error of the scores above 0."
        )


def _threshold(results: dict[str, Any], found: dict[str, Any]) -> str:
    """How a TPR and an accuracy come about."""
    noisy = any(results["arms"].get(name, {}).get("randomized") for name in found["arms"])
    zero = ", which is less than one" if found["at_zero_false_positives"] else ""
    return (
        f"Each of {found['num_targets']} targets has one threshold of {found['attack']} for all "
        f"bins, at {percent(found['false_positive_rate'])} of its {found['num_negatives']:,} "
        f"non-members{zero}. Accuracy is on the non-members of a bin. Intervals are of 95 %, over "
        f"targets.{' Randomized models answer by one draw.' if noisy else ''}"
    )


def _losses(found: dict[str, Any]) -> Iterator[str]:
    """Which bins an arm loses most accuracy in, if it loses any."""
    for name, arm in found["arms"].items():
        overall = (arm["change"] or {}).get("accuracy", {}).get("overall")
        if not overall or overall["mean"] >= 0:
            continue
        of_bins = zip(
            bin_names(found),
            arm["change"]["accuracy"]["by_bin"],
            arm["change"]["accuracy_parts"],
            found["bins"]["counts"],
            strict=True,
        )
        known = [(bin_, one, part, count) for bin_, one, part, count in of_bins if one and part]
        steepest = min(known, key=lambda row: row[1]["mean"])
        largest = min(known, key=lambda row: row[2]["mean"])
        share = percent(round(largest[3] / sum(found["bins"]["counts"]), 3))
        yield (
            f"{name} against {found['reference']}: {_points(overall, found)} points of accuracy on "
            f"all examples. The bin that has the largest part of it is {largest[0]}, with {share} "
            f"of the examples: {_points(largest[2], found)} points. Within a bin accuracy falls "
            f"most in {steepest[0]}: {_points(steepest[1], found)} points."
        )


def _points(figure: dict[str, Any], found: dict[str, Any]) -> str:
    return str(printed(figure, 100, 1, found["num_targets"]))
