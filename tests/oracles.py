"""Slow float64 answers, written from the definitions and unlike the code that they check."""

import math

import numpy as np
from scipy.stats import norm

from attacks.membership import Examples


def examples_of(labels: np.ndarray, num_classes: int = 10) -> Examples:
    """All examples of a pool, by their labels."""
    return Examples(np.arange(len(labels)), np.asarray(labels), len(labels), num_classes)


def unlabelled(num_examples: int) -> Examples:
    """All examples of a pool, for an attack that does not look at labels."""
    return examples_of(np.zeros(num_examples, int))


def lira(
    target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray, mode: str, pooled: bool
) -> np.ndarray:
    """Return LiRA's scores (N,) of one target, one example and one view at a time.

    Args:
        target: (N, V) float.
        shadows: (S, N, V) float.
        shadow_member: (S, N) int8.
        mode: "online" or "offline".
        pooled: whether a class has one variance for all examples.
    """
    num_examples, num_views = target.shape
    scores = []
    for i in range(num_examples):
        of_views = []
        for v in range(num_views):
            normals = {}
            for c in (0, 1):
                answers = [
                    float(x)
                    for x, m in zip(shadows[:, i, v], shadow_member[:, i], strict=True)
                    if m == c
                ]
                variance = _pooled(shadows[:, :, v], shadow_member, c) if pooled else _var(answers)
                centre = math.fsum(answers) / len(answers) if answers else math.nan
                normals[c] = norm(centre, math.sqrt(max(variance, 1e-12)))
            x = float(target[i, v])
            if mode == "online":
                of_views.append(normals[1].logpdf(x) - normals[0].logpdf(x))
            else:
                of_views.append(-normals[0].logsf(x))
        scores.append(math.fsum(of_views) / num_views)
    return np.array(scores)


def _var(answers: list[float]) -> float:
    if len(answers) < 2:
        return math.nan
    centre = math.fsum(answers) / len(answers)
    return math.fsum((x - centre) ** 2 for x in answers) / len(answers)


def _pooled(shadows: np.ndarray, shadow_member: np.ndarray, c: int) -> float:
    """The mean squared residual of a class over all examples with two shadows or more."""
    squares, number = 0.0, 0
    for i in range(shadows.shape[1]):
        answers = [
            float(x) for x, m in zip(shadows[:, i], shadow_member[:, i], strict=True) if m == c
        ]
        if len(answers) > 1:
            squares += _var(answers) * len(answers)
            number += len(answers)
    return squares / number if number else math.nan
