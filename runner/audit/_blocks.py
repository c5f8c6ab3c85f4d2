"""Attacks that judge every model as target at once: tasks are blocks of examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from attacks.membership import Examples, MembershipAttack, Sums
from runner.audit._packed import Packed, packed
from runner.audit._scoring import Scoring
from runner.audit._tasks import Tasks, arrays_of, write
from runner.plan.shadows import EvenShadows
from runner.storage.answers import (
    Source,
    Sources,
    column_of,
    num_blocks,
    num_classes,
    read_block,
    read_views,
)
from runner.storage.parquet import BLOCK, arrays_table
from runner.storage.scores import PARTITIONS, Reading, scores_table

APART = 512  # examples whose shadows are held of each target at once
NARROW = ("log_odds", "correct")  # columns that are held of all models, for several attacks
SPAN = 16  # blocks whose sums one task adds, so that few of them reach the driver


class BlockScoring(NamedTuple):
    """What every task knows."""

    sources: Sources
    members: Mapping[str, Packed]
    partner: np.ndarray
    attacks: Mapping[str, MembershipAttack]
    even: EvenShadows | None = None
    tasks: Sequence[tuple[Source, int]] = ()  # (source, block) of each
    totals: Mapping[Reading, Sums] = {}

    @property
    def num_examples(self) -> int:
        return next(iter(self.members.values())).num_examples


def score_blocks(scoring: Scoring, in_ray: bool) -> list[str]:
    """Write the scores of attacks that are closed forms over blocks, and return the files.

    See `runner.audit.scores.audit`. A task reads one block of examples from all files of an arm, so
    nothing is shuffled. A first pass adds up what some attacks must know of all examples.
    """
    matrices = {name: packed(matrix) for name, matrix in scoring.members.items()}
    job = BlockScoring(scoring.sources, matrices, scoring.partner, scoring.attacks, scoring.even)
    expected = -(-job.num_examples // BLOCK)
    for paths in job.sources.values():
        _check_footers(paths, expected)
    if _needs_sums(job):
        spans = [(source, first) for source in job.sources for first in range(0, expected, SPAN)]
        job = job._replace(totals=_totals(job._replace(tasks=spans), in_ray))
    blocks = [(source, block) for source in job.sources for block in range(expected)]
    job = job._replace(tasks=blocks)
    return write(Tasks(_scores_of_block, job, len(blocks)), scoring.folder, PARTITIONS, in_ray)


def _sums_of_span(job: BlockScoring, task: int) -> Iterator[pa.Table]:
    """Yield what each attack must know of all examples, from SPAN blocks of them."""
    source, first = job.tasks[task]
    last = min(first + SPAN, -(-job.num_examples // BLOCK))
    totals: dict[Reading, dict[str, np.ndarray]] = {}
    for block in range(first, last):
        for reading, answers, examples, member in _readings(job, source, block):
            attack, added = job.attacks[reading.attack], totals.setdefault(reading, {})
            for part in _parts(job, attack, answers, examples, member):
                _add(added, attack.sums(part.answers, part.member, job.partner, part.examples))
    for part, reading in enumerate(_names(job, source)):
        if sums := totals.get(reading):
            yield arrays_table(task, part, {k: v.astype(np.float64) for k, v in sums.items()})


def _scores_of_block(job: BlockScoring, task: int) -> Iterator[pa.Table]:
    """Yield the scores of one block of examples: rows of `runner.storage.scores.scores_table`."""
    for reading, answers, examples, member in _readings(job, *job.tasks[task]):
        totals = job.totals.get(reading, {})
        attack = job.attacks[reading.attack]
        parts = [
            attack.score_all(part.answers, part.member, job.partner, part.examples, totals)
            for part in _parts(job, attack, answers, examples, member)
        ]
        scores = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if np.any(np.isnan(scores) & (member >= 0)):
            raise ValueError(
                f"{reading.attack} cannot judge every example of {reading.arm} under the "
                f"{reading.matrix} matrix: it needs more other models in each class for every "
                "example; train more models"
            )
        yield scores_table(reading, examples.number, scores)


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
    """Whether any attack asks for the first pass; one example tells."""
    return any(
        job.attacks[reading.attack].sums(answers[:, :1], member[:, :1], job.partner, one)
        for source in job.sources
        for reading, answers, examples, member in _readings(job, source, 0)
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
    job: BlockScoring, source: Source, block: int
) -> Iterator[tuple[Reading, np.ndarray, Examples, np.ndarray]]:
    """Each reading of a block: its name, signals (M, B, K), examples and membership (M, B)."""
    examples = _examples(job, source, block)
    start, stop = int(examples.number[0]), int(examples.number[-1]) + 1
    views, held = read_views(job.sources[source][0]), {}
    for name, attack in job.attacks.items():
        column = column_of(attack.reads, source)
        answers = held.get(column) or _answers(job.sources[source], column, block, examples)
        if attack.reads in NARROW:
            answers = held[column] = list(answers)
        signals = np.stack([attack.signal(chosen(attack, a, views), examples) for a in answers])
        for matrix, member in job.members.items():
            yield Reading(*source, name, matrix), signals, examples, member.columns(start, stop)


class _Part(NamedTuple):
    """Some examples of a block, as an attack is given them."""

    answers: np.ndarray  # (M, B, K)
    member: np.ndarray  # (M, B), or (M, M, B) where each target has shadows of its own
    examples: Examples


def _parts(
    job: BlockScoring,
    attack: MembershipAttack,
    answers: np.ndarray,
    examples: Examples,
    member: np.ndarray,
) -> Iterator[_Part]:
    """The whole block, or, where each target has shadows of its own, a few examples at a time."""
    if job.even is None or not attack.shadows_apart:
        yield _Part(answers, member, examples)
        return
    for start in range(0, len(examples.number), APART):
        part = slice(start, start + APART)
        number, label = examples.number[part], examples.label[part]
        seen = job.even.seen(member[:, part], int(number[0]))
        yield _Part(answers[:, part], seen, examples._replace(number=number, label=label))


def _examples(job: BlockScoring, source: Source, block: int) -> Examples:
    """The examples of a block, by the first file of an arm."""
    path, (start, stop) = job.sources[source][0], (block * BLOCK, (block + 1) * BLOCK)
    number = np.arange(start, min(stop, job.num_examples), dtype=np.int32)
    label = read_block(path, block, "label").label
    return Examples(number, label, job.num_examples, num_classes(path))


def _answers(
    paths: Sequence[str], column: str, block: int, examples: Examples
) -> Iterator[np.ndarray]:
    """A block of a column of all files of an arm, model by model, (B, K) each."""
    for path in paths:
        found = read_block(path, block, column)
        if not np.array_equal(found.example, examples.number):
            raise ValueError(f"block {block} of {path} holds other examples than were asked for")
        if not np.isfinite(found.answers).all():
            raise ValueError(f"block {block} of {path} has {column} that are not finite")
        if not np.array_equal(found.label, examples.label):
            raise ValueError(f"block {block} of {path} has other labels than {paths[0]}")
        yield found.answers


def chosen(attack: MembershipAttack, answers: np.ndarray, views: Sequence[str]) -> np.ndarray:
    """Return the answers of the views that an attack reads, in the order of the file's views."""
    if not attack.by_view:
        return answers
    columns = attack.columns(views)
    return answers if len(columns) == len(views) else answers[:, columns]
