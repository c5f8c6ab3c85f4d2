"""The two privacy theorems of residual perturbation: noise to epsilon, and epsilon to noise.

Source: Tao, Ling, Shi and Wang, "Deep Learning with Data Privacy via Residual Perturbation" (seed
paper), sections III-A, III-B, V-A and V-B. Letters are the paper's; every argument is in natural
units. Both theorems have one form. With `s` the squared ratio of noise to signal and `K` what
composition costs, noise suffices for epsilon when, for some lambda in (0, 1),

    s lambda epsilon > K order,    order = log(1/delta) / ((1 - lambda) epsilon) + 1.

`docs/privacy_budgets.md` says what each is a bound of, and what keeps it from being proved.
"""

import math
from typing import Literal, NamedTuple

Strategy = Literal["I", "II", "enresnet"]  # the last one has no theorem

ASSUMES_1 = (
    "Theorem 1 takes T b / N as an exact count of the steps that use an image, does not compose "
    "its layers, and ignores that BatchNorm couples the images of a batch; nothing enforces R or "
    "G, and a label is not protected"
)
ASSUMES_2 = (
    "Theorem 2 gives each of M + 1 layers a share epsilon_p / M, so spends more than its budget; "
    "it covers the answers that are counted here and no further one, and nothing enforces B or a"
)


class Budget(NamedTuple):
    """The smallest epsilon that some noise gives; the theorem wants any larger one."""

    epsilon: float
    lambda_: float  # the share of epsilon that is Renyi divergence; the rest converts it to DP
    order: float  # the Renyi order, the theorem's alpha
    layers: tuple[float, ...] = ()  # Theorem 1: of U^0, ..., U^(M-1) and last of w, each alone


class Noise(NamedTuple):
    """The smallest noise for some epsilon; the theorem wants any larger one."""

    gamma: float
    pi: float


def theorem_1(
    *,
    gamma: float,
    pi: float,
    G: float,
    R: float,
    T: float,
    b: float,
    N: float,
    M: int,
    delta: float,
    k: int = 1,
) -> Budget:
    """Return the smallest epsilon that Theorem 1 gives the weights under Strategy I.

    The k members of an ensemble are trained jointly on one set, so they compose (Lemma 1): k times
    the Renyi divergence of one.

    Args:
        gamma: standard deviation of the noise on each residual mapping.
        pi: standard deviation of the noise on the input.
        G: bound of the l2 norm of the expected output of every residual mapping.
        R: bound of the l2 norm of an input.
        T: training steps; E epochs of shuffled batches use an image E times, T = E N / b.
        b: batch size.
        N: training examples.
        M: residual mappings.
        delta: in (0, 1).
        k: members of the ensemble.

    Raises:
        ValueError: "no guarantee: ...", a premise does not hold.
    """
    _demand_positive(gamma=gamma, pi=pi, G=G, R=R, T=T, b=b, N=N, M=M, k=k)
    budget = _budget(_squared(min(pi / R, gamma / G)), 2 * k * T * b / N, delta)
    lambda_, shares = budget.lambda_, range(1, M + 2)  # U^i has lambda / (i + 1), w lambda / (M+1)
    layers = tuple((lambda_ / share + 1 - lambda_) * budget.epsilon for share in shares)
    return budget._replace(layers=layers)


def theorem_2(
    *,
    gamma: float,
    pi: float,
    eta: float,
    B: float,
    a: float,
    M: int,
    delta: float,
    queries: int = 1,
    composed: bool = False,
) -> Budget:
    """Return the smallest epsilon that Theorem 2 gives an answer under Strategy II.

    The statement asks pi > alpha sqrt(...), where the proof has a: a is taken. Draws and views of
    one image are answers too, and answers compose (Lemma 1).

    Args:
        gamma: noise on each residual mapping, times the features' size.
        pi: noise on the output, times the features' size.
        eta: the size below which a feature's noise does not shrink.
        B: bound of the l2 norm of a residual mapping's output.
        a: bound of the l2 norm of the last layer's weights.
        M: residual mappings.
        delta: in (0, 1).
        queries: answers the attacker gets: images times D draws times V views.
        composed: count all M + 1 layers at the share epsilon_p / M that the proof gives each; the
            theorem as stated counts M.

    Raises:
        ValueError: "no guarantee: ...", a premise does not hold.
    """
    _demand_positive(gamma=gamma, pi=pi, eta=eta, B=B, a=a, M=M, queries=queries)
    ratio = min(gamma * eta / B, pi / a)
    return _budget(_squared(ratio), 2 * queries * (M + composed), delta)


def noise_1(
    *, epsilon: float, G: float, R: float, T: float, b: float, N: float, delta: float, k: int = 1
) -> Noise:
    """Return the smallest noise for which Theorem 1 gives epsilon; see `theorem_1`."""
    _demand_positive(G=G, R=R, T=T, b=b, N=N, k=k)
    ratio = _ratio(epsilon, 2 * k * T * b / N, delta)
    return Noise(gamma=G * ratio, pi=R * ratio)


def noise_2(
    *,
    epsilon: float,
    eta: float,
    B: float,
    a: float,
    M: int,
    delta: float,
    queries: int = 1,
    composed: bool = False,
) -> Noise:
    """Return the smallest noise for which Theorem 2 gives epsilon; see `theorem_2`."""
    _demand_positive(eta=eta, B=B, a=a, M=M, queries=queries)
    ratio = _ratio(epsilon, 2 * queries * (M + composed), delta)
    return Noise(gamma=B / eta * ratio, pi=a * ratio)


def _budget(s: float, K: float, delta: float) -> Budget:
    """The smallest epsilon over lambda: with y = (1 - lambda) epsilon it is K/s (L/y + 1) + y."""
    log = _log(delta)
    if s == 0 or not math.isfinite(K / s):
        raise ValueError("no guarantee: so little noise that epsilon is beyond any float")
    if not math.isfinite(s) or K / s == 0:
        raise ValueError("no guarantee: so much noise that epsilon is below any float")
    root = math.sqrt(K / s)
    order = 1 + math.sqrt(log) / root
    epsilon = root * (root + 2 * math.sqrt(log))
    return Budget(epsilon, root**2 * order / epsilon, order)


def _ratio(epsilon: float, K: float, delta: float) -> float:
    """The smallest ratio of noise to signal, sqrt(s): `_budget` solved for it."""
    _demand_positive(epsilon=epsilon)
    log = _log(delta)
    return math.sqrt(K) * (math.sqrt(log + epsilon) + math.sqrt(log)) / epsilon


def _squared(ratio: float) -> float:
    """ratio ** 2 raises OverflowError where this is infinite."""
    return ratio * ratio


def _log(delta: float) -> float:
    if not 0 < delta < 1:
        raise ValueError(f"no guarantee: delta must lie between 0 and 1, got {delta:g}")
    return -math.log(delta)


def _demand_positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"no guarantee: {name} must be above 0 and finite, got {value:g}")
