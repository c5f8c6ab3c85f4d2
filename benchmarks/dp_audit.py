"""How often `runner budget audit` accuses DP-SGD, right and with too little noise, by simulation.

    python benchmarks/dp_audit.py

Audits of 1,000 trials of 2 steps, noise 4 and half of 16 examples a batch, as the command has them.
The trials are drawn by the law that tests hold the real ones to: a score is a binomial number of
draws plus Gaussian noise, and the silent coordinates are noise alone. Printed are how often each
test accuses, and all of them together; then the smallest shortfall of noise that a test sees with
95 % at 5 % of error, found by halving. `--real N` also runs N audits of real trials. Ends with 1 if
a right DP-SGD is accused significantly more often than with 5 %. Cost: about 1 minute on one core,
and 3 s for a real audit. Results: benchmarks/results/dp_audit.md.
"""

import argparse
import math
import sys
from collections.abc import Callable

import numpy as np

from attacks.epsilon import split_sample_bound
from defenses.dp_sgd import DPSGD, sampling
from runner.standalone.dp_audit import ERRORS, audit_of_all_trials
from runner.standalone.dp_guesses import even_odds, guesses_of, most_right
from runner.standalone.dp_noise import noise_shown
from runner.standalone.dp_trials import (
    LAYERS,
    PIXELS,
    Setting,
    Trials,
    ceiling_of,
    gathered,
    guarantee_of,
    trials,
)

NOISE = 4.0
SETTING = Setting(16, 8, 2)
RATE, _ = sampling(SETTING.num_members, SETTING.batch_size)
TRIALS = 1000
DELTA = 1e-5
SHORTFALLS = (0.0, 0.005, 0.01, 0.02, 0.1, 0.5, 0.8, 0.9)  # of all layers' noise
TOLD = guarantee_of(DPSGD(noise_multiplier=NOISE), SETTING, DELTA)
MOST = most_right(*ceiling_of(DPSGD(noise_multiplier=NOISE), SETTING))
MIDDLE = even_odds(NOISE, RATE, SETTING.num_steps)


def drawn(random: np.random.Generator, shortfalls: np.ndarray) -> Trials:
    """Trials whose layers' noise lacks so much."""
    is_in = random.random(TRIALS) < 0.5
    draws = np.where(is_in, random.binomial(SETTING.num_steps, RATE, TRIALS), 0)[:, None]
    left = NOISE * (1 - shortfalls)
    of_layers = draws + math.sqrt(LAYERS * SETTING.num_steps) * left * random.standard_normal(
        (TRIALS, LAYERS)
    )
    scores = np.concatenate([of_layers.mean(1, keepdims=True), of_layers], 1)
    return Trials(is_in, scores, left**2 * random.chisquare(PIXELS, (TRIALS, LAYERS)))


def by_bound(found: Trials, error: float) -> bool:
    """Whether the bound on epsilon refutes the guarantee."""
    inside = found.scores[found.is_in], found.scores[~found.is_in]
    return split_sample_bound(*inside, DELTA, 1 - error) > (TOLD.epsilon or math.inf)


def by_guesses(found: Trials, error: float) -> bool:
    """Whether guesses do."""
    told = guesses_of(found.is_in, found.scores[:, 0], MIDDLE, MOST, error)
    return told.alarm is not None


def by_noise(found: Trials, error: float) -> bool:
    """Whether the noise does."""
    return noise_shown(found.energies, PIXELS, NOISE, error).alarm is not None


TESTS: dict[str, Callable[[Trials, float], bool]] = {
    "epsilon": by_bound,
    "guesses": by_guesses,
    "noise": by_noise,
}


def power(test: str, shortfalls: np.ndarray, repeats: int) -> float:
    """How often a test by itself accuses, at 5 % of error."""
    random = np.random.default_rng(0)
    return float(np.mean([TESTS[test](drawn(random, shortfalls), 0.05) for _ in range(repeats)]))


def smallest(test: str, layers: np.ndarray, repeats: int) -> float:
    """The shortfall of the layers with a 1 that is seen with 95 %; 1 if none is."""
    low, high = 0.0, 1.0
    for _ in range(10):
        middle = (low + high) / 2
        seen = power(test, middle * layers, repeats) >= 0.95
        low, high = (low, middle) if seen else (middle, high)
    return high


def main() -> None:
    """Print the tables, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000, help="simulated audits a shortfall")
    parser.add_argument("--real", type=int, default=0, help="audits of real trials")
    options = parser.parse_args()
    print("| noise lacks (%) | " + " | ".join(f"{t} ({e:.0%})" for t, e in ERRORS.items()), end="")
    print(" | any (%) |\n|" + "--:|" * 5)
    right = 1.0
    for shortfall in SHORTFALLS:
        random, everywhere = np.random.default_rng(1), np.full(LAYERS, shortfall)
        told = []
        for _ in range(options.repeats):
            found = drawn(random, everywhere)
            told.append([test(found, ERRORS[name]) for name, test in TESTS.items()])
        rates = [*np.mean(told, axis=0), np.mean(np.any(told, axis=1))]
        right = rates[-1] if shortfall == 0 else right
        cells = " | ".join(f"{100 * rate:.1f}" for rate in rates)
        print(f"| {100 * shortfall:g} | {cells} |", flush=True)
    print("\n| test, at 5 % by itself | noise | smallest shortfall seen with 95 % (%) |")
    print("|---|---|--:|")
    for test, where, layers in (
        ("noise", "of all layers", np.ones(LAYERS)),
        ("noise", "of one layer", np.eye(LAYERS)[0]),
        ("guesses", "of all layers", np.ones(LAYERS)),
        ("epsilon", "of all layers", np.ones(LAYERS)),
    ):
        found = smallest(test, layers, options.repeats // 2)
        print(f"| {test} | {where} | {100 * found:.2f} |", flush=True)
    defense, accused = DPSGD(noise_multiplier=NOISE, max_grad_norm=5.0), 0
    for seed in range(options.real):
        found = gathered(trials(defense, SETTING, range(TRIALS), seed))
        accused += bool(audit_of_all_trials(defense, SETTING, found, TOLD, seed).alarms)
    if options.real:
        print(f"\nreal audits that accuse a right DP-SGD: {accused} of {options.real}")
    sys.exit(bool(right > 0.05 + 3 * math.sqrt(0.05 * 0.95 / options.repeats)))


if __name__ == "__main__":
    main()
