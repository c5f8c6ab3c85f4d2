"""What tasks over the scores of a few targets do: a first pass finds figures, a second one counts.

Both yield arrays of one target and reading at a time, under the part that `part_of` gives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from runner.audit._of_target import Measured, above, edges, figures
from runner.audit._packed import Packed
from runner.audit._several import mean_ranks, overlap
from runner.storage.answers import Source
from runner.storage.cloud import Folder
from runner.storage.parquet import arrays_table
from runner.storage.scores import Reading, read_targets

Span = tuple[Sequence[Reading], Sequence[int]]  # a task's readings, of one matrix, and its targets


class JudgingPass(NamedTuple):
    """What every task knows."""

    scores: Folder
    asked: Mapping[Reading, Measured]
    rows: Mapping[str, Packed]  # by matrix
    num_models: int
    num_ranks: int  # of a target's non-members that become edges
    spans: Sequence[Span] = ()  # of each task
    edges: Mapping[Reading, np.ndarray] = {}  # of the second pass: scores above them are counted
    beside: Mapping[Source, Sequence[Reading]] = {}  # likewise: all attacks on a source
    groups: np.ndarray | None = None  # (N,) int, of examples that are resampled together

    def part_of(self, number: int, model: int) -> int:
        """Return what a task calls what it found of one target of its reading of that number."""
        return number * self.num_models + model

    def of_part(self, task: int, part: int) -> tuple[Reading, int]:
        """Return the reading and the target that a task found something of."""
        number, model = divmod(part, self.num_models)
        return self.spans[task][0][number], model


def source_of(reading: Reading) -> Source:
    """Return whose answers were scored."""
    return Source(reading.arm, reading.draws)


def read_together(readings: Sequence[Reading], asked: Mapping[Reading, Measured]) -> list[Reading]:
    """Return the readings that have scores of their own, of some and of those that they average."""
    parts = [
        reading._replace(attack=attack)
        for reading in readings
        for attack in asked[reading].attacks or [reading.attack]
    ]
    return [*dict.fromkeys(parts)]


def figures_of_span(job: JudgingPass, task: int) -> Iterator[Any]:
    """Yield what a few targets show by themselves, and the edges that they give."""
    (reading,), models = job.spans[task]
    num_ranks = job.num_ranks if reading.matrix == "member" else 0
    rows, each = _rows_and_scores(job, task)
    scores = each[reading]
    found = figures(scores, rows, job.asked[reading], job.groups)
    for m, one, own, row in zip(models, found, scores, rows, strict=True):
        given = {**one, "edges": edges(own, row, num_ranks)}
        yield arrays_table(task, job.part_of(0, m), given)


def counts_of_span(job: JudgingPass, task: int) -> Iterator[Any]:
    """Yield how many scores of a few targets lie above each edge, and whom all attacks find.

    What all attacks find is told of the first of them.
    """
    readings, models = job.spans[task]
    beside = job.beside.get(source_of(readings[0]), [])
    rows, each = _rows_and_scores(job, task)
    for k, m in enumerate(models):
        for number, reading in enumerate(readings):
            found = {}
            if reading in job.edges:
                found = above(each[reading][k], rows[k], job.edges[reading])
            if reading in beside[:1]:
                of_all = [each[one][k] for one in beside]
                found |= overlap(of_all, rows[k], job.asked[reading].rates)
            if found:
                yield arrays_table(task, job.part_of(number, m), found)


def _rows_and_scores(job: JudgingPass, task: int) -> tuple[np.ndarray, dict[Reading, np.ndarray]]:
    """The rows (K, N) of the member matrix of a task's targets, and their scores (K, N)."""
    readings, models = job.spans[task]
    rows = np.stack([job.rows[readings[0].matrix].row(m) for m in models])
    parts = read_together(readings, job.asked)
    each = {part: read_targets(job.scores, part, models) for part in parts}
    for reading in readings:
        if combined := job.asked[reading].attacks:
            averaged = [each[reading._replace(attack=attack)] for attack in combined]
            each[reading] = mean_ranks(averaged, rows)
    return rows, each
