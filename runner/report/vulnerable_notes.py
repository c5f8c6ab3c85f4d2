"""What is said below examples at risk and leakage by class."""

from collections.abc import Iterator
from typing import Any

from runner.report.text import percent


def notes(results: dict[str, Any], arms: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Return what was counted and how, then a sentence for each arm on how stable it is."""
    found = next(iter(arms.values()))
    yield (
        f"The attack is {found['attack']}, at {percent(found['false_positive_rate'])} FPR of each "
        f"of {found['num_models']} models, which have a threshold each."
    )
    known = {name: one for name, one in arms.items() if one["num_examples"]}
    if not known:
        yield (
            "No example is in the training data of four models or more, so nothing is said of "
            "single examples; train more models (design.num_models)."
        )
        return
    for name, one in known.items():
        yield f"{name}: {_stability(one)}"
    if any((results["arms"].get(name) or {}).get("randomized") for name in known):
        yield "Randomized models answer by one draw."


def class_notes(arms: dict[str, dict[str, Any]], most: int) -> Iterator[str]:
    """Return how TPRs of classes come about, then which classes stand out, an arm a sentence."""
    first = next(iter(arms.values()))
    yield (
        "A model has one threshold for all classes, so the FPR of a class may be another than "
        f"{percent(first['false_positive_rate'])}. Mean over models with its 95 % interval, which "
        "speaks of new models on the same examples. An arrow: the class stands out from the "
        "members of all classes, by a t-test over pairs of models at 5 %, corrected for the number "
        "of classes, and by more than counts of so few members move by chance."
    )
    if len(first["by_class"]) > most:
        yield (
            f"Of {len(first['by_class'])} classes, the {most // 2} of highest and the {most // 2} "
            "of lowest TPR in the first arm; all are in vulnerable.csv."
        )
    for name, found in arms.items():
        parts = []
        for side in ("above", "below"):
            classes = [str(one["label"]) for one in found["by_class"] if one["stands_out"] == side]
            if classes:
                parts.append(f"{', '.join(classes)} {side} the others")
        if parts:
            yield f"Classes that stand out in {name}: {'; '.join(parts)}."


def columns(found: dict[str, Any]) -> tuple[str, ...]:
    """What the columns are."""
    least, most = found["least_in"], found["most_in"]
    times = f"{most} models" if least == most else f"{least} to {most} models"
    return (
        f"Found: examples that are called members in {percent(found['at_least'])} or more of the "
        f"{times} trained on them.",
        "By chance: how many would be if scores meant nothing.",
        "In other models: examples called members so often in models that were not trained on "
        "them. Where there are many, the attack goes by the example and not by membership.",
        "Jaccard of halves: the models are halved, and each half finds its examples; the share "
        "found by both among those found by either. By chance: of two random sets of these sizes.",
        "Rank correlation: Spearman's, of how often each half calls an example a member; with "
        "memorization: of how often all models do and its memorization score.",
    )


def _stability(found: dict[str, Any]) -> str:
    """How alike the two halves are, in a sentence."""
    halves = found["stability"]
    if halves is None:
        return "too few models to be halved."
    if halves["jaccard"] is None:
        return "neither half of the models finds any example so often."
    first, second, index = halves["num_first"], halves["num_second"], halves["jaccard"]
    shared = round(index * (first + second) / (1 + index))
    text = f"the halves find {first:,} and {second:,} examples, {shared:,} of them the same"
    return text + ("; no single example is sure." if 2 * shared < max(first, second) else ".")
