"""How often each example is called a member: tasks are targets, each with its own threshold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from runner.audit._packed import Packed, packed
from runner.audit._tasks import Tasks, arrays_of
from runner.statistics.metrics import threshold_at_fpr
from runner.storage.cloud import Folder
from runner.storage.parquet import arrays_table
from runner.storage.scores import Reading, read_scores

MOST_RANKED = 10**8  # models of all arms times examples, which are held at four bytes each
HALVES = 2  # of the pairs of models, to see whether each finds the same examples


class Flags(NamedTuple):
    """How often N examples are called members in M models, in all and of each class.

    The first axis of what is (2, N) is the half of the pairs of models.
    """

    num_in: np.ndarray  # (2, N) int32, models trained on the example
    flagged_in: np.ndarray  # (2, N) int32, and those of them in which it is called a member
    num_out: np.ndarray  # (2, N) int32, models that judge the example and were not trained on it
    flagged_out: np.ndarray  # (2, N) int32
    chance: float  # how often a member is called one by an attack that knows nothing
    members: np.ndarray  # (M, C) int64, members of each class
    true: np.ndarray  # (M, C) int64, and those of them that are called members
    non_members: np.ndarray  # (M, C) int64
    false: np.ndarray  # (M, C) int64
    # (N,) float64, the lowest false positive rate at which half of the models trained on an example
    # or more call it a member; NaN where there is none, None where that is too much to hold
    found_from: np.ndarray | None = None


class Calling(NamedTuple):
    """Who is called a member, by which scores, at which rate."""

    scores: Folder  # that the audit wrote
    readings: Sequence[Reading]  # one of each arm
    member: np.ndarray  # (M, N) int8: 1 in, 0 out, -1 not judged
    partner: np.ndarray  # (M,) int, the other model of each one's pair, or the model itself
    labels: np.ndarray  # (N,) int in [0, C)
    false_positive_rate: float  # of each target's threshold, over its own non-members

    @property
    def num_classes(self) -> int:
        return int(self.labels.max()) + 1


class FlagCounting(NamedTuple):
    """What every task knows."""

    scores: Folder
    tasks: Sequence[tuple[Reading, int]]  # (reading, model) of each
    member: Packed
    labels: np.ndarray
    num_classes: int
    false_positive_rate: float
    ranked: bool  # whether the rate from which each example is found is asked for


def count_flags(calling: Calling, in_ray: bool) -> dict[str, Flags]:
    """Return each arm's flags.

    A task returns N bits, so what is held grows with M N / 8 bytes; and up to MOST_RANKED also the
    rate from which each example is called a member.
    """
    scores, readings, member, _, labels, rate = calling
    tasks = [(reading, model) for reading in readings for model in range(len(member))]
    ranked = len(tasks) * member.shape[1] <= MOST_RANKED
    job = FlagCounting(scores, tasks, packed(member), labels, calling.num_classes, rate, ranked)
    by_arm: dict[str, list[Mapping[str, np.ndarray]]] = {reading.arm: [] for reading in readings}
    for (task, _), found in arrays_of(Tasks(_flags_of_target, job, len(tasks)), in_ray).items():
        reading, _ = tasks[task]
        by_arm[reading.arm].append(found)
    return {arm: _added(found, calling) for arm, found in by_arm.items()}


def _flags_of_target(job: FlagCounting, task: int) -> Iterator[pa.Table]:
    """Yield the bits of the examples that a target's attack calls members, and counts by class."""
    reading, model = job.tasks[task]
    scores, row = read_scores(job.scores, reading, model), job.member.row(model)
    if len(scores) != len(row):
        raise ValueError(f"{len(scores)} scores of {reading}, but {len(row)} examples")
    negatives = scores[row == 0]
    threshold = threshold_at_fpr(negatives, job.false_positive_rate)
    flagged = (row >= 0) & (scores > threshold)
    counts = {
        "members": row == 1,
        "true": flagged & (row == 1),
        "non_members": row == 0,
        "false": flagged & (row == 0),
    }
    by_class = {k: np.bincount(job.labels[v], minlength=job.num_classes) for k, v in counts.items()}
    # A score without meaning is as likely as any of the n to be among the highest k + 1.
    chance = (int(by_class["false"].sum()) + 1) / (len(negatives) + 1)
    bits = {"flagged": np.packbits(flagged), "chance": np.array(chance)}
    if job.ranked:
        bits["found_from"] = _found_from(scores, negatives)
    yield arrays_table(task, 0, {**bits, **by_class})


def _found_from(scores: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """The lowest false positive rate at which each score is called a member's, (N,) float32.

    It is the share of non-members that score as much or more: the rule of `threshold_at_fpr`.
    """
    below = np.searchsorted(np.sort(negatives), scores, side="left")
    return ((len(negatives) - below) / len(negatives)).astype(np.float32)


def _in_half(found: Sequence[Mapping[str, np.ndarray]], member: np.ndarray) -> np.ndarray | None:
    """The lower median of the models trained on each example, (N,) float64; NaN where is none."""
    if not all("found_from" in of_target for of_target in found):
        return None
    rates = np.stack([of_target["found_from"] for of_target in found])
    rates = np.sort(np.where(member == 1, rates, np.float32(np.inf)), axis=0)
    num_in = (member == 1).sum(0)
    half = np.maximum((num_in + 1) // 2 - 1, 0)
    chosen = np.take_along_axis(rates, half[None], axis=0)[0].astype(np.float64)
    return np.where(num_in > 0, chosen, np.nan)


def _halves(partner: np.ndarray) -> np.ndarray:
    """The half of each model, (M,) int, of whole pairs; the first half is the smaller one."""
    first = np.minimum(np.arange(len(partner)), partner)
    pairs, pair = np.unique(first, return_inverse=True)
    return (pair >= len(pairs) // HALVES).astype(np.int64)


def _added(found: Sequence[Mapping[str, np.ndarray]], calling: Calling) -> Flags:
    """The counts of one arm over its targets, in the order of the models."""
    num_models, num_examples = calling.member.shape
    num_in, flagged_in, num_out, flagged_out = np.zeros((4, HALVES, num_examples), np.int32)
    by_class = np.zeros((4, num_models, calling.num_classes), np.int64)
    halves = _halves(calling.partner)
    for model, (row, of_target) in enumerate(zip(calling.member, found, strict=True)):
        half = halves[model]
        flagged = np.unpackbits(of_target["flagged"], count=num_examples).view(bool)
        inside, outside = row == 1, row == 0
        num_in[half] += inside
        flagged_in[half] += inside & flagged
        num_out[half] += outside
        flagged_out[half] += outside & flagged
        for i, kind in enumerate(("members", "true", "non_members", "false")):
            by_class[i, model] = of_target[kind]
    chance = float(np.mean([of_target["chance"] for of_target in found]))
    counts = (num_in, flagged_in, num_out, flagged_out, chance, *by_class)
    return Flags(*counts, found_from=_in_half(found, calling.member))
