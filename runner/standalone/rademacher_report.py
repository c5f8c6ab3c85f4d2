"""The demonstration of Theorem 3: measures, and writes what a person looks at."""

import itertools
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from runner.report import style
from runner.standalone import output
from runner.standalone.inputs import expect
from runner.standalone.rademacher import (
    Sampled,
    all_or_some_signs,
    closed_form,
    mean_of,
    noise_factor,
    ratio_of_means,
    sampled_factor,
)
from runner.standalone.rademacher_search import KINDS, suprema

CLOSED, SEARCHED = 2**15, 2**8  # vectors of signs: of the closed form, and of the search
NUM_DRAWS = 100_000  # of B(T)
LARGEST = 2**14  # numbers in x, so that all searches fit in memory at once
LOW = 0.05  # x is uniform on [LOW, 1], because x^p needs positive entries
WAYS = ("closed", *KINDS)
OVER = "R(F) / closed form"
WORDS = {
    "closed": "closed form",
    "diagonal": "searched, diagonal U",
    "circulant": "at least, circulant U",
}


def demonstrate(
    dim: int, num_examples: int, c: float, T: float, p: float, gamma: float, seed: int, folder: Path
) -> str:
    """Write the figure and results.json into a folder; return the table to print.

    Raises:
        BadInput: a number is out of range, or the folder is none.
    """
    expect(dim >= 1, "--dim of 1 or more", dim)
    expect(num_examples >= 1, "--num-examples of 1 or more", num_examples)
    size = dim * num_examples
    expect(size <= LARGEST, f"--dim times --num-examples of {LARGEST} or less", size)
    expect(1e-9 <= c <= 1e9, "--c from 1e-9 to 1e9", c)
    expect(1e-9 <= T <= 1e9, "--T from 1e-9 to 1e9", T)
    expect(c * T <= 100, "--c times --T of 100 or less, so that exp(cT) stays a number", c * T)
    expect(0 < p < 1, "--p above 0 and below 1", p)
    expect(0 <= gamma <= 1e9, "--gamma from 0 to 1e9", gamma)
    expect(seed >= 0, "--seed of 0 or more", seed)
    output.check_folder(folder)
    facts = measure(dim, num_examples, c, T, p, gamma, seed)
    with matplotlib.rc_context(style.RC):
        figures = {"complexity": complexity_figure(facts["curve"])}
    output.write(folder, figures, facts)
    return table(facts)


def measure(
    dim: int, num_examples: int, c: float, T: float, p: float, gamma: float, seed: int
) -> dict[str, Any]:
    """Return R(F) and R(G), in closed form and searched, on positive examples drawn by the seed."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(LOW, 1, size=(num_examples, dim))
    signs, all_signs = all_or_some_signs(num_examples, CLOSED, rng)
    found = {"closed": mean_of(closed_form(x, signs, c, T, p), all_signs)}
    signs, all_signs = all_or_some_signs(num_examples, SEARCHED, rng)
    closed, over = closed_form(x, signs, c, T, p), {"closed": Sampled(1.0, 0.0)}
    for kind in KINDS:
        values, _ = suprema(x, signs, c, T, p, kind, rng)
        # paired with the closed form on the same signs, whose mean over all signs is known better
        over[kind] = ratio_of_means(values, closed, all_signs)
        found[kind] = found["closed"].times(over[kind])
    normals = rng.standard_normal(NUM_DRAWS)
    given = {"dim": dim, "num_examples": num_examples, "c": c, "T": T, "p": p, "gamma": gamma}
    gammas = np.linspace(0, 2 * gamma or 2.0, 9).tolist()
    return {
        "given": {**given, "seed": seed},
        "num_signs_searched": len(signs),
        OVER: {way: estimate._asdict() for way, estimate in over.items()},
        "at_gamma": _with_noise(found, gamma, T, p, normals),
        "curve": [{"gamma": g, **_with_noise(found, g, T, p, normals)} for g in gammas],
    }


def _with_noise(
    found: dict[str, Sampled], gamma: float, T: float, p: float, normals: np.ndarray
) -> dict[str, dict[str, dict[str, float]]]:
    """R(F), R(G) and their ratio at one gamma, in each of the three ways."""
    sampled = sampled_factor(gamma, T, p, normals)
    ratio = dict.fromkeys(found, sampled) | {"closed": Sampled(noise_factor(gamma, T, p), 0.0)}
    noisy = {way: found[way].times(ratio[way]) for way in found}
    rows = {"R(F)": found, "R(G)": noisy, "R(G) / R(F)": ratio}
    return {row: {way: e._asdict() for way, e in of.items()} for row, of in rows.items()}


def complexity_figure(curve: list[dict[str, Any]]) -> Figure:
    """Return R(F) and R(G) against gamma: closed forms as lines, searched ones with 95 % bars."""
    figure, (axes,) = style.panels(1, 1, width=5.2, height=3.4)
    gammas, lines = [point["gamma"] for point in curve], {}
    for row, way in itertools.product(("R(F)", "R(G)"), WAYS):
        i = WAYS.index(way)
        values, errors = ([p[row][way][key] for p in curve] for key in Sampled._fields)
        look = {"color": style.color(i), "ls": {"R(F)": "-", "R(G)": "--"}[row], "lw": 1.3}
        if way != "closed":
            look |= {"marker": style.marker(i), "ms": 3.5 + 2 * (way == "diagonal"), "capsize": 2}
        if way == "diagonal":
            look |= {"ls": "", "mfc": "none"}  # it lies on the closed form
        bars = axes.errorbar(gammas, values, 1.96 * np.array(errors), **look)
        lines[f"{row}, {WORDS[way]}"] = bars.lines[0]
    axes.set(xlabel="gamma", ylabel="Rademacher complexity")
    style.legend(figure, lines)
    return figure


def table(facts: dict[str, Any]) -> str:
    """Return the figures at the gamma asked for as text."""
    lines = [f"{'':20}" + "".join(f"{WORDS[way]:>25}" for way in WAYS)]
    rows = facts["at_gamma"] | {OVER: facts[OVER]}
    for row, of in rows.items():
        cells = [_cell(**of[way]) for way in WAYS]
        lines.append(f"{row:20}" + "".join(f"{cell:>25}" for cell in cells))
    lines += [f"value +- standard error; {facts['num_signs_searched']} vectors of signs searched"]
    return "\n".join(lines)


def _cell(value: float, standard_error: float) -> str:
    """A figure with its error; what is mere rounding is 0."""
    error = standard_error if standard_error > 1e-12 * abs(value) else 0
    return f"{value:.5g} +- {error:.1g}"
