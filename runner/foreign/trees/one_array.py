"""One array of all models' answers, and a member matrix: privacy_meter, canary-in-a-coalmine.

models/memberships.npy (2P, N) bool; signals/rmia_signals.npy (N, M), p of the label
one npz: pred_logits (N, M, V, C), in_out_labels (N, M), class_labels (N,)
"""

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.trees.members import given_matrix, is_matrix, matrices, ways
from runner.foreign.trees.one_matrix import answered
from runner.foreign.trees.tree import Array, Tree, look_at_file
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "array"
WHAT: str = "one array of all models' answers, and a member matrix"


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by each matrix that an array of numbers goes with."""
    if options.member:
        if not is_matrix(options.member):
            return []
        whole = [(options.member, given_matrix(options.member, []))]
    else:
        whole = [(array.place, values) for array, values in matrices(tree)]
    numbers = [a for a in tree.arrays if a.of_numbers and len(a.shape) > 1]
    found, subsets = [], []
    for place, values in whole:
        if answered(tree, values):
            continue
        for member in ways(values):
            found += _found(place, member, numbers, options)
            subsets += [_subset(place, member, array) for array in numbers]
    told = [one for one in subsets if one]
    if not found and told and not options.member:
        raise BadAnswers(tree.told, told[0], WAY_OUT)
    return found


WAY_OUT = (
    "which ones is written nowhere; ask the models about all examples, or give their numbers with "
    "--judged FILE"
)


def _found(place: str, member: np.ndarray, numbers: list[Array], options: Options) -> list[Found]:
    """The tree by one matrix (R, N), whose first rows the models of an array are."""
    num_rows, num_examples = member.shape
    chosen = _of_some(options.judged, num_examples)
    if chosen is not None:
        member = member[:, chosen]
    by_number: dict[int, list[Choice]] = {}
    for array in numbers:
        num_models = _num_models(array.shape, member.shape[1], num_rows)
        if num_models:
            one = Choice(
                array.place,
                {"models": [array] * num_models},
                models=range(num_models),
                num_models=num_models,
            )
            by_number.setdefault(num_models, []).append(one)
    if not by_number:
        return []
    num_models = max(by_number)
    lines = [f"members: {place}, one matrix; {num_models} models on an axis of one array"]
    if num_models < num_rows:
        lines.append(f"left out: {num_rows - num_models} rows of {place}, from row {num_models} on")
    names = tuple(f"model_{m}" for m in range(num_models))
    of = member[:num_models]
    return [Found(LAYOUT, tuple(lines), of, names, by_number[num_models], indices=chosen)]


def _num_models(shape: tuple[int, ...], num_examples: int, num_rows: int) -> int:
    """How many models an array has on an axis of their own, 0: none; all rows' if it can be."""
    if num_examples not in shape:
        return 0
    left = list(shape)
    left.remove(num_examples)
    fitting = [size for size in left if 1 < size <= num_rows]
    if num_rows in fitting:
        return num_rows
    return fitting[0] if fitting and len(left) == 1 else 0


def _subset(place: str, member: np.ndarray, array: Array) -> str:
    """Why an array is of a part of the matrix's examples, if it is; else ""."""
    num_rows, num_examples = member.shape
    if len(array.shape) != 2 or num_rows > num_examples:
        return ""
    models = [size for size in array.shape if 1 < size <= num_rows]
    others = [size for size in array.shape if num_rows < size < num_examples]
    if not models or len(others) != 1:
        return ""
    name = place.rpartition("/")[2]
    return f"signals are of {others[0]} of the {num_examples} examples of {name}"


def _of_some(judged: str | None, num_examples: int) -> np.ndarray | None:
    """The numbers of the examples that answers are of, where a user gave some."""
    if judged is None:
        return None
    arrays = look_at_file(judged)
    values = np.asarray(arrays[0].load()).reshape(-1).astype(np.int64)
    if len(values) < num_examples and len(np.unique(values)) == len(values):
        return values if len(values) and values.min() >= 0 and values.max() < num_examples else None
    return None
