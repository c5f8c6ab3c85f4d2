"""Why a tree that no reader knows is not enough for an audit, where facts tell."""

import re
from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np

from runner.foreign.trees.tree import Tree

NOT_LOADED = "pickled files can run code, and are never loaded"


def reasons(tree: Tree) -> list[str]:
    """Return what is lacking, a sentence each; none where nobody can say."""
    numbers = [array for array in tree.arrays if array.of_numbers]
    found = [_pickles(tree)] if not tree.arrays else [_who_was_right(tree), _of_examples(tree)]
    if numbers and not any(len(array.shape) > 1 for array in numbers):
        found.append(_lists(tree))
    return [reason for reason in found if reason]


def _pickles(tree: Tree) -> str:
    """Of a tree that holds pickles and no array."""
    if not tree.pickles:
        return ""
    folders: dict[str, set[str]] = defaultdict(set)
    for place in tree.pickles:
        path = PurePosixPath(place)
        folders[path.parent.as_posix()].add(path.stem.lower())
    with_indices = [f for f, names in folders.items() if any("ind" in name for name in names)]
    numbered = [f for f in with_indices if re.fullmatch(r"\D*\d+\D*", PurePosixPath(f).name)]
    models = [f for f in numbered if any("model" in name for name in folders[f])]
    if len(models) > 1:
        return "shadow models' answers are not stored, and their indices are pickles"
    grid = any(name.startswith("stat") for names in folders.values() for name in names)
    more = "; models lie on the diagonal of data x hyperparameters" if grid else ""
    return f"everything is pickled{more}"


def _who_was_right(tree: Tree) -> str:
    """Of bool vectors of several runs, without any numbers of theirs."""
    right = [a for a in tree.arrays if a.dtype.kind == "b" and "correct" in a.parts[-1].lower()]
    folders = {array.place.rpartition("/")[0] for array in right}
    numbers = {a.place.rpartition("/")[0] for a in tree.arrays if a.of_numbers}
    if right and not folders & numbers:
        return "who was right is all that is stored: no logits and no log-odds"
    return ""


def _of_examples(tree: Tree) -> str:
    """Of a vector of numbers an example, with labels as long beside it, in one file."""
    for array in tree.arrays:
        if not array.of_numbers or len(array.shape) != 1:
            continue
        home = array.place.rpartition("/")[0]
        beside = [a for a in tree.arrays if a.place.rpartition("/")[0] == home and a != array]
        labels = [a for a in beside if a.dtype.kind in "iu" and a.shape == array.shape]
        if home.lower().endswith(".npz") and labels:
            return "one memorization score an example, of no model"
    return ""


def _lists(tree: Tree) -> str:
    """Of two vectors of numbers, of one length and of no model's members."""
    numbers = [array for array in tree.arrays if array.of_numbers]
    alone = len(numbers) == len(tree.arrays) == 2 and len({a.shape for a in numbers}) == 1
    if alone and np.prod(numbers[0].shape) > 1:
        return "two lists of one canary's scores: an epsilon, not an audit"
    return ""
