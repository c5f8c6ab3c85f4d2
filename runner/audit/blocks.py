"""Attacks that judge every model as target at once: tasks are blocks of examples."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from attacks.membership import MembershipAttack, Sums
from runner import tables
from runner.audit.tasks import rows, write
from runner.sources import Source, Sources, column_of
from runner.tables import Reading


class Job(NamedTuple):
    """What every task knows."""

    sources: Sources
    members: Mapping[str, np.ndarray]
    partner: np.ndarray
    attacks: Mapping[str, MembershipAttack]
    blocks: list[tuple[Source, int]]  # (source, block) of each task
    totals: dict[Reading, Sums]


def score_blocks(
    sources: Sources,
    members: Mapping[str, np.ndarray],
    partner: np.ndarray,
    attacks: Mapping[str, MembershipAttack],
    folder: Path,
    in_ray: bool,
) -> None:
    """Write the scores of attacks that are closed forms over blocks; see `runner.audit.audit`.

    A task reads one block of examples from all files of an arm, so nothing is shuffled. A first
    pass adds up what some attacks must know of all examples.
    """
    num_examples = next(iter(members.values())).shape[1]
    num_blocks = -(-num_examples // tables.BLOCK)
    for paths in sources.values():
        _check_footers(paths, num_blocks)
    blocks = [(source, block) for source in sources for block in range(num_blocks)]
    job = Job(sources, members, partner, attacks, blocks, totals={})
    if _needs_sums(job):
        job = job._replace(totals=_totals(job, in_ray))
    write(scores_of_block, job, len(blocks), folder, tables.PARTITIONS, in_ray)


def sums_of_block(job: Job, task: int) -> Iterator[pa.Table]:
    """Yield what each attack must know of all examples, from one block of them."""
    for reading, answers, _, member in _readings(job, task):
        sums = job.attacks[reading.attack].sums(answers, member, job.partner)
        for key, values in sums.items():
            yield pa.table(
                {
                    "task": [task],
                    "reading": [list(map(str, reading))],
                    "key": [key],
                    "shape": pa.array([list(values.shape)], pa.list_(pa.int64())),
                    "values": pa.array([values.ravel()], pa.list_(pa.float64())),
                }
            )


def scores_of_block(job: Job, task: int) -> Iterator[pa.Table]:
    """Yield the scores of one block of examples: rows of `runner.tables.scores_table`."""
    for reading, answers, examples, member in _readings(job, task):
        totals = job.totals.get(reading, {})
        scores = job.attacks[reading.attack].score_all(answers, member, job.partner, totals)
        if np.isnan(scores[member >= 0]).any():
            raise ValueError(
                f"{reading.attack} cannot judge every example of {reading.arm} under the "
                f"{reading.matrix} matrix: it needs at least 2 other models in each class for "
                "every example; use design.num_models >= 6"
            )
        yield tables.scores_table(reading, examples, scores)


def _check_footers(paths: Sequence[str], num_blocks: int) -> None:
    """Refuse, before any task starts, files that cannot belong together."""
    views = tables.read_views(paths[0])
    for path in paths:
        if tables.read_views(path) != views:
            raise ValueError(f"{path} answers {tables.read_views(path)}, {paths[0]} {views}")
        if tables.num_blocks(path) != num_blocks:
            raise ValueError(
                f"{path} has {tables.num_blocks(path)} blocks of {tables.BLOCK} examples, "
                f"the member matrix {num_blocks}"
            )


def _needs_sums(job: Job) -> bool:
    """Whether any attack asks for the first pass; one example tells."""
    for paths in job.sources.values():
        views = tables.read_views(paths[0])
        nothing = np.zeros((len(paths), 1, len(views)), np.float32)
        for member in job.members.values():
            for a in job.attacks.values():
                if a.sums(nothing[:, :, a.columns(views)], member[:, :1], job.partner):
                    return True
    return False


def _totals(job: Job, in_ray: bool) -> dict[Reading, Sums]:
    """The sums of all blocks, added in the order of the blocks: every rerun has the same bits."""
    totals: dict[Reading, dict[str, np.ndarray]] = {}
    found = rows(sums_of_block, job, len(job.blocks), in_ray)
    for row in sorted(found, key=lambda row: row["task"]):
        arm, draws, attack, matrix = row["reading"]
        of_reading = totals.setdefault(Reading(arm, int(draws), attack, matrix), {})
        values = np.asarray(row["values"], np.float64).reshape(row["shape"])
        of_reading[row["key"]] = of_reading.get(row["key"], 0) + values
    return dict(totals)


def _readings(job: Job, task: int) -> Iterator[tuple[Reading, np.ndarray, np.ndarray, np.ndarray]]:
    """Each reading of one task's block: its name, answers (M, B, V), examples and member (M, B)."""
    source, block = job.blocks[task]
    num_examples = next(iter(job.members.values())).shape[1]
    start, stop = block * tables.BLOCK, min((block + 1) * tables.BLOCK, num_examples)
    examples = np.arange(start, stop, dtype=np.int32)
    paths = job.sources[source]
    views = tables.read_views(paths[0])
    answers = _answers(paths, block, column_of("log_odds", source), examples)
    for name, attack in job.attacks.items():
        chosen = answers[:, :, attack.columns(views)]
        for matrix, member in job.members.items():
            yield Reading(*source, name, matrix), chosen, examples, member[:, start:stop]


def _answers(paths: Sequence[str], block: int, column: str, examples: np.ndarray) -> np.ndarray:
    """The log-odds (M, B, V) float32 of one block of examples, from all files of an arm."""
    answers = []
    for path in paths:
        found, log_odds = tables.read_block(path, block, column)
        if not np.array_equal(found, examples):
            raise ValueError(f"block {block} of {path} holds other examples than were asked for")
        if not np.isfinite(log_odds).all():
            raise ValueError(f"block {block} of {path} has log-odds that are not finite")
        answers.append(log_odds)
    return np.stack(answers)
