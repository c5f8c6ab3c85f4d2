"""The demonstration of reversal: reads the image, measures, and writes what a person looks at."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from runner.report.style import RC
from runner.standalone import output
from runner.standalone.inputs import BadInput, expect
from runner.standalone.reversal import STRATEGIES, check, psnr_db, recoveries, rmse
from runner.standalone.reversal_figures import ATTACKERS, curve_figure, decibels, recovery_figure
from runner.statistics.intervals import mean_interval

LONGEST = 192  # pixels of a side; larger images are shrunk, for speed
GAMMAS = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0)
NUM_SEEDS = 5
BACK = ("without_noise",)  # without noise in the features there is one way back


def demonstrate(image_path: Path | None, gamma: float, dt: float, seed: int, folder: Path) -> str:
    """Write the figures and results.json into a folder; return the table to print.

    Raises:
        BadInput: the image cannot be read, a number is out of range, or the folder is none.
    """
    check(gamma, dt)
    expect(seed >= 0, "--seed of 0 or more", seed)
    output.check_folder(folder)
    image = read(image_path)
    states = {
        name: recoveries(image, gamma, dt, name, np.random.default_rng([seed, i]))
        for i, name in enumerate(STRATEGIES)
    }
    states["ode"] = recoveries(image, 0.0, dt, "additive", np.random.default_rng(seed))
    errors = {
        name: {who: rmse(found[who], image) for who in (ATTACKERS if name != "ode" else BACK)}
        for name, found in states.items()
    }
    curve = measure_curve(image, dt, seed)
    by_dt = {str(dt / n): ode_error(image, dt / n) for n in (1, 2, 4)}
    facts = {
        "image": image_path.name if image_path else "scikit-learn's china.jpg",
        "shape": list(image.shape),
        "gamma": gamma,
        "dt": dt,
        "seed": seed,
        "rmse": errors,
        "psnr_db": {name: {w: psnr_db(e) for w, e in of.items()} for name, of in errors.items()},
        "rmse_of_one_grey": float(image.std()),
        "rmse_of_ode_by_dt": by_dt,
        "curve": {"gamma": GAMMAS, "num_seeds": NUM_SEEDS, "rmse": curve},
    }
    with matplotlib.rc_context(RC):
        figures = {"recovery": recovery_figure(image, states), "curve": curve_figure(facts)}
    output.write(folder, figures, facts)
    return table(facts)


def read(path: Path | None) -> np.ndarray:
    """Return a photograph as (H, W, 3) float64 in [0, 1]; None is scikit-learn's china.jpg.

    Raises:
        BadInput: there is no image that Pillow can read.
    """
    try:
        with Image.open(path) if path else Image.fromarray(load_sample_image("china.jpg")) as found:
            image = found.convert("RGB")
    except OSError as error:
        reason = error.strerror or "not an image"
        raise BadInput(f"--image {path}: {reason}; give a PNG or JPEG") from None
    image.thumbnail((LONGEST, LONGEST))
    return np.asarray(image, dtype=np.float64) / 255


def ode_error(image: np.ndarray, dt: float) -> float:
    """Return the RMSE that going back leaves where there is no noise."""
    found = recoveries(image, 0.0, dt, "additive", np.random.default_rng(0))
    return rmse(found["without_noise"], image)


def measure_curve(image: np.ndarray, dt: float, seed: int) -> dict[str, Any]:
    """Return the RMSE by strategy and attacker: a mean and interval over seeds for each gamma."""
    curve: dict[str, Any] = {}
    for strategy in STRATEGIES:
        errors = np.empty((len(GAMMAS), NUM_SEEDS, len(ATTACKERS)))
        for at in np.ndindex(errors.shape[:2]):
            rng = np.random.default_rng([seed, 2 + STRATEGIES.index(strategy), *at])
            found = recoveries(image, GAMMAS[at[0]], dt, strategy, rng)
            errors[at] = [rmse(found[who], image) for who in ATTACKERS]
        curve[strategy] = {
            who: [mean_interval(of_gamma, bounds=(0, math.inf))._asdict() for of_gamma in of_who]
            for who, of_who in zip(ATTACKERS, np.moveaxis(errors, 2, 0), strict=True)
        }
    return curve


def table(facts: dict[str, Any]) -> str:
    """Return the errors as text."""
    lines = [f"{'':16}" + "".join(f"{words:>28}" for words in ATTACKERS.values())]
    for name in ("ode", *STRATEGIES):
        found = {w: f"{e:.4g} ({decibels(e)} dB)" for w, e in facts["rmse"][name].items()}
        line = f"{name:16}" + "".join(f"{found.get(who, ''):>28}" for who in ATTACKERS)
        lines.append(line.rstrip())
    halved = ", ".join(f"{e:.3g} at dt {dt}" for dt, e in facts["rmse_of_ode_by_dt"].items())
    lines += [f"RMSE (PSNR) at gamma {facts['gamma']:g}, pixels in [0, 1]"]
    lines += [f"a picture of one grey: {facts['rmse_of_one_grey']:.4g}; ODE recovery: {halved}"]
    return "\n".join(lines)
