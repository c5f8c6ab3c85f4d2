"""Arrays that are alike but for one part of their place: one of each model."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from runner.foreign.listing import in_order
from runner.foreign.trees.tree import Array

Parts = tuple[str, ...]


class Family(NamedTuple):
    """Arrays of several models, by the part of their places that tells them apart."""

    before: Parts  # the folder in which the parts differ
    after: Parts  # what follows them
    arrays: Mapping[str, Array]  # in the order of `in_order`

    @property
    def first(self) -> Array:
        return next(iter(self.arrays.values()))

    @property
    def told(self) -> str:
        """Its places, with a star for what differs."""
        return "/".join((*self.before, "*", *self.after))

    def only(self, names: Iterable[str]) -> "Family":
        """Return the family of some of its models, in their order."""
        return self._replace(arrays={n: self.arrays[n] for n in names if n in self.arrays})


def families(arrays: Iterable[Array]) -> list[Family]:
    """Return every way in which two or more of the arrays are alike but for one part.

    Folders may be called anything, if what lies in them is called the same; files lie in one folder
    and have one shape and kind, or in an npz each. What is common to all their names is no name.
    """
    found: dict[tuple[int, Parts, Parts, object], dict[str, Array]] = defaultdict(dict)
    for array in arrays:
        parts = array.parts
        for at, part in enumerate(parts):
            last = at == len(parts) - 1
            alike = (array.shape, array.dtype) if last else ()
            found[at, parts[:at], parts[at + 1 :], alike][part] = array
    return [
        Family(before, after, _named(of, bool(after)))
        for (_, before, after, _), of in found.items()
        if len(of) > 1
    ]


def rows_of(names: Sequence[str], num_rows: int) -> list[int] | None:
    """Return the row of a member matrix that each model has; None where nobody can say.

    By the one number that tells them apart, counted from 0; else, as many as there are rows, by
    their order.
    """
    numbers = [[int(n) for n in re.findall(r"\d+", name)] for name in names]
    texts = {re.sub(r"\d+", "0", name) for name in names}
    if len(texts) == 1 and numbers[0]:
        differing = [i for i, of in enumerate(zip(*numbers, strict=True)) if len(set(of)) > 1]
        if len(differing) == 1:
            found = [of[differing[0]] for of in numbers]
            if max(found) < num_rows:
                return found
            if min(found) == 1 and max(found) == num_rows:
                return [number - 1 for number in found]
    return list(range(num_rows)) if len(names) == num_rows else None


def _named(arrays: Mapping[str, Array], in_folders: bool) -> dict[str, Array]:
    """The arrays by name, in order; of files what all their names end on is no part of it."""
    names = list(arrays)
    behind = "" if in_folders else _whole(_common([name[::-1] for name in names]))
    cut = {name[: len(name) - len(behind)] or name: name for name in names}
    return {name: arrays[cut[name]] for name in in_order(cut)}


def _common(names: Sequence[str]) -> str:
    """The letters that all names begin with."""
    short, long = min(names), max(names)
    same = [a == b for a, b in zip(short, long, strict=False)]
    return short[: same.index(False) if False in same else len(same)]


def _whole(common: str) -> str:
    """As much of a common beginning as ends at a mark between words."""
    found = re.match(r".*[^0-9A-Za-z]", common)
    return found.group() if found else ""
