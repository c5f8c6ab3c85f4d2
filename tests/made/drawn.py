"""What a figure holds, as its tests read it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from runner.report import style


def panels(drawing: Any) -> dict[str, Axes]:
    assert drawing is not None
    return {axes.get_title(): axes for axes in drawing.axes}


def lines(axes: Axes) -> list[dict[str, Any]]:
    """Each line with error bars: where its points and the ends of their bars are."""
    found = []
    for drawn in axes.containers:
        assert isinstance(drawn, ErrorbarContainer)
        line, _, (bars,) = drawn.lines
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        ends = np.array([[low[1], high[1]] for low, high in bars.get_segments()])
        look = {"style": line.get_linestyle(), "color": line.get_color()}
        filled = line.get_markerfacecolor() != style.PAPER
        found.append({"x": list(x), "y": list(y), "ends": ends.T, "filled": filled, **look})
    return found
