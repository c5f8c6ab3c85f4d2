"""Images of a pool that are there twice, or nearly."""

from typing import NamedTuple

import numpy as np

RADIUS = 4.0  # grey levels, root mean square over pixels: what a re-encoding moves
TOLERATED = 0.01  # share of the examples that may have a twin
AT_ONCE = 256  # images that are compared with others in one product
COARSE = 8  # images are first compared by their means over so many rows and columns


class Twins(NamedTuple):
    """The examples that have a twin in the pool, by their places, growing."""

    exact: np.ndarray  # (E,) int64, byte for byte
    near: np.ndarray  # (K,) int64, within `radius`; the exact ones among them
    radius: float  # grey levels


def find_twins(images: np.ndarray, judged: np.ndarray, radius: float = RADIUS) -> Twins:
    """Return which judged images have another image of the pool near them, whatever the labels.

    Exact, and quick where few are near: a mean over a part of two images differs by no more than
    the root mean square of their difference there (Jensen), so images whose means differ by more
    than `radius` are never compared, and of the others only those whose coarse means are near.

    Args:
        images: (N, channels, H, W) uint8.
        judged: (N,) bool.
        radius: grey levels.
    """
    coarse, share = _coarse(images)
    reach = radius * share**-0.5 + 0.1  # the rounding of float32 products
    order = np.argsort(coarse.mean(1), kind="stable")
    ranked = coarse[order]
    means, norms = ranked.mean(1), np.square(ranked).sum(1)
    near, exact = np.zeros(len(images), bool), np.zeros(len(images), bool)
    for start in range(0, len(images), AT_ONCE):
        stop = min(start + AT_ONCE, len(images))
        end = int(np.searchsorted(means, means[stop - 1] + reach, side="right"))
        some, rest = slice(start, stop), slice(start, end)
        squares = norms[some, None] + norms[rest] - 2 * ranked[some] @ ranked[rest].T
        for i, j in zip(*np.nonzero(squares <= ranked.shape[1] * reach**2), strict=True):
            if i < j:
                a, b = order[start + i], order[start + j]
                difference = images[a].astype(np.float32) - images[b]
                if np.square(difference).mean() <= radius**2:
                    near[[a, b]] = True
                    exact[[a, b]] |= not difference.any()
    return Twins(np.flatnonzero(exact & judged), np.flatnonzero(near & judged), radius)


def _coarse(images: np.ndarray) -> tuple[np.ndarray, float]:
    """Means over equal parts of the rows and columns, (N, K) float32, around their own mean.

    And the share of the pixels that the parts cover: what is left over at the edges is cut off.
    """
    num_images, channels, height, width = images.shape
    rows, columns = min(COARSE, height), min(COARSE, width)
    cut = images[:, :, : height // rows * rows, : width // columns * columns]
    parts = cut.reshape(num_images, channels, rows, height // rows, columns, width // columns)
    means = parts.mean((3, 5), dtype=np.float32).reshape(num_images, -1)
    return means - means.mean(), cut.size / images.size
