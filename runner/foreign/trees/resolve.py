"""Which arrays are the answers, what their axes and numbers are, and whose labels: by facts."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attacks.wording import counted
from runner.faults import BadAnswers
from runner.foreign.answered import PLAIN
from runner.foreign.listing import by_number
from runner.foreign.trees import labels as of_labels
from runner.foreign.trees.axes import Numbers, orders
from runner.foreign.trees.kinds import WORDS, Told, told_of
from runner.foreign.trees.labels import HOW, Labels
from runner.foreign.trees.tree import Tree
from runner.foreign.trees.understood import Choice, Found, Options, Understood

PLAIN_OF = {2: 0, 10: 4, 18: 4, 50: 12}  # by how many views there are, which is the image
WHY_PLAIN = {
    2: "the image, then its mirror",
    10: "five crops of the padded image, then their mirrors",
    18: "flip, then each shift from -1 to 1",
    50: "flip, then each shift from -2 to 2",
}
SATURATED = "numbers are where their digits end"
ALIKE = 0.5  # the correlation of columns over examples, from which on they are views


class _Taken(NamedTuple):
    """Answers with one order of their axes."""

    choice: Choice
    axes: str
    arms: Mapping[str, Sequence[Numbers]]

    @property
    def models(self) -> list[Numbers]:
        """Of all arms."""
        return [one for of_arm in self.arms.values() for one in of_arm]

    @property
    def letters(self) -> str:
        """What an example has numbers of: views, classes, both or neither."""
        return "".join(axis for axis in self.axes if axis in "VC")

    @property
    def num_views(self) -> int:
        return self.models[0].shape[1] if "V" in self.axes else 1


def resolve(tree: Tree, found: Found, options: Options) -> Understood:
    """Return what a tree's numbers are, and which arrays of several are the answers.

    Raises:
        BadAnswers: facts do not decide; the message names what might be meant, and the option.
    """
    num_examples = found.member.shape[1]
    taken = [one for choice in found.choices for one in _ways(choice, num_examples)]
    if not taken:
        shapes = ", ".join(f"{c.told} {c.first.shape}" for c in found.choices) or "no arrays"
        why = f"no array answers the {num_examples} examples of the member matrix: {shapes}"
        raise BadAnswers(tree.told, why, "every model answers all examples, members and others")
    taken, lines = _latest(taken)
    if options.labels:
        known = [of_labels.given_labels(options.labels, num_examples, found.indices)]
    elif found.labels is not None:
        known = [Labels("the layout", found.labels)]
    else:
        known = of_labels.candidates(tree, num_examples, found.indices, found.spoken_for)
    answers, labels = _answers(tree, taken, known, options.labels is not None)
    told = told_of(answers.models[0], labels and labels.values, _file(tree, answers))
    scores = _stored(taken, answers)
    lines.append(
        f"answers: {answers.choice.told} {answers.choice.first.shape}, axes {answers.axes}"
    )
    others = dict.fromkeys(o.choice.told for o in taken if o.choice.told != answers.choice.told)
    if others:
        lines.append(f"beside them, and not read as answers (--only takes them): {_few(others)}")
    lines += _said(told, labels)
    if labels and known and all(labels is not other for other in known):
        lines.append(f"labels of {_few([k.place for k in known])} do not fit, and are not read")
    views, of_views = _views(answers, found)
    return Understood(
        found,
        (*lines, *of_views),
        answers.arms,
        told.said,
        labels and labels.values,
        views,
        scores.arms if scores else {},
    )


def _ways(choice: Choice, num_examples: int) -> list[_Taken]:
    """A choice with every order that its axes may have.

    Raises:
        BadAnswers: a model's array is of another shape than most.
    """
    every = [array for of_arm in choice.arms.values() for array in of_arm]
    shapes = Counter(array.shape for array in every)
    shape, rows = shapes.most_common(1)[0][0], choice.rows
    stored = num_examples if rows is None else shape[0] if shape else 0
    ways = orders(shape, stored, choice.num_models)
    if ways and len(shapes) > 1:
        odd = next(array for array in every if array.shape != shape)
        why = f"its shape is {odd.shape}, that of most models {shape}"
        raise BadAnswers(odd.place, why, "every model answers all examples, members and others")
    found = []
    for axes in ways:
        arms = {
            arm: [
                Numbers(
                    array,
                    axes,
                    num_examples,
                    choice.models[m] if choice.models is not None else None,
                    rows[m] if rows is not None else None,
                )
                for m, array in enumerate(of_arm)
            ]
            for arm, of_arm in choice.arms.items()
        }
        found.append(_Taken(choice, axes, arms))
    return found


def _latest(taken: Sequence[_Taken]) -> tuple[list[_Taken], list[str]]:
    """Of sets called alike but for numbers the last epoch and, of it, the most views."""
    groups: dict[str, dict[str, list[_Taken]]] = {}
    for one in taken:
        told = one.choice.told
        before, star, after = told.rpartition("*")
        alike = before + star + re.sub(r"\d+", "0", after)
        groups.setdefault(alike, {}).setdefault(told, []).append(one)
    kept, lines = [], []
    for group in groups.values():
        *others, last = sorted(group, key=by_number)
        kept += group[last]
        if others:
            lines.append(f"of {_few([*others, last])} the last is read, {last}")
    return kept, lines


def _answers(
    tree: Tree, taken: Sequence[_Taken], known: Sequence[Labels], given: bool
) -> tuple[_Taken, Labels | None]:
    """The richest answers that labels fit: logits of views, logits, then log-odds."""
    fitting = []
    for one in taken:
        if "C" in one.axes:
            fitting += [(one, labels) for labels in known if _fits(one, labels.values)]
    if not fitting and not given:
        fitting = _by_scores(taken)
    if fitting:
        fitting.sort(key=lambda pair: -of_labels.accuracy(pair[0].models, pair[1].values))
        best = _most_views(tree, [one for one, _ in fitting])
        labels = next(labels for one, labels in fitting if one is best)
        return best, labels
    plain = [one for one in taken if "C" not in one.axes and not _of_classes(one)]
    refused = given and any("C" in one.axes and "V" in one.axes for one in taken)
    if plain and not refused:
        only = known[0] if len(known) == 1 else None
        return _most_views(tree, plain), only
    best = next(one for one in taken if "C" in one.axes)
    if known:
        at = known[0]
        rate = of_labels.accuracy(best.models, at.values)
        of = f"{at.place} are the largest of {best.choice.told}"
        why = f"labels of {of} in {rate:.1%}, as by chance"
        raise BadAnswers(tree.told, why, f"these are others' labels, or axes: {HOW}")
    why = f"{best.choice.told} are logits or probabilities of classes, and no labels lie in it"
    raise BadAnswers(tree.told, why, HOW)


def _fits(one: _Taken, labels: np.ndarray) -> bool:
    """Whether answers know labels better than by chance."""
    return of_labels.accuracy(one.models, labels) > of_labels.by_chance(labels, len(one.models))


def _by_scores(taken: Sequence[_Taken]) -> list[tuple[_Taken, Labels]]:
    """Logits whose labels follow from log-odds that are stored beside them."""
    found = []
    for one in (one for one in taken if "C" in one.axes):
        for other in (other for other in taken if "C" not in other.axes):
            same = other.num_views == one.num_views and list(other.arms) == list(one.arms)
            if not same or other.choice.told == one.choice.told:
                continue
            values = of_labels.labels_by_scores(one.models, other.models)
            if values is not None:
                place = f"{other.choice.told}, which fit exactly one class of every example"
                found.append((one, Labels(place, values)))
    return found


def _of_classes(one: _Taken) -> bool:
    """Whether numbers (N, K) that might be of views are of classes: columns differ."""
    if one.letters != "V":
        return False
    some = one.models[0].some(of_labels.places(one.models[0].num_examples)).astype(np.float64)
    some = np.where(np.isfinite(some), some, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.corrcoef(some, rowvar=False)
    off = alike[~np.eye(len(alike), dtype=bool)]
    return bool(np.nan_to_num(off).mean() < ALIKE)


def _most_views(tree: Tree, taken: Sequence[_Taken]) -> _Taken:
    """The answers to the most views; refused where two have as many."""
    most = max(one.num_views for one in taken)
    best = [one for one in taken if one.num_views == most]
    told = [*dict.fromkeys(one.choice.told for one in best)]
    if len(told) > 1:
        why = f"several arrays may be the answers: {', '.join(told)}"
        raise BadAnswers(tree.told, why, "say which with --only PATH, a part of their place")
    return best[0]


def _stored(taken: Sequence[_Taken], answers: _Taken) -> _Taken | None:
    """Log-odds that lie beside logits: of the same views, and as these rise and fall."""
    if "C" not in answers.axes:
        return None
    for one in taken:
        if "C" not in one.axes and one.num_views == answers.num_views:
            return one
    return None


def _said(told: Told, labels: Labels | None) -> list[str]:
    lines = [f"numbers: {WORDS[told.said]}"]
    if told.saturated:
        lines.append(
            f"{SATURATED}, {told.saturated} in the first model (1, 0 or infinite): these tie, and "
            "are taken as half a digit further"
        )
    if labels is None:
        lines.append("labels: none, and no attack that is made of log-odds alone needs them")
    else:
        count = len(np.unique(labels.values))
        lines.append(f"labels: {labels.place}, {count} classes")
    return lines


def _views(answers: _Taken, found: Found) -> tuple[tuple[str, ...], list[str]]:
    """The names of views, and which is taken for the image."""
    number = answers.num_views
    if number == 1:
        return (PLAIN,), []
    plain = PLAIN_OF.get(number, 0) if found.plain is None else found.plain
    names = tuple(PLAIN if v == plain else f"view{v}" for v in range(number))
    why = "as the layout has it" if found.plain is not None else WHY_PLAIN.get(number, "a guess")
    taken = f"{plain} is taken for the plain image ({why}): accuracy is of it"
    return names, [f"{counted(number, 'view')}; {taken}"]


def _file(tree: Tree, answers: _Taken) -> str:
    return f"{tree.told}/{answers.choice.first.place}"


def _few(names: Sequence[str] | Mapping[str, None]) -> str:
    """Names in a row, of many the first and the last."""
    some = list(names)
    return ", ".join(some if len(some) < 5 else [*some[:2], "...", some[-1]])
