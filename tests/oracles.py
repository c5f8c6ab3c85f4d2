"""Slow float64 answers, written from the definitions and unlike the code that they check."""

import numpy as np

from attacks.membership import Examples
from attacks.membership.lira import Lira
from tests.attacks.membership import lira_oracle


def examples_of(labels: np.ndarray, num_classes: int = 10) -> Examples:
    """All examples of a pool, by their labels."""
    return Examples(np.arange(len(labels)), np.asarray(labels), len(labels), num_classes)


def unlabelled(num_examples: int) -> Examples:
    """All examples of a pool, for an attack that does not look at labels."""
    return examples_of(np.zeros(num_examples, int))


def lira(
    target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray, mode: str, pooled: bool
) -> np.ndarray:
    """Return LiRA's scores (N,) of one target (N, V) by two of the variances."""
    keys = {"mode": mode, "variance": "pooled" if pooled else "per_example"}
    return lira_oracle.lira(Lira.model_validate(keys), target, shadows, shadow_member)
