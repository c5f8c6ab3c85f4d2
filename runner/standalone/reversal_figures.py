"""The figures of reversal: the paper's panels, and the error against gamma."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from runner.report import style
from runner.standalone.reversal import STRATEGIES, psnr_db, rmse

TITLES = {"ode": "ODE", "additive": "SDE I", "multiplicative": "SDE II"}
ATTACKERS = {
    "with_noise": "back with noise, eq. (5)",
    "without_noise": "back without noise",
    "smoothed": "without noise, smoothed",
}


def recovery_figure(image: np.ndarray, states: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Return the paper's panels: the ODE in the first row, then an SDE a row, with their errors."""
    figure, panels = style.panels(12, 4, width=2.6, height=2.1)
    panels.pop(3).remove()
    shown: list[tuple[str, np.ndarray, float | None]] = [("original", image, None)]
    for name in ("ode", *STRATEGIES):
        found = states[name]
        # F carries a constant picture to e times itself
        shown.append((f"{TITLES[name]}: features / e", found["features"] / math.e, None))
        ways = ATTACKERS if name != "ode" else {"without_noise": "recovered"}
        for who, words in ways.items():
            shown.append((f"{TITLES[name]}: {words}", found[who], rmse(found[who], image)))
    for axes, (title, pixels, error) in zip(panels, shown, strict=True):
        axes.imshow(np.clip(pixels, 0, 1), interpolation="none")
        axes.set_title(title, fontsize=8)
        axes.set(xticks=[], yticks=[])
        if error is not None:
            axes.set_xlabel(f"RMSE {error:.3g}, PSNR {decibels(error)} dB", fontsize=8)
    return figure


def curve_figure(facts: dict[str, Any]) -> Figure:
    """Return RMSE against gamma, a panel for each strategy; one grey picture for comparison."""
    figure, panels = style.panels(len(STRATEGIES), 2, width=3.8, height=3.2)
    for axes, strategy in zip(panels, STRATEGIES, strict=True):
        _draw(axes, facts["curve"]["gamma"], facts["curve"]["rmse"][strategy])
        axes.axhline(facts["rmse_of_one_grey"], color=style.INK, lw=0.9, ls=style.DOTTED)
        axes.set(xscale="log", yscale="log", xlabel="gamma (pixels in [0, 1])", ylabel="RMSE")
        axes.set_title(f"{TITLES[strategy]}: {strategy} noise")
    names = [*ATTACKERS.values(), "a picture of one grey"]
    style.legend(figure, dict(zip(names, panels[0].lines, strict=True)))
    return figure


def _draw(axes: Axes, gammas: list[float], curves: dict[str, list[dict[str, float]]]) -> None:
    """Draw each attacker's mean and interval."""
    for i, points in enumerate(curves.values()):
        mean, low, high = ([p[key] for p in points] for key in ("mean", "low", "high"))
        axes.fill_between(gammas, low, high, color=style.color(i), alpha=0.15, linewidth=0)
        look = {"color": style.color(i), "ls": style.line(i), "marker": style.marker(i), "ms": 3.5}
        axes.plot(gammas, mean, **look)


def decibels(error: float) -> str:
    """Return the PSNR of an RMSE as text."""
    psnr = psnr_db(error)
    return "inf" if psnr is None else f"{psnr:.1f}"
