"""Members as lists of numbers in a text, and arrays of each model: DeMem.

    sampleinfo/samplelist.txt, {model: [members], ...}; phy/<data>/<arm>/phy_<i>.npy (N,), or
    phy_multi/<data>/<arm>/phy_multi_<i>.npy (N, V), log-odds

Folders beside each other are arms, whose models of one number have the same members.
"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from runner.faults import BadAnswers
from runner.foreign.reading import readable
from runner.foreign.trees.family import Family, Parts, families
from runner.foreign.trees.tree import Tree
from runner.foreign.trees.understood import Choice, Found, Options

LAYOUT: str = "lists"
WHAT: str = "a text with a list of members of each model, and a file of answers a model"
ENTRY = re.compile(r"""["']?([\w.-]+)["']?\s*:\s*\[([\d\s,]*)\]""")

Lists = dict[str, np.ndarray]  # by model
_Arm = tuple[str, dict[str, str], Family]  # its name, the list of each file, the files


def recognise(tree: Tree, options: Options) -> list[Found]:
    """Return the tree by each text of lists that goes with arrays in it."""
    texts = [(place, tree.path(place)) for place in tree.texts]
    if options.member:
        path = Path(options.member)
        texts = [(options.member, path)] if path.suffix.lower() in (".txt", ".json") else []
    numbers = [f for f in families(a for a in tree.arrays if a.of_numbers) if not f.after]
    if not numbers:
        return []
    found = []
    for place, path in texts:
        lists = read_lists(path)
        if lists:
            found += _found(tree, place, lists, numbers)
    return found


def read_lists(path: Path) -> Lists:
    """Return the lists of a text that is {model: [numbers], ...} and nothing else; {} otherwise.

    It is read by its marks: no text is run, and none is built into objects.
    """
    with readable(str(path)), path.open("rb") as file:
        if file.read(64).lstrip()[:1] != b"{":
            return {}
        file.seek(0)
        text = file.read().decode(errors="replace").strip()
    found, end = {}, 1
    for entry in ENTRY.finditer(text):
        if text[end : entry.start()].strip(" ,\n\r\t"):
            return {}
        name, numbers = entry.groups()
        found[name] = np.array(numbers.replace(",", " ").split(), np.int64)
        end = entry.end()
    return found if len(found) > 1 and text[end:].strip(" ,\n\r\t") == "}" else {}


def _found(tree: Tree, place: str, lists: Lists, numbers: list[Family]) -> list[Found]:
    """The sets of arms of which each file has a list; the longest axis is that of the examples."""
    last = max((int(of.max()) for of in lists.values() if len(of)), default=-1)
    sets: dict[tuple[Parts, tuple[int, ...]], list[_Arm]] = defaultdict(list)
    for family in numbers:
        key_of = {name: key for name in family.arrays if (key := _key(name, lists)) is not None}
        num_examples = max(family.first.shape)
        if len(key_of) > 1 and len(set(key_of.values())) == len(key_of) and last < num_examples:
            *above, arm = family.before or ("models",)
            sets[tuple(above), family.first.shape].append((arm, key_of, family))
    if not sets:
        return []
    sizes = {max(shape) for _, shape in sets}
    if len(sizes) > 1:
        why = f"answers are to {' and '.join(map(str, sorted(sizes)))} examples"
        raise BadAnswers(tree.told, why, "say which with --only PATH, a part of their place")
    arms = [arm for of in sets.values() for arm in of]
    keys = set.intersection(*({*key_of.values()} for _, key_of, _ in arms))
    names = [key for key in lists if key in keys]
    places = np.arange(sizes.pop())
    member = np.stack([np.isin(places, lists[key]) for key in names]).astype(np.int8)
    choices = []
    for (above, _), of in sets.items():
        of_arms = {}
        for arm, key_of, family in of:
            file_of = {key: name for name, key in key_of.items()}
            of_arms[arm] = [family.arrays[file_of[key]] for key in names]
        told = "/".join((*above, "*" if len(of) > 1 else of[0][0], "*"))
        choices.append(Choice(told, of_arms))
    lines = [f"members: {place}, a list each, of {len(names)} models: {names[0]} to {names[-1]}"]
    missing = [key for key in lists if key not in keys]
    strange = sorted({n for _, key_of, family in arms for n in family.arrays if n not in key_of})
    if missing:
        lines.append(f"left out, without answers in every arm: {', '.join(missing)}")
    if strange:
        lines.append(f"left out, without a list in {place}: {', '.join(strange)}")
    return [Found(LAYOUT, tuple(lines), member, tuple(names), choices)]


def _key(name: str, lists: Lists) -> str | None:
    """The list of a file: that of its name, or of the one number in it."""
    if name in lists:
        return name
    numbers = re.findall(r"\d+", name)
    found = [key for key in (numbers[-1], str(int(numbers[-1]))) if key in lists] if numbers else []
    return found[0] if found else None
