"""Examples at risk and leakage by class, in Markdown and as CSV."""

import csv
import io
from typing import Any

from runner.report.markdown import headed, in_markdown
from runner.report.readings import INTERVAL
from runner.report.text import DASH, printed, rate_title
from runner.report.vulnerable_notes import class_notes, columns, notes

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
    parts = [f"# {in_markdown(results['experiment'])}: examples at risk"]
    if any(found["num_examples"] for found in arms.values()):
        parts.append(headed(HEAD, [[arm, *_examples(found)] for arm, found in arms.items()]))
    told, *of_arms = notes(results, arms)
    parts.append(in_markdown(told))
    if known := [found for found in arms.values() if found["num_examples"]]:
        parts.append("\n".join(f"- {in_markdown(text)}" for text in columns(known[0])))
    parts += map(in_markdown, of_arms)
    if head_and_rows := _classes(arms):
        parts += ["## Leakage by class", headed(*head_and_rows)]
        parts += map(in_markdown, class_notes(arms, MOST_CLASSES))
    return "\n\n".join(parts) + "\n"


def vulnerable_csv(results: dict[str, Any]) -> str:
    """Return TPR and FPR of every class of every arm in full precision; fractions."""
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(("arm", "label", "num_examples", "quantity", *INTERVAL, "stands_out"))
    for arm, found in at_risk(results).items():
        for one in found["by_class"]:
            for quantity in ("tpr", "fpr"):
                if figure := one[quantity]:
                    interval = [figure[key] for key in INTERVAL]
                    told = one["stands_out"] if quantity == "tpr" else None
                    write((arm, one["label"], one["num_examples"], quantity, *interval, told))
    return text.getvalue()


def at_risk(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was found of examples, by arm; none where nobody looked."""
    found = {name: arm.get("vulnerable") for name, arm in results["arms"].items()}
    return {name: one for name, one in found.items() if one}


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
    head = ["class", "examples"]
    for arm in arms:
        head += [f"{arm}: {rate_title(first['false_positive_rate'])} (%)", f"{arm}: FPR (%)"]
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
    tpr = f"{printed(one['tpr'], 100, 1, num_models)}{mark[one['stands_out']]}"
    return [tpr, printed(one["fpr"], 100, 1, num_models).mean]
