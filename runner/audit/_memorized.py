"""How much each example is memorized by the models of an arm: tasks are blocks of examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from scipy.special import expit

from attacks.membership import log_odds
from attacks.memorization import memorization
from runner.audit._packed import Packed, packed
from runner.audit._tasks import Tasks, arrays_of
from runner.storage.answers import has_column, read_block, read_views
from runner.storage.parquet import BLOCK, arrays_table

PLAIN = "identity"  # the view that is the image itself


class Memorized(NamedTuple):
    """How much surer all models of an arm are of N examples for being trained on them.

    Each (N,) float64; NaN where no model was trained on an example, or all were.
    """

    score: np.ndarray  # by whether models are right
    standard_error: np.ndarray
    probability: np.ndarray  # by the probability that they give the label: finer


class MemorizedCounting(NamedTuple):
    """What every task knows."""

    paths: Mapping[str, Sequence[str]]  # of the M files of answers, by arm
    tasks: Sequence[tuple[str, int]]  # (arm, block) of each
    member: Packed


def memorized(
    paths: Mapping[str, Sequence[str]], member: np.ndarray, in_ray: bool
) -> dict[str, Memorized]:
    """Return each arm's memorization by one draw of its answers to the plain images.

    Unlike `runner.results._memorization`, whose scores are of half the models so that the others
    can be held against them, this is over all of them: it describes examples, and judges no model.

    Args:
        paths: of the M files of answers, in the order of the models, by arm.
        member: (M, N) int8: 1 in, 0 out, -1 not judged.
    """
    num_blocks = -(-member.shape[1] // BLOCK)
    tasks = [(arm, block) for arm in paths for block in range(num_blocks)]
    job = MemorizedCounting(paths, tasks, packed(member))
    by_arm: dict[str, list[Memorized]] = {arm: [] for arm in paths}
    for (task, _), found in arrays_of(Tasks(_memorized_of_block, job, len(tasks)), in_ray).items():
        arm, _ = tasks[task]
        by_arm[arm].append(Memorized(**found))
    return {
        arm: Memorized(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))
        for arm, blocks in by_arm.items()
    }


def _memorized_of_block(job: MemorizedCounting, task: int) -> Iterator[pa.Table]:
    """Yield the memorization of the examples of one block."""
    arm, block = job.tasks[task]
    start = block * BLOCK
    stop = min(start + BLOCK, job.member.num_examples)
    member = job.member.columns(start, stop)
    answers = [_plain_answers(path, block) for path in job.paths[arm]]
    right, probability = (np.stack(said) for said in zip(*answers, strict=True))
    by_right, by_probability = memorization(right, member), memorization(probability, member)
    found = Memorized(by_right.score, by_right.standard_error, by_probability.score)
    yield arrays_table(task, 0, found._asdict())


def _plain_answers(path: str, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a model answers to the plain images of a block, each (B,).

    Whether it is right, bool; and the probability that it gives the label, float64.
    """
    views = read_views(path)
    if PLAIN in views and has_column(path, "correct"):
        at = views.index(PLAIN)
        right = read_block(path, block, "correct").answers[:, at] == 1
        odds = read_block(path, block, "log_odds").answers[:, at]
    else:
        _, label, logits = read_block(path, block, "logits")
        right, odds = logits.argmax(1) == label, log_odds(logits, label)
    return right, expit(odds.astype(np.float64))
