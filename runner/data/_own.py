"""What all forms of one's own data have in common: classes by name, ids, and groups."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from runner.data._doubts import shortened

FEWEST_GROUPS = 10  # halves of fewer hardly differ from one model to the next


class Classes(NamedTuple):
    """Labels as numbers, and what the classes are called."""

    train: np.ndarray  # (N,) int64
    test: np.ndarray  # (n,) int64; of no example where there is no test split
    number: int
    names: tuple[str, ...]  # none where the labels were 0 to C - 1 already


def classes_of(train: np.ndarray, test: np.ndarray, where: str) -> Classes:
    """Return classes in the order of their numbers, or of their names as text.

    Args:
        train, test: (N,) of whole numbers or text.
        where: they are from, for faults.

    Raises:
        ValueError: there are fewer than two classes, or one is in the test split alone.
    """
    known = np.unique(train)
    if len(known) < 2:
        raise ValueError(
            f"{where}: expected two classes or more to train on, got {shortened(known.tolist())}"
        )
    places = np.searchsorted(known, test).clip(max=len(known) - 1)
    if (strange := known[places] != test).any():
        only = shortened(np.unique(test[strange]).tolist())
        raise ValueError(
            f"{where}: the test split has classes that the training split lacks ({only}): no model "
            "could know them; move examples over, or leave them out"
        )
    plain = known.dtype.kind in "iu" and known.tolist() == list(range(len(known)))
    names = () if plain else tuple(map(str, known.tolist()))
    found = np.searchsorted(known, train).astype(np.int64)
    return Classes(found, places.astype(np.int64), len(known), names)


def check_once(ids: np.ndarray, where: str) -> None:
    """Refuse ids (N,) of which two are the same, or one is empty.

    Raises:
        ValueError: says which.
    """
    values, counts = np.unique(ids, return_counts=True)
    if (twice := values[counts > 1]).size:
        raise ValueError(
            f"{where}: an id is of one example, and {shortened(twice.tolist())} stand there more "
            "than once; name another column, or none, and examples are called by their row"
        )
    if ids.dtype.kind == "U" and (values == "").any():
        raise ValueError(f"{where}: an id is empty; fill it, or name another column")


def check_groups(groups: np.ndarray, where: str) -> None:
    """Refuse groups (N,) of which one is empty, or too few.

    Raises:
        ValueError: says which, and what to do.
    """
    if (empty := groups == "").any():
        raise ValueError(
            f"{where}: {int(empty.sum())} examples are of no group, the first at row "
            f"{int(empty.argmax())}; give each a group, if one of its own"
        )
    found = np.unique(groups)
    if len(found) < FEWEST_GROUPS:
        raise ValueError(
            f"{where}: {len(found)} groups ({shortened(found.tolist())}), and whole groups are "
            f"members: it takes {FEWEST_GROUPS} or more; leave data.group out, and examples are "
            "members one by one"
        )


def named(ids: dict[str, np.ndarray], classes: Sequence[str], labels: np.ndarray) -> dict:
    """Return the ids (N,) of some examples, with the name of each one's class where it has one."""
    return ids | ({"class": np.array(classes, np.str_)[labels]} if classes else {})
