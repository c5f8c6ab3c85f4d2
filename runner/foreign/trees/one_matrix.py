"""One member matrix for all, and arrays of each model: lira_analysis, and others' --member FILE.

keep_indices.npy (M, N) bool; model_<i>/logits/logits.npy (N, 1, V, C), scores/scores.npy (N, V)
shadow_membership_mask.pt (N, M); shadow/<i>/predictions_train.pt (N, V, C), canary_indices.pt
"""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from runner.foreign.trees.family import Family, families, rows_of
from runner.foreign.trees.members import given_matrix, is_matrix, matrices, ways
from runner.foreign.trees.tree import Array, Tree
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "matrix"
WHAT: str = "one member matrix, and a folder or a file of answers a model"


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by each of the matrices that may be the members, rows or columns a model."""
    given = is_matrix(options.member)
    if options.member and not given:
        return []
    groups = _groups(tree)
    if given and groups:
        names = max(groups.values(), key=lambda of: len(of[0].arrays))[0].arrays
        whole = [(options.member or "", given_matrix(options.member or "", list(names)))]
    else:
        whole = [(array.place, values) for array, values in matrices(tree)]
    found = []
    for place, values in whole:
        models = [way for turned in ways(values) for way in _models(tree, turned, groups)]
        if models:
            most = max(len(names) for names, _, _ in models)
            best = [way for way in models if len(way[0]) == most]
            found += [_found(tree, place, *way) for way in best]
    return found


def answered(tree: Tree, member: np.ndarray) -> bool:
    """Whether a matrix (either way round) goes with arrays of each model."""
    groups = _groups(tree)
    return any(any(_models(tree, turned, groups)) for turned in ways(member))


def _groups(tree: Tree) -> dict[tuple[tuple[str, ...], bool], list[Family]]:
    """The arrays of numbers that are alike but for a folder, or a file, by where that is."""
    found: dict[tuple[tuple[str, ...], bool], list[Family]] = defaultdict(list)
    for family in families(array for array in tree.arrays if array.of_numbers):
        found[family.before, bool(family.after)].append(family)
    return found


Way = tuple[list[str], np.ndarray, list[Family]]  # names, the rows of these, their arrays


def _models(
    tree: Tree, matrix: np.ndarray, groups: dict[tuple[tuple[str, ...], bool], list[Family]]
) -> Iterator[Way]:
    """Yield the sets of models whose answers are as long as a matrix, each with its row."""
    num_rows, num_examples = matrix.shape
    for of in groups.values():
        some = [f for f in of if num_examples in f.first.shape and f.first.shape != matrix.shape]
        some = [f for f in some if f.first.shape != matrix.T.shape and len(f.arrays) <= num_rows]
        if not some:
            continue
        most = max(some, key=lambda family: len(family.arrays))
        names = list(most.arrays)
        rows = rows_of(names, num_rows)
        if rows is not None:
            whole = [family for family in some if set(names) <= set(family.arrays)]
            yield names, matrix[rows], whole


def _found(
    tree: Tree, place: str, names: list[str], member: np.ndarray, whole: list[Family]
) -> Found:
    lines = [
        f"members: {place}, one matrix, of {len(names)} models with answers: {names[0]} to "
        f"{names[-1]}, each with the row of its number or place"
    ]
    choices = [Choice(f.told, {"models": [f.arrays[name] for name in names]}) for f in whole]
    canaries = _canaries(tree, member)
    plain = None
    if canaries is not None:
        array, places = canaries
        others = np.ones(member.shape[1], bool)
        others[places] = False
        member, plain = np.where(others, np.int8(-1), member), 0
        lines.append(
            f"judged: the {len(places)} examples of {array.place}; all others are in every model "
            "or in none"
        )
    return Found(LAYOUT, tuple(lines), member, tuple(names), choices, plain=plain)


def _canaries(tree: Tree, member: np.ndarray) -> tuple[Array, np.ndarray] | None:
    """Numbers (K,) of examples outside of which all models have the same members."""
    num_examples = member.shape[1]
    for array in tree.arrays:
        if array.dtype.kind not in "iu" or len(array.shape) != 1 or array.shape[0] >= num_examples:
            continue
        places = np.asarray(array.load()).astype(np.int64)
        if not len(places) or places.min() < 0 or places.max() >= num_examples:
            continue
        others = np.ones(num_examples, bool)
        others[places] = False
        same = (member == member[0]).all(axis=0)
        if len(set(places.tolist())) == len(places) and same[others].all() and not same.all():
            return array, places
    return None
