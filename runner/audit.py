"""Membership scores of every model as target, by Ray Data over blocks of examples."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayTaskError

from attacks.membership import MembershipAttack, Sums
from runner import tables

Reading = tuple[str, str, str]  # arm, attack, matrix: one reading of the answers


class Job(NamedTuple):
    """What every task knows; it lies in Ray's object store once."""

    arms: dict[str, list[str]]
    members: dict[str, np.ndarray]
    partner: np.ndarray
    attacks: Mapping[str, MembershipAttack]
    blocks: list[tuple[str, int]]  # (arm, block) of each task
    totals: dict[Reading, Sums]


class ShippedError(Exception):
    """Carries an error out of a task. Ray Data adds a paragraph to the message of what it ships."""

    def __init__(self, error: Exception, *_: str) -> None:
        super().__init__(error)
        self.error = error


def audit(
    arms: Mapping[str, Sequence[str]],
    members: Mapping[str, np.ndarray],
    partner: np.ndarray,
    attacks: Mapping[str, MembershipAttack],
    folder: Path,
) -> None:
    """Write the scores of every attack, under every member matrix, of every model as target.

    Ray is initialised by the caller. A task reads one block of examples from all files of an arm,
    so nothing is shuffled. A first pass adds up what some attacks must know of all examples.
    Read the scores with `runner.tables.read_scores`; what lay in the folder before is replaced,
    and what a failed audit leaves there is not whole.

    Args:
        arms: the paths of the M files of answers of each arm, in the order of the models.
        members: by the name of the matrix, (M, N) int8: the true one, and those of controls.
        partner: (M,) int, the model complementary to each, or the model itself.
        attacks: by the name that the scores are filed under.
        folder: where the scores go; all nodes must see it, and the answers.

    Raises:
        Corrupt: a file of answers cannot be read.
        ValueError: a file holds other examples or views than the rest of its arm or an answer that
            is no number; or an example that is judged has too few shadows for an attack.
    """
    num_models, num_examples = next(iter(members.values())).shape
    num_blocks = -(-num_examples // tables.BLOCK)
    for name, matrix in members.items():
        assert matrix.shape == (num_models, num_examples), f"member matrix {name}: {matrix.shape}"
    for arm, paths in arms.items():
        assert len(paths) == num_models, f"arm {arm}: {len(paths)} files of {num_models} models"
        _check_footers(paths, num_blocks)
    job = Job(
        arms={arm: list(paths) for arm, paths in arms.items()},
        members={name: np.asarray(matrix, np.int8) for name, matrix in members.items()},
        partner=np.asarray(partner),
        attacks=dict(attacks),
        blocks=[(arm, block) for arm in arms for block in range(num_blocks)],
        totals={},
    )
    try:
        with _quietly():
            if _needs_sums(job):
                job = job._replace(totals=_totals(job))
            scores = _over_blocks(job, scores_of_block)
            scores.write_parquet(
                str(folder),
                partition_cols=tables.PARTITIONS,
                mode=ray.data.SaveMode.OVERWRITE,
                **tables.WRITING,
            )
    except RayTaskError as error:
        if isinstance(error.cause, ShippedError):
            raise error.cause.error from None
        raise


def sums_of_block(batch: dict[str, np.ndarray], job: ray.ObjectRef) -> Iterator[pa.Table]:
    """Yield what each attack must know of all examples, from one block of them."""
    known: Job = ray.get(job)
    (task,) = batch["id"]
    with _shipped():
        for reading, answers, _, member in _readings(known, task):
            sums = known.attacks[reading[1]].sums(answers, member, known.partner)
            for key, values in sums.items():
                yield pa.table(
                    {
                        "task": [int(task)],
                        "reading": [list(reading)],
                        "key": [key],
                        "shape": pa.array([list(values.shape)], pa.list_(pa.int64())),
                        "values": pa.array([values.ravel()], pa.list_(pa.float64())),
                    }
                )


def scores_of_block(batch: dict[str, np.ndarray], job: ray.ObjectRef) -> Iterator[pa.Table]:
    """Yield the scores of one block of examples: rows of `runner.tables.scores_table`."""
    known: Job = ray.get(job)
    (task,) = batch["id"]
    with _shipped():
        for reading, answers, examples, member in _readings(known, task):
            arm, attack, matrix = reading
            totals = known.totals.get(reading, {})
            scores = known.attacks[attack].score_all(answers, member, known.partner, totals)
            if np.isnan(scores[member >= 0]).any():
                raise ValueError(
                    f"{attack} cannot judge every example of {arm} under the {matrix} matrix: it "
                    "needs at least 2 other models in each class for every example; "
                    "use design.num_models >= 6"
                )
            yield tables.scores_table(arm, attack, matrix, examples, scores)


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
    for paths in job.arms.values():
        nothing = np.zeros((len(paths), 1, len(tables.read_views(paths[0]))), np.float32)
        for member in job.members.values():
            if any(a.sums(nothing, member[:, :1], job.partner) for a in job.attacks.values()):
                return True
    return False


def _totals(job: Job) -> dict[Reading, Sums]:
    """The sums of all blocks, added in the order of the blocks: every rerun has the same bits."""
    totals: dict[Reading, dict[str, np.ndarray]] = {}
    rows = _over_blocks(job, sums_of_block).take_all()
    for row in sorted(rows, key=lambda row: row["task"]):
        arm, attack, matrix = row["reading"]
        of_reading = totals.setdefault((arm, attack, matrix), {})
        values = np.asarray(row["values"], np.float64).reshape(row["shape"])
        of_reading[row["key"]] = of_reading.get(row["key"], 0) + values
    return dict(totals)


def _over_blocks(job: Job, of_block: Any) -> ray.data.Dataset:
    tasks = ray.data.range(len(job.blocks), override_num_blocks=len(job.blocks))
    return tasks.map_batches(of_block, batch_size=1, fn_kwargs={"job": ray.put(job)})


def _readings(job: Job, task: int) -> Iterator[tuple[Reading, np.ndarray, np.ndarray, np.ndarray]]:
    """Each reading of one task's block: its name, answers (M, B, V), examples and member (M, B)."""
    arm, block = job.blocks[task]
    num_examples = next(iter(job.members.values())).shape[1]
    start, stop = block * tables.BLOCK, min((block + 1) * tables.BLOCK, num_examples)
    examples = np.arange(start, stop, dtype=np.int32)
    answers = _answers(job.arms[arm], block, examples)
    for matrix, member in job.members.items():
        for attack in job.attacks:
            yield (arm, attack, matrix), answers, examples, member[:, start:stop]


def _answers(paths: list[str], block: int, examples: np.ndarray) -> np.ndarray:
    """The log-odds (M, B, V) float32 of one block of examples, from all files of an arm."""
    answers = []
    for path in paths:
        found, log_odds = tables.read_block(path, block)
        if not np.array_equal(found, examples):
            raise ValueError(f"block {block} of {path} holds other examples than were asked for")
        if not np.isfinite(log_odds).all():
            raise ValueError(f"block {block} of {path} has log-odds that are not finite")
        answers.append(log_odds)
    return np.stack(answers)


@contextmanager
def _shipped() -> Iterator[None]:
    """Send what the user can cause to the driver as it is; a fault of ours keeps its traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ShippedError(error) from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Run Ray Data without its console messages and, off a terminal, without progress bars.

    The log file in Ray's session folder gets everything as before. Exceptions of tasks are shipped
    as they are: by default Ray Data ships only a text about them.
    """
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.raise_original_map_exception
    consoles = [h for h in logging.getLogger("ray.data").handlers if h.level >= logging.INFO]
    levels = [console.level for console in consoles]
    for console in consoles:
        console.setLevel(logging.CRITICAL)
    context.enable_progress_bars = before[0] and sys.stderr.isatty()
    context.raise_original_map_exception = True
    try:
        yield
    finally:
        context.enable_progress_bars, context.raise_original_map_exception = before
        for console, level in zip(consoles, levels, strict=True):
            console.setLevel(level)
