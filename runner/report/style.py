"""How figures look, and what they are as files.

Colours, line styles and markers go by an arm's position. Figures are drawn without pyplot, which
keeps its figures in a global list.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

# Wong (2011), https://doi.org/10.1038/nmeth.1618: told apart by the colour-blind. Its yellow is
# left out, since it vanishes on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
INK, FAINT, PAPER = "#24292f", "#8c959f", "#ffffff"
VECTOR_DPI = 72  # of an SVG and of a PDF, whatever the figure says
LEAST_WIDTH = 4.8  # inches of a figure, so that a legend finds room
DOTTED = (0, (2, 2))
GUIDE: Any = {"color": FAINT, "linewidth": 0.9, "linestyle": DOTTED}  # such as what a guess gives
RC: Any = {
    "svg.hashsalt": "report",  # the ids in an SVG are drawn from it, so the same figure repeats
    "pdf.fonttype": 42,  # journals refuse type 3 fonts
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
# What would name the day or the version; None leaves it out, so that the same figure repeats.
METADATA = {
    "svg": ("Date", "Creator", "Format", "Type"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def color(i: int) -> str:
    return COLORS[i % len(COLORS)]


def line(i: int) -> Any:
    """Lines differ too, for prints without colour and for more arms than colours."""
    return LINES[i % len(LINES)]


def marker(i: int) -> str:
    return MARKERS[i % len(MARKERS)]


def mark(i: int, averaged: bool = False) -> dict[str, Any]:
    """Return how a point looks; it is hollow where answers are averaged over several draws."""
    hollow = {"markerfacecolor": PAPER} if averaged else {}
    return {"color": color(i), "marker": marker(i), **hollow}


def stroke(i: int, averaged: bool = False) -> dict[str, Any]:
    """Return how a line with marks looks; its marks are hollow as those of `mark`."""
    return {**mark(i, averaged), "linestyle": line(i), "markersize": 5, "linewidth": 1.4}


def plain(text: str) -> str:
    """Return text that matplotlib neither reads as mathematics nor hides from a legend."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def panels(num: int, num_across: int, width: float, height: float) -> tuple[Figure, list]:
    """Return a figure and `num` axes in rows of `num_across`; sizes are of one panel, in inches."""
    down = -(-num // num_across)
    width = max(width, LEAST_WIDTH / num_across)
    with matplotlib.rc_context(RC):
        layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
        figure = Figure(figsize=(num_across * width, down * height), layout=layout)
        axes = figure.subplots(down, num_across, squeeze=False).ravel()
    for spare in axes[num:]:
        spare.remove()
    return figure, list(axes[:num])


def legend(figure: Figure, lines: dict[str, Line2D]) -> None:
    """Put names below the panels, in as many columns as fit; the figure grows by their rows."""
    names = [plain(name) for name in lines]
    wide = 0.6 + 0.08 * max(map(len, names))  # inches: a line, and letters of 9 points
    num_columns = min(max(1, int(figure.get_figwidth() / wide)), len(names))
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // num_columns))
    figure.legend([*lines.values()], names, loc="outside lower center", ncols=num_columns)


def errorbar(axes: Axes, x: Sequence[float], y: Sequence[Sequence[float]], **look: Any) -> None:
    """Draw a line with error bars; `y` is mean, low and high at each x."""
    mean, low, high = y
    below = [m - end for m, end in zip(mean, low, strict=True)]
    above = [end - m for m, end in zip(mean, high, strict=True)]
    axes.errorbar(x, mean, yerr=[below, above], elinewidth=1, capsize=2, **look)


def forms(drawn: Mapping[str, Figure | None]) -> dict[str, bytes | None]:
    """Return each figure as SVG and as PDF, by the names of their files; None: there is none."""
    for figure in filter(None, drawn.values()):
        settle(figure)
    return {
        f"{name}.{form}": save(figure, form) if figure else None
        for name, figure in drawn.items()
        for form in ("svg", "pdf")
    }


def settle(figure: Figure) -> None:
    """Give each part of a figure its place, by the letters of an SVG; nothing moves afterwards.

    `savefig` would do it once for each form, and draw all once more for that.
    """
    layout = figure.get_layout_engine()
    if layout is None:
        return
    FigureCanvasSVG(figure)  # becomes the figure's
    figure.dpi = VECTOR_DPI
    with matplotlib.rc_context(RC):
        layout.execute(figure)
    figure.set_layout_engine("none")


def save(figure: Figure, form: str) -> bytes:
    """Return the figure as "svg" or "pdf"; the same figure gives the same bytes."""
    out = io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(out, format=form, metadata=dict.fromkeys(METADATA[form]))
    return out.getvalue()
