"""The figures of a report, as bytes of SVG and PDF.

They are drawn without pyplot, which keeps its figures in a global list.
"""

import io
from collections.abc import Mapping
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from runner.report.blocks._memorization_figure import memorization_figure
from runner.report.blocks.against import against_figure
from runner.report.blocks.privacy_robustness import privacy_robustness_figure
from runner.report.blocks.queries import queries_figure
from runner.report.blocks.roc import roc_figure, roc_linear_figure
from runner.report.blocks.thresholds import thresholds_figure
from runner.report.robustness_figure import sanity_figure
from runner.report.style import RC

# What would name the day or the version; None leaves it out, so that the same figure repeats.
METADATA = {
    "svg": ("Date", "Creator", "Format", "Type"),
    "pdf": ("CreationDate", "Creator", "Producer"),
}


def draw(results: dict[str, Any]) -> dict[str, Figure | None]:
    """Return each figure by the name of its file; None where there is nothing to draw."""
    with matplotlib.rc_context(RC):
        return {
            "privacy_robustness": privacy_robustness_figure(results),
            "sanity": sanity_figure(results),
            "queries": queries_figure(results),
            "memorization": memorization_figure(results),
            "against": against_figure(results),
            "thresholds": thresholds_figure(results),
            "roc": roc_figure(results),
            "roc_linear": roc_linear_figure(results),
        }


def forms(drawn: Mapping[str, Figure | None]) -> dict[str, bytes | None]:
    """Return each figure as SVG and as PDF, by the names of their files; None: there is none."""
    return {
        f"{name}.{form}": save(figure, form) if figure else None
        for name, figure in drawn.items()
        for form in ("svg", "pdf")
    }


def save(figure: Figure, form: str) -> bytes:
    """Return the figure as "svg" or "pdf"; the same figure gives the same bytes."""
    out = io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(out, format=form, metadata=dict.fromkeys(METADATA[form]))
    return out.getvalue()
