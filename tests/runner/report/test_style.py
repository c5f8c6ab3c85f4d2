"""Figures as files: placed once for both forms, as matplotlib would place them for each."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from runner.report import blocks, style


def drawn(results: dict[str, Any]) -> dict[str, Figure]:
    return {name: figure for name, figure in blocks.draw(results).items() if figure}


def places(figure: Figure) -> np.ndarray:
    """Left, bottom, width and height of all axes, in inches."""
    size = np.tile(figure.get_size_inches(), 2)
    return np.array([axes.get_position().bounds for axes in figure.axes]) * size


def test_what_is_placed_once_is_savefigs_svg_and_its_pdf_but_for_a_twentieth_of_an_inch(results):
    made, settled, alone = (drawn(results) for _ in range(3))
    found = style.forms(settled)
    assert found.keys() == {f"{name}.{form}" for name in alone for form in ("svg", "pdf")}
    assert np.abs(places(made["roc"]) - places(settled["roc"])).max() > 0.05, "nothing was placed"
    for name, figure in alone.items():
        assert style.save(figure, "svg") == found[f"{name}.svg"]
        style.save(figure, "pdf")  # places all anew, by its own letters
        assert np.abs(places(settled[name]) - places(figure)).max() < 0.05
