"""Trials of DP-SGD with and without a canary."""

import numpy as np

from defenses.dp_sgd import DPSGD
from runner.standalone.dp_trials import Setting, Trials, gathered, trials

DELTA = 1e-5
HALVES = Setting(num_members=16, batch_size=8, num_steps=2)  # half of the members a step, one epoch
NOISE = 4.0  # epsilon 0.75 at HALVES
CLIP = 10.0


def run(
    defense: DPSGD, setting: Setting, num: int, first: int = 0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(T,) bool and (T, S) scores of the trials from `first` on."""
    found = run_all(defense, setting, num, first, seed)
    return found.is_in, found.scores


def run_all(defense: DPSGD, setting: Setting, num: int, first: int = 0, seed: int = 0) -> Trials:
    """Everything of the trials from `first` on."""
    return gathered(trials(defense, setting, range(first, first + num), seed))
