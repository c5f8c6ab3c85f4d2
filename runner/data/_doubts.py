"""What is odd about images that nobody has published: said before anything is trained on them."""

from collections.abc import Iterator, Sequence

import numpy as np

from runner.data._copies import copies, keys

DARK = 64  # of 255: no image of a set is usually as dark as this throughout
MOST_NAMED = 10


def doubts(name: str, pool: np.ndarray, labels: np.ndarray, test: np.ndarray) -> list[str]:
    """Return a sentence on each oddity of images (N, channels, H, W) uint8.

    Args:
        name: of the data set.
        labels: (N,) int, of the pool.

    Raises:
        ValueError: they are all the same, or were in [0, 1] when they became whole numbers.
    """
    brightest = int(pool.max())
    if brightest <= 1:
        raise ValueError(
            f"the images of {name} are black: their brightest pixel is {brightest} of 255. If they "
            "were in [0, 1], multiply them by 255 and round before they become uint8"
        )
    if len(pool) > 1 and (pool == pool[:1]).all():
        raise ValueError(f"all {len(pool)} images of {name} are the same: nothing can be learned")
    found = []
    if brightest < DARK:
        found.append(
            f"the brightest pixel of all images is {brightest} of 255: if their white is "
            f"{brightest}, stretch them to 255, or an attack of radius eps moves them by "
            f"{255 / brightest:.0f} times as much as it says"
        )
    return [*found, *_one_colour(pool), *_twice(pool, labels, test)]


def repeated(name: str, pool: np.ndarray, labels: np.ndarray, test: np.ndarray) -> list[str]:
    """Return a sentence on the rows of a table that are there more than once; as for `doubts`."""
    if len(pool) > 1 and (pool == pool[:1]).all():
        raise ValueError(f"all {len(pool)} rows of {name} are the same: nothing can be learned")
    return [*_twice(pool, labels, test, "rows")]


def shortened(classes: Sequence[int | str]) -> str:
    """Return the first of many classes, and how many there are."""
    named = ", ".join(map(str, classes[:MOST_NAMED]))
    return named if len(classes) <= MOST_NAMED else f"{named}, ... ({len(classes)} in all)"


def _one_colour(pool: np.ndarray) -> Iterator[str]:
    flat = (pool == pool[:, :, :1, :1]).all(axis=(1, 2, 3))
    if flat.any():
        yield f"{flat.sum():,} of the pool's {len(pool):,} images show one colour and nothing else"


def _twice(
    pool: np.ndarray, labels: np.ndarray, test: np.ndarray, what: str = "images"
) -> Iterator[str]:
    """Images that are there more than once: in the pool, under two labels, in both splits."""
    _, group = copies(pool)
    count = np.bincount(group)
    if (count > 1).any():
        least, most = np.full(len(count), labels.max()), np.zeros(len(count), labels.dtype)
        np.minimum.at(least, group, labels)
        np.maximum.at(most, group, labels)
        more = int((count > 1)[group].sum())
        two = int((least < most)[group].sum())
        yield (
            f"{more:,} of the pool's {len(pool):,} {what} are there more than once, {two:,} of "
            "them under different labels: a member's twin may be a non-member, which hides leakage"
        )
    known = set(keys(pool))
    both = sum(key in known for key in keys(test))
    if both:
        yield (
            f"{both:,} of the {len(test):,} test {what} are in the pool too: accuracy on the test "
            "split is in part accuracy on what models were trained on"
        )
