"""The few images that arms are tried on."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Few(NamedTuple):
    """Images (n, channels, H, W) uint8 and labels (n,) int64, on the CPU."""

    images: Tensor
    labels: Tensor


def few_of(images: np.ndarray, labels: np.ndarray) -> Few:
    """Return the first two, the first of another class, and the flattest, darkest and brightest.

    The latter are those that a network is likeliest to divide by zero on.

    Args:
        images: (N, channels, H, W) uint8, two or more.
        labels: (N,) int64.
    """
    low, high = images.min((1, 2, 3)), images.max((1, 2, 3))
    other = int(np.argmax(labels != labels[0]))
    extremes = [int(np.argmin(high - low)), int(np.argmin(high)), int(np.argmax(low))]
    return taken(images, labels, np.array([*dict.fromkeys((0, 1, other, *extremes))]))


def taken(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Few:
    """Return the examples of these places."""
    return Few(torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]))
