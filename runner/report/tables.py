"""The table of answers, one row an arm: as Markdown, CSV, LaTeX, and on the terminal."""

import csv
import io
import re
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from runner.report.columns import (
    DASH,
    Figure,
    Printed,
    every_figure,
    groups,
    main_columns,
    notes,
    rows,
)


def markdown(results: dict[str, Any]) -> str:
    """Return the main table for a README."""
    shown = main_columns(results)
    head = ["arm", "models", *(column.title for column in shown)]
    lines = [[_in_markdown(cell) for cell in head], ["---", *["---:"] * (len(head) - 1)]]
    for row in rows(results, shown):
        lines.append([_in_markdown(row.arm), row.num_models, *map(str, row.cells)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = " ".join(notes(results))
    return f"# {_in_markdown(results['experiment'])}\n\n{table}\n\n{note}\n"


def csv_rows(results: dict[str, Any]) -> str:
    """Return every figure in full precision, one a line; fractions, not percents.

    The experiment's own null control, over all arms, has an empty arm. `on` and `num_examples` are
    the images of an accuracy, `num_negatives` the non-members of a membership figure.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    keys = ("mean", "low", "high", "num_models", "on", "num_examples", "num_negatives")
    write(("arm", "metric", *keys))

    def line(arm: str, metric: str, figure: Figure) -> None:
        known = {**figure, **_measured_on(results, metric)}
        write((arm, metric, *(known.get(key) for key in keys)))

    for name, arm in results["arms"].items():
        for metric, figure in every_figure(arm):
            line(name, metric, figure)
    if overall := (results.get("null_control") or {}).get("auc"):
        line("", "null_control/auc", overall)
    return text.getvalue()


def _measured_on(results: dict[str, Any], metric: str) -> dict[str, Any]:
    """What a figure of table.csv was measured on, as far as that says anything of it."""
    data, kind = results["data"], metric.split("/")[0]
    if kind in ("natural_accuracy", "robust_accuracy"):
        return results["evaluation"]
    if kind == "train_accuracy":
        return {"on": "members", "num_examples": data["num_members"]}
    return {"num_negatives": data["num_negatives"]} if kind != "train_time_s" else {}


def latex(results: dict[str, Any]) -> str:
    """Return the main table as a booktabs tabular, to be \\input; attacks span their columns."""
    shown = main_columns(results)
    spans, rules, at = ["", ""], [], 3
    for group, width in groups(shown):
        spans.append(rf"\multicolumn{{{width}}}{{c}}{{{_in_latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    head = ["arm", "models", *(_in_latex(column.header) for column in shown)]
    lines = [
        r"% Needs \usepackage{booktabs}.",
        rf"\begin{{tabular}}{{l{'r' * (len(shown) + 1)}}}",
        r"\toprule",
        " & ".join(spans) + r" \\",
        *([" ".join(rules)] if rules else []),
        " & ".join(head) + r" \\",
        r"\midrule",
    ]
    for row in rows(results, shown):
        cells = [row.arm, row.num_models, *map(str, row.cells)]
        guard = "{}" if row.arm.startswith("[") else ""  # \\ would read it as a length
        lines.append(guard + " & ".join(map(_in_latex, cells)) + r" \\")
    lines.append(r"\bottomrule")
    for note in notes(results):
        lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\footnotesize {_in_latex(note)}}} \\")
    return "\n".join([*lines, r"\end{tabular}", ""])


def terminal_table(results: dict[str, Any]) -> Table:
    """Return the main table for a terminal, turned so that its longer side runs down."""
    shown = main_columns(results)
    made = rows(results, shown)
    head = ["models", *(column.title for column in shown)]
    cells = [[row.num_models, *(_two_lines(c) for c in row.cells)] for row in made]
    arms = [row.arm for row in made]
    if len(arms) < len(head):
        arms, head, cells = head, arms, [[line[i] for line in cells] for i in range(len(head))]
    # Text, not str: rich would read an arm's name for markup
    title, caption = Text(results["experiment"]), Text("\n".join(notes(results)))
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", min_width=12)
    for name in head:
        table.add_column(Text(name), justify="right", overflow="fold")
    for name, line in zip(arms, cells, strict=True):
        table.add_row(Text(name), *map(Text, line))
    return table


def _two_lines(cell: Printed) -> str:
    """The mean above its interval, so that a column stays narrow."""
    return "\n".join(part for part in cell if part)


def _in_markdown(text: str) -> str:
    """Escape what would end a cell or be read as HTML or emphasis."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\|*`\[\]])", r"\\\1", text)


LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    DASH: "--",
}


def _in_latex(text: str) -> str:
    """Escape what LaTeX gives a meaning."""
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))
