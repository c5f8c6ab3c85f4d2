"""Images of a pool that are there twice, or nearly."""

from typing import NamedTuple

import numpy as np

from runner.data import copies

RADIUS = 4.0  # grey levels, root mean square over pixels: what a re-encoding moves
TOLERATED = 0.01  # share of the examples that may have a twin
AT_ONCE = 256  # images that are compared with as many others in one product
MANY = AT_ONCE**2 // 8  # pairs of those from which on the product of all takes less time
FEW = 32  # pairs that are compared by their pixels at once, in the cache of one core
COARSE = 8  # images are first compared by their means over so many rows and columns


class Twins(NamedTuple):
    """The examples that have a twin in the pool, by their places, growing."""

    exact: np.ndarray  # (E,) int64, byte for byte
    near: np.ndarray  # (K,) int64, within `radius`; the exact ones among them
    radius: float  # grey levels


def find_twins(images: np.ndarray, judged: np.ndarray, radius: float = RADIUS) -> Twins:
    """Return which judged images have another image of the pool near them, whatever the labels.

    Exact, and quick: copies are told by their bytes, and of images that differ no two are compared
    which both have a twin already.

    Args:
        images: (N, channels, H, W) uint8; of rows of a table, float32, copies alone are looked for.
        judged: (N,) bool.
        radius: grey levels.
    """
    first, group = copies(images)
    exact = np.bincount(group)[group] > 1
    if images.dtype != np.uint8:
        found = np.flatnonzero(exact & judged)
        return Twins(found, found, 0.0)
    near = exact | _near_another(images, first, radius)[first][group]
    return Twins(np.flatnonzero(exact & judged), np.flatnonzero(near & judged), radius)


def _near_another(images: np.ndarray, places: np.ndarray, radius: float) -> np.ndarray:
    """Which of N images, of those at (D,) places, which all differ, have another one near them.

    A mean over a part of two images differs by no more than the root mean square of their
    difference there (Jensen), so images whose means differ by more than `radius` are never
    compared, and of the others only those whose coarse means are near.
    """
    coarse, share = _coarse(images)
    reach = radius * share**-0.5 + 0.1  # the rounding of float32 products
    places = places[np.argsort(coarse[places].mean(1), kind="stable")]
    ranked = coarse[places]
    means, norms = ranked.mean(1), np.square(ranked).sum(1)
    near = np.zeros(len(images), bool)
    for start in range(0, len(places), AT_ONCE):
        some = slice(start, min(start + AT_ONCE, len(places)))
        end = int(np.searchsorted(means, means[some.stop - 1] + reach, side="right"))
        for left in range(start, end, AT_ONCE):
            rest = slice(left, min(left + AT_ONCE, end))
            squares = norms[some, None] + norms[rest] - 2 * ranked[some] @ ranked[rest].T
            close = squares <= ranked.shape[1] * reach**2
            if left == start:
                close = np.triu(close, 1)
            _mark(near, images, (places[some], places[rest]), close, radius)
    return near


def _mark(
    near: np.ndarray,
    images: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
    close: np.ndarray,
    radius: float,
) -> None:
    """Mark which images are near, in place, by the pixels of those at some places and at others.

    Args:
        places: (S,) and (R,) int.
        close: (S, R) bool, the pairs that may be near.
    """
    some, rest = places
    close = close & ~(near[some, None] & near[rest])
    pairs = np.nonzero(close)
    if len(pairs[0]) < MANY:
        for start in range(0, len(pairs[0]), FEW):
            one, other = (of[at[start : start + FEW]] for of, at in zip(places, pairs, strict=True))
            unknown = ~(near[one] & near[other])
            if unknown.any():
                one, other = one[unknown], other[unknown]
                found = _within(*_squares(images[one], images[other]), radius)
                near[one[found]] = near[other[found]] = True
        return
    # Whole numbers, which float64 adds and multiplies exactly.
    one, other = (images[of].reshape(len(of), -1).astype(np.float64) for of in places)
    squares = np.square(one).sum(1)[:, None] + np.square(other).sum(1) - 2 * one @ other.T
    close &= _within(squares, one.shape[1], radius)
    near[some] |= close.any(1)
    near[rest] |= close.any(0)


def _squares(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, int]:
    """The sums of squared differences of images (P, ...), one by one, and over how many pixels."""
    difference = np.subtract(one, other, dtype=np.int16).reshape(len(one), -1).astype(np.float32)
    return np.einsum("pk,pk->p", difference, difference), difference.shape[1]


def _within(squares: np.ndarray, size: int, radius: float) -> np.ndarray:
    """Whether sums of squares over so many pixels are within a radius, by float32's mean."""
    return squares.astype(np.float32) / np.float32(size) <= np.float32(radius**2)


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
