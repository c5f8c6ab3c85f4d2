"""What the relative attacks share: their references, and signals and comparisons of RMIA's."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from attacks.membership import MembershipAttack, Needs

EXAMPLES_AT_ONCE = 64  # keeps their comparisons in the cache of one core
MANY_CLASSES = 100  # from here on the 2024 values are those for CIFAR-100
SMALLEST = np.finfo(np.float64).tiny  # what an underflown probability counts as


class Relative(MembershipAttack):
    """An attack that asks how much surer the target is of x than references are.

    online: p(x) is the mean over all references, trained with x or without: beyond whether a model
        is judged on x it uses no membership.
    offline: p(x) is of references trained without x, by `offline_mean`.
    """

    mode: Literal["online", "offline"] = "online"
    a: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _a_is_of_offline(self) -> Self:
        if self.a is not None and self.mode == "online":
            raise ValueError("`a` is of mode offline; leave it out, or choose that mode")
        return self

    @property
    def shadows_apart(self) -> bool:
        return True

    def needs(self, num_views: int = 1) -> Needs:
        """Online one of each kind, though it has a score of either: p(x) is the mean of both."""
        online = self.mode == "online"
        return Needs(inside=1 if online else 0, outside=1, either=online)

    def known(self, member: np.ndarray) -> np.ndarray:
        """Return which models are references for which examples."""
        return member == 0 if self.mode == "offline" else member >= 0

    def expected(self, mean: np.ndarray, num_classes: int) -> np.ndarray:
        """Return p(x), given the mean over references."""
        return mean if self.mode == "online" else offline_mean(mean, self.a, num_classes)


def mean_probability(log_odds: np.ndarray) -> np.ndarray:
    """Return the mean probability of the label over V views, (B, 1) float64, of log-odds (B, V)."""
    from scipy.special import expit

    return np.maximum(expit(log_odds.astype(np.float64)).mean(axis=1, keepdims=True), SMALLEST)


def offline_mean(outside: np.ndarray, a: float | None, num_classes: int) -> np.ndarray:
    """Return p(x) where no reference was trained with x: ((1 + a) p_out(x) + 1 - a) / 2.

    Args:
        outside: the mean over references trained without x.
        a: None: 0.3, or 0.6 from 100 classes on, the values for CIFAR-10 and CIFAR-100.
        num_classes: C.
    """
    usual = 0.6 if num_classes >= MANY_CLASSES else 0.3
    a = usual if a is None else a
    return ((1 + a) * outside + 1 - a) / 2


def taylor_softmax(
    logits: np.ndarray, labels: np.ndarray, temperature: float, margin: float
) -> np.ndarray:
    """Return e(y - margin) / (e(y - margin) + sum over the other classes of e), e a polynomial.

    e(t) = 1 + t + t^2/2 + t^3/6 + t^4/24, for logits divided by the temperature. It grows slower
    than the exponential, so probabilities near 1 stay apart. It is positive, but rises again below
    t = -1.6: a class that is as good as excluded counts for more than one that is unlikely.
    Source: Banerjee et al. (2021), https://arxiv.org/abs/2011.11538, SM-Taylor softmax of order 4,
    which Zarifzadeh et al. (2024), https://arxiv.org/abs/2312.03262, take.

    Their code differs in two ways. It stops at the cube where the paper's order is 4, and a cubic
    is negative below -1.6, so its probabilities can be negative and above 1. And it takes logits
    as they come, so that log-probabilities, all below 0, mean the opposite: the surer the answer,
    the larger the polynomial of the others. Here logits are centred first. Those of networks
    trained by cross-entropy almost are, since its gradients over the classes add up to 0.

    Args:
        logits: (N, V, C) float logits or log-probabilities.
        labels: (N,) int in [0, C).
        temperature: above 0.
        margin: taken off the label's logit.

    Returns:
        (N, V) float64 in (0, 1).
    """
    values = logits.astype(np.float64)
    values -= values.mean(axis=2, keepdims=True)
    values /= temperature
    rows = np.arange(len(labels))
    of_label = _polynomial(values[rows, :, labels] - margin)
    each = _polynomial(values)
    each[rows, :, labels] = 0
    return of_label / (of_label + each.sum(axis=2))


def wins_of(ratio: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Return how many bars each ratio exceeds in more than half of the views; a tie is a no.

    With one view a bar's rank among the sorted bars is enough. With several it takes a comparison
    for each example, bar and view: of ranks, which are a quarter of the bytes.

    Args:
        ratio: (B, V) float64.
        bar: (Z, V) float64 without NaN, Z below 32768 and V below 256.

    Returns:
        (B,) int.
    """
    columns = range(ratio.shape[1])
    rising = np.sort(bar, axis=0)
    passed = [np.searchsorted(rising[:, v], ratio[:, v], side="left") for v in columns]
    if len(passed) == 1:
        return passed[0]
    # A bar is exceeded exactly if it has fewer bars below it than the ratio has.
    passed = [each.astype(np.int16)[:, None] for each in passed]
    below = [
        np.searchsorted(rising[:, v], bar[:, v], side="left").astype(np.int16) for v in columns
    ]
    wins = np.empty(len(ratio), np.int64)
    for start in range(0, len(ratio), EXAMPLES_AT_ONCE):
        part = slice(start, start + EXAMPLES_AT_ONCE)
        votes = np.zeros((len(ratio[part]), len(bar)), np.uint8)
        for of_ratio, of_bar in zip(passed, below, strict=True):
            votes += of_ratio[part] > of_bar
        wins[part] = (votes > len(passed) // 2).sum(axis=1)
    return wins


def share_won(wins: np.ndarray, compared: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return wins over comparisons, (B,); NaN where nothing was compared or the ratio is NaN.

    Args:
        wins: (B,) numbers.
        compared: (B,) numbers.
        ratio: (B, V) float64.
    """
    unknown = np.isnan(ratio).any(axis=1) | (compared == 0)
    return np.where(unknown, np.nan, wins / np.maximum(compared, 1))


def _polynomial(t: np.ndarray) -> np.ndarray:
    return 1 + t * (1 + t / 2 * (1 + t / 3 * (1 + t / 4)))
