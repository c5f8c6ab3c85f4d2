"""Can an image be recovered from its features? Figures 1 and 8 of residual perturbation.

Source: Tao et al., "Deep Learning with Data Privacy via Residual Perturbation", equations (2) to
(5), (7), Algorithm 1. Images are (H, W, channels) float64, pixels in [0, 1]; gamma is in the same
unit.
"""

import math
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from runner.standalone.inputs import BadInput, expect

Strategy = Literal["additive", "multiplicative"]  # the paper's strategies I and II
STRATEGIES: tuple[Strategy, ...] = ("additive", "multiplicative")
WIDTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # pixels of the smoothing attacker


def recoveries(
    image: np.ndarray, gamma: float, dt: float, strategy: Strategy, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the features of an image, and what three attackers make of them.

    `features` is x(1), by forward Euler-Maruyama from x(0) = image, equation (4). `with_noise` goes
    back by the paper's equation (5), which adds fresh noise. `without_noise` leaves that noise
    out. `smoothed` blurs and clips the latter, with the width of WIDTHS that is best for this very
    image: what the attacker would learn from other photographs is given to it.

    Raises:
        BadInput: gamma or dt is none, or so large that the values overflow.
    """
    check(gamma, dt)
    sources = displacement(*image.shape[:2])
    with np.errstate(over="ignore", invalid="ignore"):
        features = evolve(image, sources, dt, gamma, strategy, rng)
        with_noise = evolve(features, sources, -dt, gamma, strategy, rng)
        without_noise = evolve(features, sources, -dt, 0.0, strategy, rng)
    found = {"features": features, "with_noise": with_noise, "without_noise": without_noise}
    if any(np.abs(state).max() > 1e100 for state in found.values()) or not all(
        np.isfinite(state).all() for state in found.values()
    ):
        raise BadInput(f"gamma {gamma} lets the values of the {strategy} noise overflow; lower it")
    blurred = [
        np.clip(gaussian_filter(without_noise, (w, w, 0), mode="reflect"), 0, 1) for w in WIDTHS
    ]
    found["smoothed"] = min(blurred, key=lambda guess: rmse(guess, image))
    return found


def evolve(
    state: np.ndarray,
    sources: np.ndarray,
    dt: float,
    gamma: float,
    strategy: Strategy,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the state after time 1: forward for a positive dt, backward for a negative one.

    Each step adds dt F(x) and noise of standard deviation gamma sqrt(|dt|), times x where the
    strategy is multiplicative. The paper writes N(0, sqrt(dt) I); with sqrt(dt) as a variance the
    steps would not converge to its SDE (3), so it is read as the standard deviation.
    """
    scale = gamma * math.sqrt(abs(dt))
    for _ in range(round(1 / abs(dt))):
        change = dt * velocity(state, sources)
        if scale:
            noise = scale * rng.standard_normal(state.shape)
            change += noise * state if strategy == "multiplicative" else noise
        state = state + change
    return state


def velocity(image: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Return Algorithm 1's F: every pixel becomes the one that `displacement` names."""
    return image.reshape(len(sources), -1)[sources].reshape(image.shape)


def displacement(rows: int, cols: int) -> np.ndarray:
    """Return which pixel Algorithm 1 fetches for each: (rows * cols,) int, in row order.

    `math.cos`, not NumPy's: the two may differ in the last bit, and int() makes that a pixel.
    """
    i, j = np.arange(rows)[:, None], np.arange(cols)
    across = np.array([50.0 * math.cos(2 * math.pi * row / 180) for row in range(rows)])
    down = np.array([50.0 * math.sin(2 * math.pi * row / 180) for row in range(rows)])
    offset_j = ((j + across[:, None]) % cols).astype(int)
    offset_i = ((i + down[:, None]) % rows).astype(int)
    return ((i + offset_j) % rows * cols + (j + offset_i) % cols).ravel()


def check(gamma: float, dt: float) -> None:
    """Refuse what cannot be simulated.

    Raises:
        BadInput: gamma is negative, or dt does not divide 1.
    """
    expect(0 <= gamma < math.inf, "--gamma of 0 or more", gamma)
    whole = 1e-4 <= dt <= 1 and abs(round(1 / dt) * dt - 1) < 1e-9
    expect(whole, "a --dt of 0.0001 or more that divides 1, such as 0.01", dt)


def rmse(guess: np.ndarray, image: np.ndarray) -> float:
    """Return the root mean square error over all pixels and channels."""
    return float(np.sqrt(np.mean((guess - image) ** 2)))


def psnr_db(error: float) -> float | None:
    """Return the peak signal-to-noise ratio of an RMSE, for pixels in [0, 1]; None for error 0."""
    return -20 * math.log10(error) if error else None
