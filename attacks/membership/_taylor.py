"""The signal of the relative attack of 2024: a softmax with a polynomial for the exponential."""

import numpy as np


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


def _polynomial(t: np.ndarray) -> np.ndarray:
    return 1 + t * (1 + t / 2 * (1 + t / 3 * (1 + t / 4)))
