"""What was understood of a tree: the tables that every reader fills and everything else reads."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from runner.foreign.trees.axes import Numbers
from runner.foreign.trees.kinds import Said
from runner.foreign.trees.tree import Array, Tree
from runner.storage.sources import Ids


class Options(NamedTuple):
    """What a user said beside the tree."""

    labels: str | None = None  # a file
    member: str | None = None  # a file
    judged: str | None = None  # a file
    layout: str | None = None  # --as
    only: str | None = None  # a path in the tree
    unverified: bool = False


class Choice(NamedTuple):
    """Arrays that may be the answers: of every arm, one a model, in the order of the rows.

    models: where one array is of all models, each one's place on their axis, which is as long as
        `num_models`.
    rows: of each model, where each example stands in its array, (N,) int; None: in order.
    """

    told: str  # their places, with a star for what differs
    arms: Mapping[str, Sequence[Array]]
    models: Sequence[int] | None = None
    num_models: int = 0
    rows: Sequence[np.ndarray] | None = None

    @property
    def first(self) -> Array:
        return next(iter(self.arms.values()))[0]


class Found(NamedTuple):
    """A tree as one reader takes it, before anything is known of its numbers."""

    layout: str
    lines: tuple[str, ...]  # what was understood, one fact each
    member: np.ndarray  # (M, N) int8: 1 in, 0 out, -1 not judged
    names: tuple[str, ...]  # of the M models
    choices: Sequence[Choice]
    labels: np.ndarray | None = None  # (N,) int, where the layout has them at a place of its own
    indices: np.ndarray | None = None  # (N,) int: which examples of a data set these are
    ids: Ids = {}  # what they are called, where that is not their number
    plain: int | None = None  # the view that is the image, where the layout says so
    stamp: str = ""  # of all files that were read for it, where one does not stand for them
    spoken_for: tuple[str, ...] = ()  # arrays that are no labels, whatever they look like


class Reader(Protocol):
    """A file of this folder that knows one family of layouts."""

    LAYOUT: str  # what `--as` calls it
    WHAT: str  # what it looks like, in a few words

    @staticmethod
    def recognise(tree: Tree, options: Options) -> list[Found]:
        """Return every way in which this reader can take the tree; none: it is not of its family.

        Raises:
            BadAnswers: it is, and it cannot be audited; the message says why and what to do.
        """
        ...


class Understood(NamedTuple):
    """A tree whose numbers are known."""

    found: Found
    lines: tuple[str, ...]  # what was understood besides
    answers: Mapping[str, Sequence[Numbers]]  # by arm, in the order of the rows
    said: Said  # what the numbers are
    labels: np.ndarray | None  # (N,) int
    views: tuple[str, ...]
    scores: Mapping[str, Sequence[Numbers]]  # stored log-odds of the same models, to verify by
