"""Attacks that judge every model as target at once: tasks are blocks of examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from attacks.membership import Examples, MembershipAttack, Sums
from runner.audit._packed import Packed, packed
from runner.audit._scoring import Scoring
from runner.audit._tasks import Tasks, arrays_of, write
from runner.plan.circles import Circle, circles_of
from runner.plan.shadows import EvenShadows
from runner.storage.answers import (
    Source,
    Sources,
    column_of,
    num_blocks,
    num_classes,
    numbers_each,
    read_blocks,
    read_views,
)
from runner.storage.parquet import BLOCK, arrays_table
from runner.storage.scores import PARTITIONS, Reading, as_stored, scores_table

APART = 512  # examples whose shadows are held of each target at once
NARROW = ("log_odds", "correct")  # columns that are held of all models, for several attacks
SPAN = 16  # blocks whose sums one task adds, so that few of them reach the driver
NUMBERS_AT_ONCE = 2**22  # of all models' answers that a task reads, each file once: 17 MB
TOGETHER = 2  # attacks that share work: the scores of each are held until all are written
LEAST_TASKS = 8  # of an arm, where it has as many blocks, so that cores share them


class BlockScoring(NamedTuple):
    """What every task knows."""

    sources: Sources
    members: Mapping[str, Packed]
    circles: Sequence[Circle]  # of models that see each other
    attacks: Mapping[str, MembershipAttack]
    even: EvenShadows | None = None
    tasks: Sequence[tuple[Source, range]] = ()  # (source, blocks) of each
    totals: Mapping[Reading, Sums] = {}

    @property
    def num_examples(self) -> int:
        return next(iter(self.members.values())).num_examples


def score_blocks(scoring: Scoring, in_ray: bool) -> list[str]:
    """Write the scores of attacks that are closed forms over blocks, and return the files.

    See `runner.audit.scores.audit`. A task reads a few blocks of examples from all files of an arm,
    so nothing is shuffled. A first pass adds up what some attacks must know of all examples.
    """
    matrices = {name: packed(matrix) for name, matrix in scoring.members.items()}
    circles = circles_of(scoring.partner, scoring.shadows)
    job = BlockScoring(scoring.sources, matrices, circles, scoring.attacks, scoring.even)
    expected = -(-job.num_examples // BLOCK)
    for paths in job.sources.values():
        _check_footers(paths, expected)
    if _needs_sums(job):
        spans = [(source, span) for source in job.sources for span in _cut(range(expected), SPAN)]
        job = job._replace(totals=_totals(job._replace(tasks=spans), in_ray))
    runs = [(source, run) for source in job.sources for run in _runs(job, source, range(expected))]
    job = job._replace(tasks=runs)
    return write(Tasks(_scores_of_blocks, job, len(runs)), scoring.folder, PARTITIONS, in_ray)


def _sums_of_span(job: BlockScoring, task: int) -> Iterator[pa.Table]:
    """Yield what each attack must know of all examples, from SPAN blocks of them."""
    source, span = job.tasks[task]
    totals: dict[Reading, dict[str, np.ndarray]] = {}
    for run in _runs(job, source, span):
        for readings, answers, examples, member in _readings(job, source, run):
            attacks = [job.attacks[reading.attack] for reading in readings]
            for part in _parts(job, attacks[0], answers, examples, member):
                for number, given in enumerate(part.given(job.circles)):
                    sums = type(attacks[0]).sums_of(attacks, *given)
                    for reading, of_attack in zip(readings, sums, strict=True):
                        named = {f"{number} {key}": values for key, values in of_attack.items()}
                        _add(totals.setdefault(reading, {}), named)
    for part, reading in enumerate(_names(job, source)):
        if sums := totals.get(reading):
            yield arrays_table(task, part, {k: v.astype(np.float64) for k, v in sums.items()})


def _scores_of_blocks(job: BlockScoring, task: int) -> Iterator[pa.Table]:
    """Yield the scores of a few blocks: rows of `runner.storage.scores.scores_table`."""
    for readings, answers, examples, member in _readings(job, *job.tasks[task]):
        attacks = [job.attacks[reading.attack] for reading in readings]
        totals, scores = [job.totals.get(reading, {}) for reading in readings], []
        for part in _parts(job, attacks[0], answers, examples, member):
            found = _scores_of_part(job.circles, attacks, part, totals)
            for reading, of_attack in zip(readings, found, strict=True):
                _check_scores(reading, of_attack, part.judged)
            scores.append([as_stored(of_attack) for of_attack in found])
        for reading, of_attack in zip(readings, zip(*scores, strict=True), strict=True):
            yield scores_table(reading, examples.number, np.concatenate(of_attack, axis=1))


def _scores_of_part(
    circles: Sequence[Circle],
    attacks: Sequence[MembershipAttack],
    part: "_Part",
    totals: Sequence[Sums],
) -> list[np.ndarray]:
    """The scores (M, B) of each attack, from circle to circle."""
    each = [
        type(attacks[0]).scores_of(attacks, *given, [_of_circle(number, of) for of in totals])
        for number, given in enumerate(part.given(circles))
    ]
    if len(each) == 1:
        return each[0]
    order = np.argsort(np.concatenate([circle.models for circle in circles]))
    return [np.concatenate(of_attack)[order] for of_attack in zip(*each, strict=True)]


def _of_circle(number: int, totals: Sums) -> Sums:
    """The sums of one circle, as its attack named them."""
    start = f"{number} "
    return {key.removeprefix(start): of for key, of in totals.items() if key.startswith(start)}


def _check_scores(reading: Reading, scores: np.ndarray, member: np.ndarray) -> None:
    """Refuse scores (M, B) that are no numbers where an example is judged."""
    if np.isnan(scores.min()) and np.any(np.isnan(scores) & (member >= 0)):
        raise ValueError(
            f"{reading.attack} cannot judge every example of {reading.arm} under the "
            f"{reading.matrix} matrix: it needs more other models in each class for every "
            "example; train more models, or use a larger pool"
        )


def _runs(job: BlockScoring, source: Source, blocks: range) -> Iterator[range]:
    """Cut blocks into runs that are read at once: to open a file takes as long as to read two."""
    path, size = job.sources[source][0], job.num_examples
    columns = {column_of(attack.reads, source) for attack in job.attacks.values()}
    each = max(numbers_each(path, column) for column in columns) * len(job.sources[source])
    most = min(NUMBERS_AT_ONCE // (BLOCK * each), size // (BLOCK * LEAST_TASKS))
    return _cut(blocks, max(1, most))


def _cut(blocks: range, size: int) -> Iterator[range]:
    """Cut blocks into ranges of so many."""
    return (blocks[start : start + size] for start in range(0, len(blocks), size))


def _check_footers(paths: Sequence[str], expected: int) -> None:
    """Refuse, before any task starts, files that cannot belong together."""
    views = read_views(paths[0])
    for path in paths:
        if read_views(path) != views:
            raise ValueError(f"{path} answers {read_views(path)}, {paths[0]} {views}")
        if num_blocks(path) != expected:
            raise ValueError(
                f"{path} has {num_blocks(path)} blocks of {BLOCK} examples, "
                f"the member matrix {expected}"
            )


def _needs_sums(job: BlockScoring) -> bool:
    """Whether any attack asks for the first pass; one example of one circle tells."""
    first = job.circles[0]
    return any(
        job.attacks[reading.attack].sums(*first.given(answers[:, :1], member[:, :1]), one)
        for source in job.sources
        for readings, answers, examples, member in _readings(job, source, range(1))
        for reading in readings
        for one in [examples._replace(number=examples.number[:1], label=examples.label[:1])]
    )


def _totals(job: BlockScoring, in_ray: bool) -> dict[Reading, Sums]:
    """The sums of all blocks, added in the order of the blocks: every rerun has the same bits."""
    totals: dict[Reading, dict[str, np.ndarray]] = {}
    tasks = Tasks(_sums_of_span, job, len(job.tasks))
    for (task, part), sums in arrays_of(tasks, in_ray).items():
        source, _ = job.tasks[task]
        _add(totals.setdefault(_names(job, source)[part], {}), sums)
    return dict(totals)


def _names(job: BlockScoring, source: Source) -> list[Reading]:
    """The readings of a source, in the order of `_readings`."""
    return [Reading(*source, name, matrix) for name in job.attacks for matrix in job.members]


def _add(totals: dict[str, np.ndarray], sums: Sums) -> None:
    for key, values in sums.items():
        totals[key] = totals[key] + values if key in totals else values


def _readings(
    job: BlockScoring, source: Source, blocks: range
) -> Iterator[tuple[list[Reading], np.ndarray, Examples, np.ndarray]]:
    """The readings of some blocks: names, signals (M, B, K), examples and membership (M, B).

    Attacks that take the same answers as they are get the same array, and all the same members:
    `_parts` copies what it gives them.
    """
    examples = _examples(job, source, blocks)
    start, stop = int(examples.number[0]), int(examples.number[-1]) + 1
    members = {matrix: of.columns(start, stop) for matrix, of in job.members.items()}
    views, held = read_views(job.sources[source][0]), {}
    for names in _together(job.attacks):
        attack = job.attacks[names[0]]
        column = column_of(attack.reads, source)
        answers = held.get(column)
        if answers is None:
            answers = _answers(job.sources[source], column, blocks, examples)
            if attack.reads in NARROW:
                answers = held[column] = np.stack(list(answers))
        signals = _signals(attack, answers, views, examples)
        for matrix, member in members.items():
            yield [Reading(*source, name, matrix) for name in names], signals, examples, member


def _together(attacks: Mapping[str, MembershipAttack]) -> Iterator[list[str]]:
    """Names of attacks that may share work: of one class, given the same, and TOGETHER at most."""
    found: dict[tuple[object, ...], list[str]] = {}
    for name, attack in attacks.items():
        key = type(attack), attack.reads, attack.views, attack.shadows_apart
        found.setdefault(key if _as_they_are(attack) else (name,), []).append(name)
    for names in found.values():
        yield from (names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER))


def _as_they_are(attack: MembershipAttack) -> bool:
    """Whether it keeps the answers of its views unchanged."""
    return type(attack).signal is MembershipAttack.signal


def _signals(
    attack: MembershipAttack,
    answers: np.ndarray | Iterator[np.ndarray],
    views: Sequence[str],
    examples: Examples,
) -> np.ndarray:
    """What an attack keeps of all models' answers, (M, B, K): these themselves, where it keeps all.

    Args:
        answers: (M, B, V), or of one model after the other.
    """
    if _as_they_are(attack) and isinstance(answers, np.ndarray) and attack.views is None:
        return answers
    return np.stack([attack.signal(chosen(attack, of_one, views), examples) for of_one in answers])


class _Part(NamedTuple):
    """Some examples of a few blocks, as an attack is given them."""

    answers: np.ndarray  # (M, B, K)
    member: np.ndarray  # (M, B), or (M, M, B) where each target has shadows of its own
    examples: Examples
    judged: np.ndarray  # (M, B), what `member` says of the targets themselves

    def given(
        self, circles: Sequence[Circle]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Examples]]:
        """Yield what `sums` and `score_all` are given, of each circle."""
        for circle in circles:
            yield *circle.given(self.answers, self.member), self.examples


def _parts(
    job: BlockScoring,
    attack: MembershipAttack,
    answers: np.ndarray,
    examples: Examples,
    member: np.ndarray,
) -> Iterator[_Part]:
    """Block by block; or, where each target has shadows of its own, a few examples at a time."""
    apart = job.even if attack.shadows_apart else None
    size = APART if apart else BLOCK
    for start in range(0, len(examples.number), size):
        part = slice(start, start + size)
        number, label = examples.number[part], examples.label[part]
        of_part, judged = np.array(answers[:, part]), np.array(member[:, part])
        seen = apart.seen(judged, int(number[0])) if apart else judged
        yield _Part(of_part, seen, examples._replace(number=number, label=label), judged)


def _examples(job: BlockScoring, source: Source, blocks: range) -> Examples:
    """The examples of some blocks, by the first file of an arm."""
    path, (start, stop) = job.sources[source][0], (blocks[0] * BLOCK, (blocks[-1] + 1) * BLOCK)
    number = np.arange(start, min(stop, job.num_examples), dtype=np.int32)
    label = read_blocks(path, blocks, "label").label
    return Examples(number, label, job.num_examples, num_classes(path))


def _answers(
    paths: Sequence[str], column: str, blocks: range, examples: Examples
) -> Iterator[np.ndarray]:
    """Some blocks of a column of all files of an arm, model by model, (B, K) each."""
    for path in paths:
        found = read_blocks(path, blocks, column)
        if not np.array_equal(found.example, examples.number):
            raise ValueError(
                f"{_where(blocks, path, _others(found.example, examples.number))} holds other "
                "examples than were asked for"
            )
        finite = np.isfinite(found.answers)
        if not finite.all():
            at = int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
            raise ValueError(f"{_where(blocks, path, at)} has {column} that are not finite")
        if not np.array_equal(found.label, examples.label):
            at = _others(found.label, examples.label)
            raise ValueError(f"{_where(blocks, path, at)} has other labels than {paths[0]}")
        yield found.answers


def _where(blocks: range, path: str, at: int) -> str:
    """The block of a row of some blocks."""
    return f"block {blocks[min(at // BLOCK, len(blocks) - 1)]} of {path}"


def _others(found: np.ndarray, expected: np.ndarray) -> int:
    """The first row in which two columns differ, be it that one is longer."""
    both = min(len(found), len(expected))
    return int(np.argmax(np.append(found[:both] != expected[:both], True)))


def chosen(attack: MembershipAttack, answers: np.ndarray, views: Sequence[str]) -> np.ndarray:
    """Return the answers of the views that an attack reads, in the order of the file's views."""
    if not attack.by_view:
        return answers
    columns = attack.columns(views)
    return answers if len(columns) == len(views) else answers[:, columns]
