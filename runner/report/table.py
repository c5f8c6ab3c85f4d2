"""The tables as Markdown, LaTeX, and on the terminal."""

from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner.report.blocks.guarantees import guarantees
from runner.report.columns import Column, Row, decision_columns, groups, main_columns, notes, rows
from runner.report.lower_bounds import AT_LEAST, MOST, lower_bounds, lower_bounds_note
from runner.report.markdown import headed, in_markdown, joined
from runner.report.readings import calibrated, share_of_members
from runner.report.shadows import with_shadows
from runner.report.text import DAGGER, DASH, Printed, percent

ACROSS = 4  # arms beside each other on a terminal of 80 columns


def markdown(results: dict[str, Any]) -> str:
    """Return the main table for a README."""
    title, table = in_markdown(results["experiment"]), _table(results, main_columns(results))
    return f"# {title}\n\n{table}\n\n{' '.join(notes(results))}\n"


def decisions_markdown(results: dict[str, Any]) -> str | None:
    """Return precision and recall at thresholds, a table an attack; None where there is none."""
    parts = [
        f"## {in_markdown(with_shadows(results, attack))}\n\n"
        f"{_table(results, decision_columns(results, attack))}\n"
        for attack in calibrated(results)
    ]
    if not parts:
        return None
    title = f"# {in_markdown(results['experiment'])}: decisions at thresholds"
    return "\n".join([f"{title}\n", *parts, f"{decisions_note(results)}\n"])


def decisions_note(results: dict[str, Any]) -> str:
    """Return what stands below precision and recall."""
    return (
        "p is the attack's probability of membership. Precision: the share of members among those "
        "it calls members. Recall: the share of members that it calls so. A guess has a precision "
        f"of {percent(round(share_of_members(results), 3))}, and a dash means that nobody was "
        "called a member."
    )


def guarantees_markdown(results: dict[str, Any]) -> str | None:
    """Return claims of differential privacy and lower bounds; None where there is neither."""
    table = guarantees(results)
    if not table:
        return None
    title = f"# {in_markdown(results['experiment'])}: privacy guarantees"
    reasons = [f"{i}. {in_markdown(text)}" for i, text in enumerate(table.reasons, 1)]
    parts = [title, headed(table.head, table.rows), "\n".join(reasons)]
    if bounds := lower_bounds(results):
        head = [f"{attack}: {part}" for attack in bounds.attacks for part in (AT_LEAST, MOST)]
        rows = [[label, *map(str, cells)] for label, cells in bounds.rows]
        shown = headed(["arm", *head], rows)
        parts += ["## What the attacks show at the least", shown, lower_bounds_note(results)]
    return "\n\n".join(filter(None, parts)) + "\n"


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


def terminal_table(results: dict[str, Any]) -> Group:
    """Return the main table for a terminal: quantities run down, a few arms at a time across."""
    shown = main_columns(results)
    made = rows(results, shown)
    parts = [made[i : i + ACROSS] for i in range(0, len(made), ACROSS)]
    tables = [_part(shown, part) for part in parts]
    # Text, not str: rich would read an arm's name for markup
    tables[0].title, tables[-1].caption = (
        Text(results["experiment"]),
        Text("\n".join(notes(results))),
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


def _table(results: dict[str, Any], shown: list[Column]) -> str:
    """A row a reading, in Markdown."""
    head = ["arm", "models", *(column.title for column in shown)]
    lines = [[in_markdown(cell) for cell in head], ["---", *["---:"] * (len(head) - 1)]]
    for row in rows(results, shown):
        lines.append([in_markdown(row.label), row.num_models, *map(str, row.cells)])
    return joined(lines)


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
