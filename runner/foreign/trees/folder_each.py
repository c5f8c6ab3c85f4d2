"""One folder a model, with its own members in it: tensorflow/privacy's mi_lira_2021 and its kin.

experiment-<n>/keep.npy (N,) bool; logits/<epoch>.npy (N, 1, V, C), or logits.npy (N, V, C);
scores/<epoch>.npy (N, V)
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.trees.family import Family, families
from runner.foreign.trees.members import loaded, vectors
from runner.foreign.trees.tree import Tree
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "folders"
PARTLY = "not of all models, and not read"  # how a line on arrays begins
WHAT: str = "a folder a model, with a vector of its own members in it"


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by each of the vectors that may be the members."""
    if options.member and Path(options.member).is_file():
        return []
    kept = [family for family in families(vectors(tree)) if family.after]
    if options.member:
        kept = [family for family in kept if options.member in _called(family)]
        if not kept:
            why, way_out = "there is no such file", "nor a vector in each model's folder"
            raise BadAnswers(options.member, why, way_out)
    numbers = families(array for array in tree.arrays if array.of_numbers)
    beside: dict[tuple[str, ...], list[Family]] = defaultdict(list)
    for family in numbers:
        if family.after:
            beside[family.before].append(family)
    kept = [family for family in kept if beside[family.before]]
    homes = [*dict.fromkeys("/".join(family.before) or "." for family in kept)]
    if len(homes) > 1:
        why = f"several sets of models lie in it: {', '.join(homes)}"
        raise BadAnswers(tree.told, why, "give one of these folders")
    found = [_found(tree, family, beside[family.before]) for family in kept]
    return [one for one in found if one is not None]


def _called(family: Family) -> tuple[str, str]:
    """The names of a vector's file that a user may say."""
    place = family.first.place
    return place.rpartition("/")[2], family.after[-1]


def _found(tree: Tree, kept: Family, numbers: list[Family]) -> Found | None:
    """The models that have answers, with the sets of arrays that all of them have."""
    numbers = [family for family in numbers if set(family.arrays) & set(kept.arrays)]
    if not numbers:
        return None
    most = max(numbers, key=lambda of: len(set(of.arrays) & set(kept.arrays)))
    names = [name for name in kept.arrays if name in most.arrays]
    whole = [family for family in numbers if set(names) <= set(family.arrays)]
    rows = [loaded(kept.arrays[name]) for name in names]
    if len({len(row) for row in rows}) > 1:
        lengths = sorted({len(row) for row in rows})
        why = f"members are of {lengths[0]} to {lengths[-1]} examples"
        raise BadAnswers(f"{tree.told}/{kept.told}", why, "every model is asked the same examples")
    member, lines = np.stack(rows), []
    longest = max(size for family in whole for size in family.first.shape)
    if longest < member.shape[1]:
        lines.append(
            f"{kept.told} are of {member.shape[1]} examples and the answers of {longest}: the "
            "first ones, as the tools take them"
        )
        member = member[:, :longest]
    choices = [Choice(f.told, {"models": [f.arrays[name] for name in names]}) for f in whole]
    left = [name for name in kept.arrays if name not in names]
    lines.insert(0, f"members: {kept.told}, of {len(names)} models: {names[0]} to {names[-1]}")
    if left:
        lines.append(f"left out, without answers: {', '.join(left)}")
    partly = [family for family in numbers if family not in whole]
    if partly:
        of = ", ".join(f"{f.told} ({len(set(f.arrays) & set(names))})" for f in partly[:3])
        lines.append(f"{PARTLY}: {of}")
    spoken_for = tuple(array.place for array in kept.arrays.values())
    return Found(LAYOUT, tuple(lines), member, tuple(names), choices, spoken_for=spoken_for)
