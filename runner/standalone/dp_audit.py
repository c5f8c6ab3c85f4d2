"""A white-box audit: is DP-SGD, as it trains here, as private as its guarantee says?"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from attacks.epsilon import largest_certifiable, split_sample_bound
from defenses import Guarantee
from defenses.dp_sgd import DPSGD, sampling
from runner.driver.progress import say
from runner.standalone.dp_guesses import Guesses, even_odds, guesses_of, most_right
from runner.standalone.dp_noise import POWER, Noise, noise_shown
from runner.standalone.dp_trials import (
    PIXELS,
    Setting,
    Trials,
    ceiling_of,
    gathered,
    guarantee_of,
    trials,
)
from runner.standalone.noise import NoBudget
from runner.storage.ids import seed_of

MIN_TRIALS = 100  # so that each half has trials of both kinds
ERRORS = {"epsilon": 0.03, "guesses": 0.01, "noise": 0.01}  # a right DP-SGD is accused with 5 %


class Audited(NamedTuple):
    """What an audit found."""

    guarantee: Guarantee
    lower_bound: float  # on epsilon, at the guarantee's delta
    largest: float  # that so many trials could have shown
    num_in: int  # trials with the canary
    num_out: int
    confidence: float
    guesses: Guesses | None = None
    noise: Noise | None = None

    @property
    def alarms(self) -> list[str]:
        """What is wrong, by each test that says so."""
        told = [self.guarantee.alarm(self.lower_bound)]
        told += [test.alarm for test in (self.guesses, self.noise) if test]
        return [alarm for alarm in told if alarm]


def audit_dp_sgd(
    member: np.ndarray, scores: np.ndarray, guarantee: Guarantee, confidence: float, seed: int
) -> Audited:
    """Return the lower bound that trials show, beside the guarantee.

    One half of the trials chooses the score and the threshold, and the other half gives the bound,
    so `largest` is of half the trials.

    Args:
        member: (T,) bool, whether the canary was in.
        scores: (T, S) float, as `trials` gives them.
        guarantee: whose delta the bound is at.
        confidence: the probability, in (0, 1), that the bound holds.
        seed: of the halves.

    Raises:
        ValueError: an argument is outside its range, or there are too few trials.
    """
    scores_in, scores_out = scores[member], scores[~member]
    bound = split_sample_bound(
        scores_in, scores_out, guarantee.delta, confidence, seed_of(seed, "halves")
    )
    num_in, num_out = len(scores_in), len(scores_out)
    halves = num_in - num_in // 2, num_out - num_out // 2
    largest = largest_certifiable(*halves, guarantee.delta, confidence)
    return Audited(guarantee, bound, largest, num_in, num_out, confidence)


def audit_of_all_trials(
    defense: DPSGD, setting: Setting, found: Trials, guarantee: Guarantee, seed: int
) -> Audited:
    """Return the bound of `audit_dp_sgd`, and the two tests of all trials, at ERRORS."""
    bound = audit_dp_sgd(found.is_in, found.scores, guarantee, 1 - ERRORS["epsilon"], seed)
    noise = defense.noise_multiplier
    assert noise is not None, "a noise multiplier is what is audited"
    rate, _ = sampling(setting.num_members, setting.batch_size)
    most = most_right(*ceiling_of(defense, setting))
    threshold = even_odds(noise, rate, setting.num_steps)
    scores = found.scores[:, 0]
    return bound._replace(
        guesses=guesses_of(found.is_in, scores, threshold, most, ERRORS["guesses"]),
        noise=noise_shown(found.energies, PIXELS, noise, ERRORS["noise"]),
    )


def command(
    noise_multiplier: float,
    max_grad_norm: float,
    setting: Setting,
    num_trials: int,
    delta: float,
    seed: int,
    console: Console,
) -> Audited:
    """Return what `runner budget audit` found, with progress on the way.

    Raises:
        NoBudget: a number is out of its range, or nothing is guaranteed at it.
    """
    if not (0 < noise_multiplier < float("inf") and 0 < max_grad_norm < float("inf")):
        raise NoBudget(
            "--noise-multiplier and --max-grad-norm must be above 0 and finite, got "
            f"{noise_multiplier:g} and {max_grad_norm:g}"
        )
    if not 0 < delta < 1:
        raise NoBudget(f"--delta must lie between 0 and 1, got {delta:g}")
    if num_trials < MIN_TRIALS:
        raise NoBudget(f"--trials must be at least {MIN_TRIALS}, got {num_trials}")
    defense = DPSGD(noise_multiplier=noise_multiplier, max_grad_norm=max_grad_norm)
    try:
        guarantee = guarantee_of(defense, setting, delta)
    except ValueError as error:
        raise NoBudget(str(error)) from None
    if guarantee.epsilon is None:
        raise NoBudget(f"there is no epsilon to audit: {guarantee.why}")
    say(console, f"{num_trials} trials of {setting.num_steps} steps")
    numbers: Iterable[int] = range(num_trials)
    if console.is_terminal:
        numbers = track(numbers, "trials", console=console, transient=True)
    found = gathered(trials(defense, setting, numbers, seed))
    return audit_of_all_trials(defense, setting, found, guarantee, seed)


def told(found: Audited) -> str:
    """Return the printable verdict."""
    guarantee = found.guarantee
    lines = [
        f"DP-SGD, {found.num_in} trials with the canary and {found.num_out} without, "
        f"delta {guarantee.delta:g}",
        f"epsilon at most {guarantee.epsilon:.5g} ({guarantee.status}: {guarantee.why})",
        f"epsilon at least {found.lower_bound:.5g} ({found.confidence:.0%} confidence)",
        f"largest that so many trials could show: {found.largest:.5g}",
    ]
    if guarantee.epsilon is not None and found.largest <= guarantee.epsilon:
        lines.append("too few trials for that bound to refute the guarantee, whatever is broken")
    if guesses := found.guesses:
        lines.append(
            f"right guesses of the coin: {guesses.num_right:,} of {guesses.num:,}, each right with "
            f"a chance of at most {guesses.most:.1%}: a p-value of {guesses.p_value:.2g}"
        )
    if noise := found.noise:
        lines.append(
            f"noise multiplier at most {noise.at_most:.5g}, and {noise.claimed:.5g} is claimed; "
            f"one that is {noise.shortfall:.2%} too small in a layer is seen with {POWER:.0%}"
        )
    if guesses or noise:
        lines.append(f"a DP-SGD that keeps its word is accused with {sum(ERRORS.values()):.0%}")
    alarms = [f"ALARM: {wrong}" for wrong in found.alarms]
    lines += alarms or ["no alarm: the trials do not refute the guarantee"]
    return "\n".join(lines)
