"""Examples at risk and leakage by class: tables, what is said below them, and a sheet of images."""

import base64
from collections.abc import Iterator
from typing import Any

from runner.report import vulnerable_sheet
from runner.report.blocks._block import Block, Files, as_html
from runner.report.html import rendered
from runner.report.quantities import tpr
from runner.report.readings import INTERVAL
from runner.report.text import DASH, csv_of, headed, in_markdown, in_percent, percent, titled

HEADING = "Examples at risk"
EXAMPLES = ("examples.csv", "examples.parquet")  # one of them lists every example
MOST_CLASSES = 20
HEAD = [
    "arm",
    "examples",
    "found",
    "by chance",
    "in other models",
    "Jaccard of halves",
    "Jaccard by chance",
    "rank correlation",
    "with memorization",
]


def vulnerable_markdown(results: dict[str, Any]) -> str | None:
    """Return the tables of examples and of classes; None where nobody looked."""
    arms = at_risk(results)
    if not arms:
        return None
    parts = [titled(results, "examples at risk")]
    if any(found["num_examples"] for found in arms.values()):
        parts.append(headed(HEAD, [[arm, *_examples(found)] for arm, found in arms.items()]))
    told, *of_arms = _notes(results, arms)
    parts.append(in_markdown(told))
    if known := [found for found in arms.values() if found["num_examples"]]:
        parts.append("\n".join(f"- {in_markdown(text)}" for text in _columns(known[0])))
    parts += map(in_markdown, of_arms)
    if head_and_rows := _classes(arms):
        parts += ["## Leakage by class", headed(*head_and_rows)]
        parts += map(in_markdown, _class_notes(arms, MOST_CLASSES))
    return "\n\n".join(parts) + "\n"


def vulnerable_csv(results: dict[str, Any]) -> str:
    """Return TPR and FPR of every class of every arm in full precision; fractions."""
    head = ("arm", "label", "num_examples", "quantity", *INTERVAL, "stands_out")
    return csv_of(head, _lines(results))


def vulnerable_html(results: dict[str, Any], files: Files) -> str:
    """Return the tables with the sheet of images below them, and where every example is listed."""
    text = vulnerable_markdown(results)
    if not text:
        return ""
    picture = ""
    if sheet := files.get("examples.png"):
        told = vulnerable_sheet.alt(results)
        picture = rendered(
            "blocks/vulnerable.html.j2", told=told, sheet=base64.b64encode(sheet).decode()
        )
    also = [name for name in EXAMPLES if files.get(name)]
    return as_html("vulnerable", HEADING, text, csv=True, picture=picture, also=also)


def at_risk(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was found of examples, by arm; none where nobody looked."""
    found = {name: arm.get("vulnerable") for name, arm in results["arms"].items()}
    return {name: one for name, one in found.items() if one}


def _lines(results: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV."""
    for arm, found in at_risk(results).items():
        for one in found["by_class"]:
            for quantity in ("tpr", "fpr"):
                if figure := one[quantity]:
                    interval = [figure[key] for key in INTERVAL]
                    told = one["stands_out"] if quantity == "tpr" else None
                    yield (arm, one["label"], one["num_examples"], quantity, *interval, told)


def _examples(found: dict[str, Any]) -> list[str]:
    """The row of one arm."""
    halves = found["stability"] or {}
    return [
        f"{found['num_examples']:,}",
        f"{found['num_vulnerable']:,}",
        _few(found["expected_by_chance"]),
        f"{found['num_likewise_outside']:,}",
        _number(halves.get("jaccard")),
        _number(halves.get("by_chance")),
        _number(halves.get("rank_correlation")),
        _number(found["memorization_correlation"]),
    ]


def _few(expected: float) -> str:
    """12.34 -> 12.3, what is next to nothing -> < 0.1."""
    return f"{expected:,.1f}" if expected >= 0.1 else "< 0.1"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}".replace("-0.00", "0.00")


def _classes(arms: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]] | None:
    """Head and rows: the classes by the first arm's TPR, the middle left out where many."""
    first = next(iter(arms.values()))
    known = [one for one in first["by_class"] if one["tpr"]]
    if len(known) < 2:
        return None
    ordered = sorted(known, key=lambda one: (-one["tpr"]["mean"], one["label"]))
    if len(ordered) > MOST_CLASSES:
        ordered = ordered[: MOST_CLASSES // 2] + ordered[-MOST_CLASSES // 2 :]
    of_arm = {arm: {one["label"]: one for one in found["by_class"]} for arm, found in arms.items()}
    head, found_at = ["class", "examples"], tpr(first["false_positive_rate"]).header
    for arm in arms:
        head += [f"{arm}: {found_at}", f"{arm}: FPR (%)"]
    rows = []
    for one in ordered:
        cells = [str(one["label"]), f"{one['num_examples']:,}"]
        for found in of_arm.values():
            cells += _rates(found.get(one["label"]), first["num_models"])
        rows.append(cells)
    return head, rows


def _rates(one: dict[str, Any] | None, num_models: int) -> list[str]:
    """TPR, marked where the class stands out, and FPR of a class in one arm."""
    if not one:
        return [DASH, DASH]
    mark = {"above": " \N{UPWARDS ARROW}", "below": " \N{DOWNWARDS ARROW}", None: ""}
    found = f"{in_percent(one['tpr'], num_models)}{mark[one['stands_out']]}"
    return [found, in_percent(one["fpr"], num_models).mean]


def _notes(results: dict[str, Any], arms: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What was counted and how, then a sentence for each arm on how stable it is."""
    found = next(iter(arms.values()))
    yield (
        f"The attack is {found['attack']}, at {percent(found['false_positive_rate'])} FPR of each "
        f"of {found['num_models']} models, which have a threshold each."
    )
    known = {name: one for name, one in arms.items() if one["num_examples"]}
    if withheld := found.get("withheld"):
        yield withheld
        return
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


def _class_notes(arms: dict[str, dict[str, Any]], most: int) -> Iterator[str]:
    """How TPRs of classes come about, then which classes stand out, an arm a sentence."""
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


def _columns(found: dict[str, Any]) -> tuple[str, ...]:
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


BLOCK = Block(
    "vulnerable",
    HEADING,
    markdown=vulnerable_markdown,
    csv=vulnerable_csv,
    html=vulnerable_html,
)
