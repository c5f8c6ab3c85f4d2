"""A tree understood by the one reader whose facts fit it, and verified."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attacks.wording import counted
from runner.faults import BadAnswers
from runner.foreign.listing import Given
from runner.foreign.trees import (
    by_list,
    csv_each,
    folder_each,
    indexed,
    long_table,
    one_array,
    one_matrix,
)
from runner.foreign.trees.insufficient import NOT_LOADED, reasons
from runner.foreign.trees.reading import as_files
from runner.foreign.trees.resolve import SATURATED, resolve
from runner.foreign.trees.tree import Tree, look_at, look_at_file, with_tensors
from runner.foreign.trees.understood import Found, Options, Reader, Understood
from runner.foreign.trees.verify import better_by, verify
from runner.storage.sources import Ids

ALL: tuple[Reader, ...] = (
    folder_each,
    one_matrix,
    indexed,
    by_list,
    one_array,
    long_table,
    csv_each,
)
READERS = {reader.LAYOUT: reader for reader in ALL}
CLEARLY = 2.0  # standard errors by which members must be told better by one of two vectors
DOUBTS = (
    "not verified",
    "could not be read",
    folder_each.PARTLY,
    SATURATED,
)  # how lines begin that are warnings, too
OURS = "or write one file a model for --answers (docs/foreign_answers.md)"


class Asked(NamedTuple):
    """What is to be audited of a tree."""

    files: Mapping[str, Sequence[Given]]
    member: np.ndarray  # (M, N) int8
    lines: tuple[str, ...]  # where answers come from: what was understood, and what confirms it
    ids: Ids
    doubts: tuple[str, ...] = ()  # of these, what a reader of the figures must know


def understand(where: str, options: Options) -> Asked:
    """Return a tree as files of answers, with their member matrix.

    Raises:
        BadAnswers: no reader's facts fit the tree, or several do; it is not enough for an audit;
            what is stored contradicts what was understood.
    """
    if options.layout is not None and options.layout not in READERS:
        raise BadAnswers("--as", f"there is no layout {options.layout}", f"give {_layouts()}")
    tree = look_at(where)
    shown = _only(tree, options.only)
    found = _recognised(shown, options)
    if not found and tree.tensors:
        tree = with_tensors(tree)
        shown = _only(tree, options.only)
        found = _recognised(shown, options)
    if not found:
        raise _unknown(tree, options)
    chosen = _judged(_clearest(shown, found, options), options)
    lines = [f"layout: {READERS[chosen.found.layout].WHAT} (--as {chosen.found.layout})"]
    lines += [*chosen.found.lines, *chosen.lines]
    num_models, num_examples = chosen.found.member.shape
    arms = f" in each of {len(chosen.answers)} arms" if len(chosen.answers) > 1 else ""
    lines.insert(1, f"{counted(num_models, 'model')}{arms}, {num_examples} examples")
    if tree.pickles:
        some = ", ".join(tree.pickles[:2])
        lines.append(f"not opened: {len(tree.pickles)} pickled files ({some}): {NOT_LOADED}")
    if tree.unread:
        lines.append(f"could not be read: {', '.join(tree.unread[:3])}")
    lines += verify(tree.told, chosen, options.unverified)
    doubts = tuple(line for line in lines if line.startswith(DOUBTS))
    files = as_files(tree, chosen)
    return Asked(files, chosen.found.member, tuple(lines), chosen.found.ids, doubts)


def _recognised(tree: Tree, options: Options) -> list[Found]:
    """What the one reader that knows the tree makes of it."""
    if options.layout:
        return READERS[options.layout].recognise(tree, options)
    every = {name: reader.recognise(tree, options) for name, reader in READERS.items()}
    known = [name for name, found in every.items() if found]
    if len(known) > 1:
        told = " and as ".join(f"{READERS[name].WHAT} (--as {name})" for name in known)
        raise BadAnswers(tree.told, f"it can be read as {told}", "say which with --as")
    return every[known[0]] if known else []


def _only(tree: Tree, only: str | None) -> Tree:
    """The tree with those numbers only that lie at a part of their place."""
    if only is None:
        return tree
    wanted = tuple(part for part in only.split("/") if part)

    def lies(place: str) -> bool:
        parts = tuple(place.split("/"))
        return any(parts[i : i + len(wanted)] == wanted for i in range(len(parts)))

    kept = [a for a in tree.arrays if not a.of_numbers or lies(a.place)]
    tables = [place for place in tree.tables if lies(place)]
    if not any(a.of_numbers for a in kept) and not tables:
        raise BadAnswers("--only", f"nothing of {tree.told} lies at {only}", "give folders of it")
    return tree._replace(arrays=tuple(kept), tables=tuple(tables))


def _clearest(tree: Tree, found: Sequence[Found], options: Options) -> Understood:
    """The one way to read the tree; of several, that whose members are told by far the best."""
    if len(found) == 1:
        return resolve(tree, found[0], options)
    ways, faults = [], []
    for one in found:
        try:
            ways.append(resolve(tree, one, options))
        except BadAnswers as fault:
            faults.append(fault)
    if not ways:
        raise faults[0]
    told, errors = np.transpose([better_by(way) for way in ways])
    first, *others = np.argsort(told)[::-1]
    if others and told[first] < told[others[0]] + CLEARLY * np.hypot(*errors[[first, others[0]]]):
        which = " or ".join(way.found.lines[0] for way in ways)
        raise BadAnswers(tree.told, f"members may be {which}", "say which with --member")
    return ways[first]


def _judged(of: Understood, options: Options) -> Understood:
    """The tree with -1 for what a user does not want judged."""
    num_examples = of.found.member.shape[1]
    taken = of.found.layout == one_array.LAYOUT and of.found.indices is not None
    if options.judged is None or taken:
        return of
    arrays = look_at_file(options.judged)
    values = np.asarray(arrays[0].load()).reshape(-1) if arrays else np.empty(0)
    way_out = "give numbers of examples from 0 on, or 1 and 0 for each of the N"
    if len(values) == num_examples and np.isin(values, (0, 1)).all():
        places = np.flatnonzero(values)
    else:
        places = values.astype(np.int64)
    if not len(places) or places.min() < 0 or places.max() >= num_examples:
        raise BadAnswers(options.judged, f"it does not go with {num_examples} examples", way_out)
    others = np.ones(num_examples, bool)
    others[places] = False
    member = np.where(others, np.int8(-1), of.found.member)
    line = f"judged: the {len(np.unique(places))} examples of {options.judged}"
    return of._replace(found=of.found._replace(member=member), lines=(*of.lines, line))


def _unknown(tree: Tree, options: Options) -> BadAnswers:
    lacking = reasons(tree)
    if lacking:
        why = "; ".join([*lacking, *([NOT_LOADED] if tree.pickles else [])])
        return BadAnswers(tree.told, why, f"ask the models for their logits, {OURS}")
    arrays = ", ".join(f"{a.place} {a.shape}" for a in tree.arrays[:3])
    more = f" and {len(tree.arrays) - 3} more" if len(tree.arrays) > 3 else ""
    what = arrays + more if arrays else f"no arrays, {len(tree.tables)} tables"
    if tree.pickles:
        what += f"; {len(tree.pickles)} pickled files ({tree.pickles[0]}): {NOT_LOADED}"
    if tree.unread:
        what += f"; could not be read: {', '.join(tree.unread[:3])}"
    if options.member:
        what += f"; nor does {options.member} go with a row a model and a column an example"
    way_out = f"known are {_layouts()}; a member matrix can be given with --member FILE, {OURS}"
    return BadAnswers(tree.told, f"no layout fits what lies in it: {what}", way_out)


def _layouts() -> str:
    return "; ".join(f"{name}, {reader.WHAT}" for name, reader in READERS.items())
