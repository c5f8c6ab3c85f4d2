"""The figure of what comes back."""

import io

import numpy as np
from PIL import Image

from runner.standalone import output, reversal_report
from runner.standalone.reversal import (
    recoveries,
)
from tests.made.demos import picture


def test_a_figure_as_png_is_an_image():
    states = {
        name: recoveries(picture(), gamma, 0.5, "additive", np.random.default_rng(0))
        for name, gamma in (("ode", 0.0), ("additive", 1.0), ("multiplicative", 1.0))
    }
    figure = reversal_report.recovery_figure(picture(), states)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 11
    assert titles[0] == "original"
    assert figure.axes[2].get_xlabel().startswith("RMSE")
    with Image.open(io.BytesIO(output.as_png(figure))) as image:
        assert image.format == "PNG"
