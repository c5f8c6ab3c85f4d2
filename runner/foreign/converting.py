"""From other people's files to answers.parquet as the audit reads it, a block at a time."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from runner.code.deciding import deciding
from runner.driver.repair import set_aside_broken
from runner.faults import BadAnswers
from runner.foreign._numbers import Rows, tied
from runner.foreign.answered import PLAIN, GivenBlock, Kind, block_of
from runner.foreign.listing import Given
from runner.foreign.reading import SCHEMA, Read, open_given
from runner.storage import store
from runner.storage.answers import blocks_to_bytes, read_answers
from runner.storage.cloud import Folder
from runner.storage.ids import digest
from runner.storage.parquet import BLOCK

VERSION = 2  # raise it when the same file would be converted otherwise
CHECKS = 2  # raise it when a file that was converted might be refused now: it is looked at again


class Converted(NamedTuple):
    """One model's answers in our layout."""

    given: Given
    folder: Folder
    num_examples: int
    labels: str  # a hash of all labels
    kind: Kind
    notes: tuple[str, ...]

    @property
    def path(self) -> str:
        return str(self.folder / store.ANSWERS)


def convert_all(
    arms: Mapping[str, Sequence[Given]],
    num_examples: int,
    folder: Folder,
    tell: Callable[[str], None],
    count: Callable[[int, int], object] = lambda total, done: None,
) -> dict[str, list[Converted]]:
    """Return every model's answers converted; what has been converted before is not read again.

    Args:
        num_examples: N of the member matrix.
        folder: where each model gets a folder of its own, marked DONE.
        tell: is given a line about each arm that is converted, and a note of what is set aside.
        count: is given how many files there are, and how many of them are converted.

    Raises:
        BadAnswers: a file cannot be read or does not go with the others. Those before it are kept.
        Corrupt: something that was converted before cannot be read.
    """
    found: dict[str, list[Converted]] = {}
    first: Converted | None = None
    total = sum(map(len, arms.values()))
    for arm, files in arms.items():
        folders = [place_of(folder, arm, number, given) for number, given in enumerate(files)]
        set_aside_broken(folders, tell)
        todo = sum(not (place / store.DONE).exists() for place in folders)
        if todo:
            tell(f"{arm}: converting {todo} of {len(files)} files of answers")
        for place, given in zip(folders, files, strict=True):
            one = _converted(place, given)
            check_number(one.num_examples, num_examples, given)
            _check_labels(first or one, one)
            check_kind((first or one).given, (first or one).kind, given, one.kind)
            first = first or one
            found.setdefault(arm, []).append(one)
            count(total, sum(map(len, found.values())))
    return found


def converted_code() -> Mapping[str, str]:
    """Return which source decides what is converted beside VERSION, as it is here."""
    return deciding("converted", {})


def place_of(folder: Folder, arm: str, number: int, given: Given) -> Folder:
    """Return where a file is converted: another one, or the same one changed, goes elsewhere."""
    facts: list[Any] = [VERSION, BLOCK, given.told, given.size, given.modified, given.changed]
    facts += [given.understood] if given.understood else []
    facts += [code] if (code := converted_code()) else []
    return folder / f"{arm}-m{number:03d}-{digest(facts)}"


def _converted(folder: Folder, given: Given) -> Converted:
    facts = store.facts(folder)
    if facts is None:
        _convert(folder, given)
        facts = store.facts(folder)
    assert facts is not None
    notes = tuple(facts["notes"])
    return Converted(given, folder, facts["num_examples"], facts["labels"], _kind(facts), notes)


def converted_before(folder: Folder) -> Kind | None:
    """Return what kind of answers has been converted; None where the checks of today did not look.

    Raises:
        Corrupt: it cannot be read.
    """
    facts = store.facts(folder)
    return _kind(facts) if facts is not None and facts.get("checks") == CHECKS else None


def _kind(facts: Mapping[str, Any]) -> Kind:
    views, num_classes, columns = facts["kind"]
    return Kind(tuple(views), num_classes, tuple(columns))


def _convert(folder: Folder, given: Given) -> None:
    """Write a file anew; what an earlier attempt left there has no mark, and is replaced."""
    with open_given(given) as read:
        tally = Tally(given)
        blocks = tally.blocks(read)
        first = next(blocks)
        every = ((block.label, block.answered) for block in chain([first], blocks))
        store.write(folder / store.ANSWERS, blocks_to_bytes(every, first.kind.views))
    if read.unread:
        tally.notes[f"not read: {', '.join(read.unread)}"] = None
    store.finish(folder, [store.ANSWERS], tally.facts(first.kind))


class Tally:
    """What is known of a file once its blocks have gone by."""

    def __init__(self, given: Given) -> None:
        self.told, self.labels, self.num_examples = given.told, hashlib.sha256(), 0
        self.notes: dict[str, None] = {}

    def blocks(self, read: Read) -> Iterator[GivenBlock]:
        """Yield the blocks of a file, at least one, all of one kind.

        Raises:
            BadAnswers: a block is not what it should be, or, after the last one, all together.
        """
        kind, rows, odds = None, {name: Rows() for name in ("logits", "view_logits")}, []
        for columns in read.blocks:
            block = block_of(columns, read.views, self.num_examples, self.told)
            kind = kind or block.kind
            if block.kind != kind:
                rows = f"rows from {self.num_examples} on"
                raise BadAnswers(self.told, f"{rows} are {block.kind}, not {kind}", SCHEMA)
            self.labels.update(block.label.tobytes())
            self.num_examples += len(block.label)
            self.notes |= dict.fromkeys(block.notes)
            for name, of in rows.items():
                if (values := getattr(block.answered, name)) is not None:
                    of.add(values)
            odds.append(plain_of(block.answered.log_odds, kind.views).astype(np.float32))
            yield block
        if not odds:
            raise BadAnswers(self.told, "it holds no examples", SCHEMA)
        for name, of in rows.items():
            if of.num:
                of.check(name, self.told)
        if told := tied(np.concatenate(odds)):
            self.notes[told] = None

    def facts(self, kind: Kind) -> dict[str, Any]:
        """Return what is written down beside the answers, as JSON."""
        return {
            "num_examples": self.num_examples,
            "labels": self.labels.hexdigest(),
            "kind": list(kind),
            "notes": list(self.notes),
            "checks": CHECKS,
        }


def plain_of(of_views: np.ndarray, views: Sequence[str]) -> np.ndarray:
    """Return the column of the plain image, (B,), of (B, V)."""
    return of_views[:, views.index(PLAIN) if PLAIN in views else 0]


def check_number(answered: int, num_examples: int, given: Given) -> None:
    """Refuse a file of another N."""
    if answered != num_examples:
        raise BadAnswers(
            given.told,
            f"it answers {answered} examples, the member matrix has {num_examples}",
            "every model answers all examples of the matrix, members and others",
        )


def check_labels(first: Given, expected: np.ndarray, given: Given, labels: np.ndarray) -> None:
    """Refuse a file whose labels (N,) are not those of the first one."""
    differing = np.flatnonzero(labels != expected)
    if len(differing):
        at = int(differing[0])
        raise BadAnswers(
            given.told,
            f"{len(differing)} labels differ from those of {first.told}; "
            f"example {at} is {labels[at]} here and {expected[at]} there",
            "ask every model about the same examples in the same order",
        )


def check_kind(first: Given, expected: Kind, given: Given, kind: Kind) -> None:
    """Refuse files that answer other questions."""
    names = ("views", "number of classes", "columns")
    for name, here, there in zip(names, kind, expected, strict=True):
        if here != there:
            raise BadAnswers(
                given.told,
                f"its {name}: {here}; those of {first.told}: {there}",
                "ask every model of every arm the same, and write the same columns",
            )


def _check_labels(first: Converted, one: Converted) -> None:
    if one.labels != first.labels:
        labels, expected = (read_answers(of.path, "label") for of in (one, first))
        check_labels(first.given, expected, one.given, labels)
