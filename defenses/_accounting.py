"""Epsilon of the Poisson-subsampled Gaussian mechanism, and the noise that an epsilon takes.

Neighbouring training sets differ by one example added or removed. Every epsilon here is an upper
bound, so that the smallest of several is one. Opacus computes rdp and prv; where its accountants
fail without saying so, this file says so, or asks the one that does not. pld and gaussian are ours.
"""

import functools
import itertools
import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

Bound = Literal["prv", "rdp", "pld", "gaussian"]
Accountant = Literal["prv", "rdp", "best"]

PRV_ERROR = 0.01  # in epsilon; Opacus adds it to what it returns
PRV_POINTS = 2**22  # of the grid that losses are convolved on: about 3 s on one core
PRV_DELTA = 1e-9  # the smallest it bounds: its rounding in float64 hides a delta of about 1e-11
PRV_REACH = 700.0  # nats of the largest loss: exp of more overflows float64
LOW_ORDERS = (1.01, 1.02, 1.05)  # beyond Opacus's own, or a bound of little or much noise
HIGH_ORDERS = (64, 80, 96, 128, 192, 256, 384, 512, 768, 1024)  # is many times too large
MOST_NOISE = 1e6
WITHIN = 1.001  # of the smallest noise is what calibration finds


class Answer(NamedTuple):
    """An epsilon, and who bounds it so."""

    epsilon: float
    by: Bound


class Answers(NamedTuple):
    """What several bounds say of one training."""

    epsilons: dict[Bound, float]
    refused: dict[Bound, str]  # why it cannot be computed

    @property
    def smallest(self) -> Answer:
        """The smallest epsilon that is proved.

        Raises:
            ValueError: there is none; as the first of the bounds says it.
        """
        if not self.epsilons:
            raise ValueError(next(iter(self.refused.values())))
        by, epsilon = min(self.epsilons.items(), key=lambda item: item[1])
        return Answer(epsilon, by)


def bounds_of(accountant: Accountant, sample_rate: float, delta: float) -> tuple[Bound, ...]:
    """Return the bounds among which an accountant takes the smallest that can be computed."""
    if accountant == "best":
        return ("gaussian",) if sample_rate == 1 else ("pld", "rdp")
    answers, _ = answering(accountant, delta)
    return ("prv", "rdp") if answers == "prv" else ("rdp",)


def answers(bounds: tuple[Bound, ...], epsilon_by: Callable[[Bound], float]) -> Answers:
    """Return what each of the bounds says.

    Args:
        epsilon_by: of a bound; ValueError where it cannot be computed.
    """
    found, refused = dict[Bound, float](), dict[Bound, str]()
    for bound in bounds:
        try:
            found[bound] = epsilon_by(bound)
        except ValueError as error:
            refused[bound] = str(error)
    return Answers(found, refused)


def answering(accountant: Accountant, delta: float) -> tuple[Accountant, str]:
    """Return which accountant answers at this delta where this one is asked, and why another does.

    The reason is empty where it is the one that is asked. prv adds up far tails of a distribution
    that a Fourier transform in float64 has rounded, so that below some delta it returns less than
    the exact epsilon, or refuses; rdp works with logarithms, and bounds epsilon at any delta.
    """
    if accountant == "prv" and delta < PRV_DELTA:
        return "rdp", f"prv is no bound at a delta below {PRV_DELTA:g}"
    return accountant, ""


@functools.lru_cache(maxsize=4096)
def spent(
    noise_multiplier: float,
    sample_rate: float,
    num_steps: int,
    delta: float,
    accountant: Accountant | Bound,
) -> float:
    """Return an epsilon such that the steps are (epsilon, delta)-differentially private.

    prv: numerical composition, Gopi et al. (2021), https://arxiv.org/abs/2106.02848; at most about
    0.02 above the exact value. rdp: Mironov et al. (2019), https://arxiv.org/abs/1908.10530. At a
    small delta rdp answers for both: `answering`. pld: `_loss_distribution`, some 1e-4 of epsilon
    above the exact value, at any delta. gaussian: the exact value at sample rate 1. best: the
    smallest of `bounds_of`.

    Args:
        noise_multiplier: standard deviation of the noise on a sum of clipped gradients, in units of
            the largest norm that clipping leaves; above 0.
        sample_rate: probability of each example to be in a step's batch, in (0, 1].
        num_steps: how many steps were taken.
        delta: in (0, 1).

    Raises:
        ValueError: the accountant cannot compute it.
    """
    if accountant == "best":
        at = functools.partial(spent, noise_multiplier, sample_rate, num_steps, delta)
        return answers(bounds_of(accountant, sample_rate, delta), at).smallest.epsilon
    if accountant == "prv":
        accountant, _ = answering(accountant, delta)
    setting = f"noise_multiplier {noise_multiplier:g} over {num_steps} steps"
    if accountant == "rdp":
        epsilon = _renyi(noise_multiplier, sample_rate, num_steps, delta)
    elif accountant == "gaussian":
        assert sample_rate == 1, "its closed form is that of every example in every batch"
        from attacks.gaussian_noise import epsilon_of

        epsilon = epsilon_of(math.sqrt(num_steps) / noise_multiplier, delta, rounded=1)
    elif accountant == "pld":
        from defenses._loss_distribution import larger_epsilon, one_example

        epsilon = larger_epsilon(one_example(noise_multiplier, sample_rate, num_steps), delta)
    else:
        from opacus.accountants import PRVAccountant

        reach = _renyi(noise_multiplier, sample_rate, num_steps, delta / 4000) + 3
        points = 2 * reach / PRV_ERROR * math.sqrt(num_steps * math.log(12000 / delta) / 2)
        if reach > PRV_REACH or points > PRV_POINTS:
            raise ValueError(
                f"the prv accountant cannot compute {setting}: privacy losses reach {reach:.0f} "
                f"(limit {PRV_REACH:.0f}) on {points:.1e} grid points (limit {PRV_POINTS:.1e}); "
                "use accountant: rdp, or more noise"
            )
        prv = PRVAccountant()
        prv.history = [(noise_multiplier, sample_rate, num_steps)]
        with _quietly():
            try:
                epsilon = float(prv.get_epsilon(delta, eps_error=PRV_ERROR))
            except RuntimeError as error:  # a delta so near 1 that no mass is left above it
                raise ValueError(
                    f"the prv accountant cannot compute {setting} at delta {delta:g} ({error}); "
                    "use accountant: rdp, or a smaller delta"
                ) from None
    if not math.isfinite(epsilon):
        raise ValueError(
            f"the {accountant} accountant finds no finite epsilon for {setting} at delta "
            f"{delta:g}; use noise nearer to 1, or a larger delta"
        )
    return max(epsilon, 0.0)


@functools.lru_cache
def calibrated(
    target_epsilon: float,
    target_delta: float,
    sample_rate: float,
    num_steps: int,
    accountant: Accountant,
) -> float:
    """Return the smallest noise multiplier whose `spent` is at most the target, to 0.1 %.

    Arguments as for `spent`.

    Raises:
        ValueError: no noise reaches the target, or the accountant cannot compute so little noise.
    """

    def epsilon(noise: float) -> float:
        try:
            return spent(noise, sample_rate, num_steps, target_delta, accountant)
        except ValueError:
            return math.inf

    accountant, _ = answering(accountant, target_delta)
    high, by_rdp = 1.0, (target_epsilon, target_delta, sample_rate, num_steps, "rdp")
    if accountant == "prv":  # rdp's search is quick and ends a little above
        high = calibrated(*by_rdp)
        spent(high, sample_rate, num_steps, target_delta, accountant)  # raises if out of its reach
    elif accountant == "best":
        with suppress(ValueError):
            high = calibrated(*by_rdp)
    low, high = least_noise(
        lambda noise: epsilon(noise) / target_epsilon,
        high,
        f"no noise reaches target_epsilon {target_epsilon:g} at delta {target_delta:g} by the "
        f"{accountant} accountant; "
        f"{'' if accountant == 'best' else 'take accountant best, or '}ask for a larger epsilon",
    )
    spent(low, sample_rate, num_steps, target_delta, accountant)  # raises if this ended the search
    return high


@functools.lru_cache
def calibrated_to_tpr(
    target_tpr: float, at_fpr: float, sample_rate: float, num_steps: int, cut: float = 0.0
) -> float:
    """Return the smallest noise multiplier whose ceiling is at most this TPR, to 0.1 %.

    Args:
        target_tpr: above `at_fpr` and below 1.
        at_fpr: above 0.
        sample_rate: as for `spent`.
        num_steps: as for `spent`.
        cut: the probability that any batch is cut; see `TradeOff.blurred`.

    Raises:
        ValueError: no noise reaches the target.
    """
    from defenses._trade_off import trade_off

    if target_tpr - at_fpr <= 2 * cut:
        raise ValueError(
            f"no noise reaches target_tpr {target_tpr:g} at at_fpr {at_fpr:g}: both rates may be "
            f"off by {cut:.2g}, the probability that batches are cut; use a larger max_batch_size"
        )

    def excess(noise: float) -> float:
        found = trade_off(noise, sample_rate, num_steps).blurred(cut).tpr_at(at_fpr)
        return (found - at_fpr) / (target_tpr - at_fpr)

    _, noise = least_noise(
        excess,
        1.0,
        f"no noise reaches target_tpr {target_tpr:g} at at_fpr {at_fpr:g}; ask for a larger TPR",
    )
    return noise


def least_noise(
    excess: Callable[[float], float], start: float, refusal: str
) -> tuple[float, float]:
    """Return two noises 0.1 % apart or less, of which the second is enough and the first is not.

    Args:
        excess: of a noise: what is spent over what may be; infinite where it is not known.
        start: a noise to begin with.
        refusal: what to say where no noise is enough.
    """
    high = start
    while excess(high) > 1:
        high *= 2
        if high > MOST_NOISE:
            raise ValueError(refusal)
    return _bracket(excess, high)


def _bracket(excess: Callable[[float], float], high: float) -> tuple[float, float]:
    """Two noises 0.1 % apart or less, the first with an epsilon above the target, the other not.

    Epsilon is nearly a power of the noise, so the next noise to be tried is where the line through
    the last two, in logarithms, meets the target; and then one just below it. Each fourth halves
    what is left, should the line lead nowhere.

    Args:
        excess: of a noise: its epsilon over the target, infinite where it is not known.
        high: a noise whose excess is 1 or less.
    """
    low, at, power = 0.0, high, -1.5
    last: tuple[float, float] | None = None
    for number in itertools.count(1):
        found, x = excess(at), math.log(at)
        low, high = (at, high) if found > 1 else (low, at)
        if high <= WITHIN * low:
            break
        at = 0.0
        if 0 < found < math.inf and number % 4:
            y = math.log(found)
            if last and (x - last[0]) * (y - last[1]) < 0:
                power = (y - last[1]) / (x - last[0])
            last = x, y
            meets = math.exp(min(x - y / power, math.log(high)))  # a flat line leads beyond
            at = high / WITHIN if meets > high / WITHIN else meets * WITHIN**0.3
        if not max(low, high / 2) < at < high:
            at = math.sqrt(low * high) if low else high / 2
    return low, high


def _renyi(noise_multiplier: float, sample_rate: float, num_steps: int, delta: float) -> float:
    """Epsilon by Renyi differential privacy."""
    from opacus.accountants.analysis.rdp import get_privacy_spent

    with _quietly():
        try:
            orders, of_a_step = _renyi_of_a_step(noise_multiplier, sample_rate)
            epsilon, _ = get_privacy_spent(orders=orders, rdp=of_a_step * num_steps, delta=delta)
        except (OverflowError, ZeroDivisionError):  # hardly any noise
            return math.inf
    return float(epsilon)


@functools.lru_cache(maxsize=256)
def _renyi_of_a_step(noise_multiplier: float, sample_rate: float) -> tuple[list[float], Any]:
    """Orders, and the divergence of one step at each: that of more steps is a multiple of it."""
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = [*LOW_ORDERS, *RDPAccountant.DEFAULT_ALPHAS, *HIGH_ORDERS]
    found = compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=orders)
    return orders, found


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep in what Opacus says of orders and overflows: the bound stays one, or is not finite."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
