"""What was understood of a tree as files of answers, which everything else takes them for."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from pyarrow import fs

from runner.foreign.listing import Given, Located
from runner.foreign.reading import Columns, Read, readable
from runner.foreign.trees.axes import Numbers
from runner.foreign.trees.kinds import Said, columns_of
from runner.foreign.trees.tree import Tree
from runner.foreign.trees.understood import Understood
from runner.storage.ids import digest
from runner.storage.parquet import BLOCK

VERSION = 1  # raise it when the same numbers would become other columns


def as_files(tree: Tree, of: Understood) -> Mapping[str, Sequence[Given]]:
    """Return one model's answers each, by arm, to be read a block at a time."""
    names = of.found.names
    return {
        arm: [_given(tree, of, name, one) for name, one in zip(names, models, strict=True)]
        for arm, models in of.answers.items()
    }


def _given(tree: Tree, of: Understood, name: str, numbers: Numbers) -> Given:
    array = numbers.array
    stat, told = array.path.stat(), f"{tree.told}/{array.place}"
    if numbers.model is not None:
        told += f" (model {name})"
    facts = [VERSION, of.said, numbers.axes, numbers.num_examples, numbers.model, of.views]
    facts.append(of.found.stamp)
    facts += [_sum(values) for values in (numbers.rows, of.labels)]
    place = Located(told, fs.LocalFileSystem(), str(array.path))
    opening = partial(_read, numbers, of.said, of.labels, of.views, told)
    size, modified, changed = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return Given(place, size, modified, changed, name, opening, digest(facts))


def _read(
    numbers: Numbers, said: Said, labels: np.ndarray | None, views: tuple[str, ...], told: str
) -> Read:
    def blocks() -> Iterator[Columns]:
        with readable(told):
            for number, values in enumerate(numbers.blocks()):
                start = number * BLOCK
                if labels is None:
                    yield columns_of(values, said, np.zeros(len(values), np.int64))
                else:
                    label = labels[start : start + len(values)]
                    yield {"label": label, **columns_of(values, said, label)}

    return Read(blocks(), views, ())


def _sum(values: np.ndarray | None) -> str:
    return "" if values is None else hashlib.sha256(values.tobytes()).hexdigest()
