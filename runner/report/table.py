"""The main table as Markdown, LaTeX, CSV, and on the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.report.blocks.verdict import verdict_markdown
from runner.report.columns import Column, Row, groups, main_columns, notes, rows
from runner.report.quantities import every_figure
from runner.report.readings import Figure, readings
from runner.report.text import DAGGER, DASH, Printed, csv_of, in_markdown, joined

KEYS = ("mean", "low", "high", "num_models", "on", "num_examples", "num_negatives", "overstated")
ACROSS = 4  # arms beside each other on a terminal of 80 columns


def markdown(results: dict[str, Any]) -> str:
    """Return what came out and the main table, for a README."""
    title, table = in_markdown(results["experiment"]), markdown_of(results, main_columns(results))
    parts = [f"# {title}", verdict_markdown(results), table, " ".join(notes(results))]
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_of(results: dict[str, Any], shown: list[Column]) -> str:
    """Return some columns in Markdown, a row a reading."""
    head = ["arm", "models", *(column.title for column in shown)]
    lines = [[in_markdown(cell) for cell in head], ["---", *["---:"] * (len(head) - 1)]]
    for row in rows(results, shown):
        lines.append([in_markdown(row.label), row.num_models, *map(str, row.cells)])
    return joined(lines)


def table_csv(results: dict[str, Any]) -> str:
    """Return every figure in full precision, one a line; fractions, not percents.

    The experiment's own null control, over all arms, has an empty arm. `draws` is 1, or how many
    draws of a randomized model's noise its answers are averaged over. `on` and `num_examples` are
    the images of an accuracy, `num_negatives` the non-members of a membership figure. `overstated`
    is "yes" for a robust accuracy that an attack averaging over the noise would lower. What is
    proved of any attack has a mean alone.
    """
    return csv_of(("arm", "metric", "draws", *KEYS), _lines(results))


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
        cells = [row.label, row.num_models, *map(str, row.cells)]
        guard = "{}" if row.label.startswith("[") else ""  # \\ would read it as a length
        lines.append(guard + " & ".join(map(_in_latex, cells)) + r" \\")
    lines.append(r"\bottomrule")
    for note in notes(results):
        lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{\footnotesize {_in_latex(note)}}} \\")
    return "\n".join([*lines, r"\end{tabular}", ""])


def terminal_table(results: dict[str, Any], below: Sequence[str] | None = None) -> Group:
    """Return the main table for a terminal: quantities run down, a few arms at a time across.

    Args:
        below: lines that stand below it; None: `columns.notes`.
    """
    shown = main_columns(results)
    made = rows(results, shown)
    parts = [made[i : i + ACROSS] for i in range(0, len(made), ACROSS)]
    tables = [_part(shown, part) for part in parts]
    # Text, not str: rich would read an arm's name for markup
    tables[0].title, tables[-1].caption = (
        Text(results["experiment"]),
        Text("\n".join(notes(results) if below is None else below)),
    )
    return Group(*tables)


def _part(shown: list[Column], some: list[Row]) -> Table:
    """A table of some arms for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", min_width=14, overflow="fold")
    for row in some:
        table.add_column(Text(row.label), justify="right", overflow="fold")
    table.add_row("models", *(Text(row.num_models) for row in some))
    group = ""
    for i, column in enumerate(shown):
        if column.group != group:  # its name once, since with its shadows it is long
            group = column.group
            table.add_section()
            table.add_row(Text(group, style="bold"))
        table.add_row(Text(column.header), *(Text(_two_lines(row.cells[i])) for row in some))
    return table


def _two_lines(cell: Printed) -> str:
    """The mean above its interval, so that a column stays narrow."""
    return "\n".join(part for part in cell if part)


def _lines(results: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of table.csv."""

    def line(
        arm: str, metric: str, draws: int, figure: Figure, overstated: bool = False
    ) -> tuple[Any, ...]:
        known = {**figure, **_measured_on(results, metric), "overstated": "yes" * overstated}
        return (arm, metric, draws, *(known.get(key) for key in KEYS))

    for reading in readings(results):
        overstated = {f"robust_accuracy/{attack}" for attack in reading.overstated}
        for metric, figure in every_figure(reading.figures):
            yield line(reading.arm, metric, reading.draws, figure, metric in overstated)
    if overall := (results.get("null_control") or {}).get("auc"):
        yield line("", "null_control/auc", 1, overall)


def _measured_on(results: dict[str, Any], metric: str) -> dict[str, Any]:
    """What a figure of table.csv was measured on, as far as that says anything of it."""
    data, kind = results["data"], metric.split("/")[0]
    if kind in ("natural_accuracy", "robust_accuracy"):
        return results["evaluation"]
    if kind == "train_accuracy":
        return {"on": "members", "num_examples": data["num_members"]}
    if kind in ("generalization_gap", "train_time_s"):
        return {}
    return {"num_negatives": data["num_negatives"]}


LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "·": r"\textperiodcentered{}",
    DASH: "--",
    DAGGER: r"\dag{}",
}


def _in_latex(text: str) -> str:
    """Escape what LaTeX gives a meaning."""
    return "".join(LATEX.get(c, c) for c in " ".join(text.split()))
