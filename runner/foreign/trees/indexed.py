"""Answers with the numbers of their examples beside each: LeakPro's cache of attacks.

    attack_cache/{sm_<i>_<hash>,target_<hash>}_{logits,indices}.npy: (P, C) or (P,), and (P,) int

Members lie in pickles there, which are not read; `--member FILE` has a row a model, a column an
example of the whole data set.
"""

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.trees.family import Family, families
from runner.foreign.trees.members import given_matrix, is_matrix
from runner.foreign.trees.tree import Array, Tree
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "indexed"
WHAT: str = "a file of answers a model, with the numbers of its examples beside it"
FIVE_LINES = """in that tool's own environment, which can read its pickles:
    import glob, pickle, re, numpy as np
    files = sorted(glob.glob("TREE/attack_objects/**/metadata_*.pkl", recursive=True),
                   key=lambda path: int(re.findall(r"\\d+", path)[-1]))
    trained = [pickle.load(open(path, "rb")).train_indices for path in files] + [TARGETS_OWN]
    member = np.stack([np.isin(np.arange(SIZE_OF_DATA_SET), some) for some in trained])
    np.savez("member.npz", member=member.astype(np.int8))
TARGETS_OWN are the target's train_indices, of model_metadata.pkl; its row is the last. Then give
--member member.npz"""


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by the numbers of examples that lie beside answers."""
    found = []
    numbers = families(array for array in tree.arrays if array.of_numbers)
    for index in families(array for array in tree.arrays if _may_be_places(array)):
        beside = [
            family
            for family in numbers
            if family.before == index.before
            and (bool(family.after) == bool(index.after))
            and set(family.arrays) == set(index.arrays)
            and index.first.shape[0] in family.first.shape
        ]
        if beside:
            found.append((index, beside))
    if not found:
        return []
    if len(found) > 1:
        told = ", ".join(index.told for index, _ in found)
        raise BadAnswers(tree.told, f"several arrays may number the examples: {told}", "give one")
    index, beside = found[0]
    if not options.member:
        why = "which examples a model was trained on lies in pickles, which are never loaded"
        raise BadAnswers(tree.told, why, FIVE_LINES)
    if not is_matrix(options.member):
        raise BadAnswers(options.member, "it is no file of a member matrix", FIVE_LINES)
    return [_found(options.member, index, beside)]


def _found(where: str, index: Family, beside: list[Family]) -> Found:
    names = list(index.arrays)
    every = {
        name: np.asarray(array.load()).astype(np.int64) for name, array in index.arrays.items()
    }
    numbers = np.unique(np.concatenate(list(every.values())))
    for name, places in every.items():
        if len(np.unique(places)) < len(places):
            raise BadAnswers(index.told, f"{name} numbers an example twice", "ask each once")
        numbers = np.intersect1d(numbers, places)
    if not len(numbers):
        raise BadAnswers(index.told, "models share no example", "ask all models the same examples")
    member, lines = given_matrix(where, names), []
    if len(member) == len(names) - 1:
        without = [name for name in names if "target" in name]
        if len(without) == 1:
            names.remove(without[0])
            lines.append(f"left out, without a row in {where}: {without[0]}")
    if len(member) != len(names) or member.shape[1] <= numbers.max():
        why = (
            f"it is {member.shape[0]} x {member.shape[1]}, and {len(names)} models answer examples "
            f"numbered {numbers.min()} to {numbers.max()}"
        )
        raise BadAnswers(where, why, f"a row a model ({', '.join(names)}), a column an example")
    rows = []
    for name in names:
        order = np.argsort(every[name])
        rows.append(order[np.searchsorted(every[name][order], numbers)])
    lines.insert(0, f"members: {where}, of {len(names)} models: {names[0]} to {names[-1]}")
    moved = sum(not np.array_equal(every[name], every[names[0]]) for name in names)
    lines.append(
        f"examples: {len(numbers)}, by their numbers in {index.told}"
        + (f"; {moved} models have them in another order than {names[0]}" if moved else "")
    )
    choices = [
        Choice(f.told, {"models": [f.arrays[name] for name in names]}, rows=rows) for f in beside
    ]
    of_examples, ids = member[:, numbers], {"id": numbers}
    return Found(LAYOUT, tuple(lines), of_examples, tuple(names), choices, indices=numbers, ids=ids)


def _may_be_places(array: Array) -> bool:
    """Whether whole numbers (P,) can be those of examples: none is there twice."""
    if array.dtype.kind not in "iu" or len(array.shape) != 1 or array.shape[0] < 2:
        return False
    values = np.asarray(array.load())
    return values.min() >= 0 and len(np.unique(values)) == len(values)
