"""Images that are there more than once, byte for byte."""

import hashlib
from collections.abc import Iterable

import numpy as np


def keys(images: np.ndarray) -> Iterable[bytes]:
    """Yield a digest of each image's bytes: images that share it are copies of each other."""
    return (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)


def copies(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of images that differ, and which of them each image is.

    Args:
        images: (N, ...) uint8.

    Returns:
        (D,) int64, growing, where each is first; and (N,) int64 in [0, D).
    """
    numbers: dict[bytes, int] = {}
    group = np.array([numbers.setdefault(key, len(numbers)) for key in keys(images)], np.int64)
    return np.unique(group, return_index=True)[1], group
