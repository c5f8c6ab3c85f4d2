"""One model's numbers about N examples, in whichever order an array has its axes."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from runner.foreign.trees.tree import Array
from runner.storage.parquet import BLOCK

ORDER = "NVC"  # of what comes back


class Numbers(NamedTuple):
    """Where one model's numbers lie.

    axes: a letter for each axis of the array: N examples, V views, C classes, M models, of which
    `model` is taken, and 1 for an axis of one, which is dropped.
    rows: (N,) int, where each example stands in the array; None: as they are.
    """

    array: Array
    axes: str
    num_examples: int
    model: int | None = None
    rows: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what comes back: (N, [V], [C])."""
        sizes = dict(zip(self.axes, self.array.shape, strict=True))
        return (self.num_examples, *(sizes[axis] for axis in ORDER[1:] if axis in sizes))

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield (B, [V], [C]) of BLOCK examples after the other; the file is mapped, not read."""
        view = self._view()
        for start in range(0, self.num_examples, BLOCK):
            yield self._some(view, np.arange(start, min(start + BLOCK, self.num_examples)))

    def some(self, places: np.ndarray) -> np.ndarray:
        """Return (K, [V], [C]) of some examples."""
        return self._some(self._view(), places)

    def _view(self) -> np.ndarray:
        values = self.array.load()
        taken = {"1": 0, "M": self.model}
        values = values[tuple(taken.get(axis, slice(None)) for axis in self.axes)]
        left = [axis for axis in self.axes if axis not in taken]
        order = [left.index(axis) for axis in ORDER if axis in left]
        return np.transpose(values, order)

    def _some(self, view: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self.rows is not None:
            return np.asarray(view[self.rows[places]])
        if len(places) and places[-1] - places[0] + 1 == len(places):
            return np.asarray(view[places[0] : places[-1] + 1])  # no copy of what is in order
        return np.asarray(view[places])


def orders(shape: Sequence[int], num_examples: int, num_models: int = 0) -> list[str]:
    """Return every way in which axes of these sizes can be examples, models, views and classes.

    The axis of the examples is the first one that is as long as they are; that of the models, where
    one array is of several, the first of the others of their number. What is left of one number
    says nothing, so at most two axes of the others may be there: one may be either, two are views
    and classes in either order, the usual one first.

    Args:
        num_examples: N.
        num_models: 0: the array is of one model.
    """
    if num_examples not in shape:
        return []
    axes = ["1" if size == 1 else "" for size in shape]
    axes[list(shape).index(num_examples)] = "N"
    if num_models:
        there = [i for i, size in enumerate(shape) if size == num_models and axes[i] != "N"]
        if not there:
            return []
        axes[there[0]] = "M"
    open_axes = [i for i, axis in enumerate(axes) if not axis]
    if len(open_axes) > 2:
        return []
    found = []
    chosen = [("C",), ("V",)] if len(open_axes) == 1 else permutations("VC", len(open_axes))
    for letters in chosen:
        for i, letter in zip(open_axes, letters, strict=True):
            axes[i] = letter
        found.append("".join(axes))
    return found
