"""Judge every target by its scores, without any place where all scores of all targets meet."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.audit._of_target import Arrays, Measured, above, edges, figures
from runner.audit._packed import Packed, packed
from runner.audit._pooled import Counts, shadow_thresholds, union
from runner.audit._several import mean_ranks, overlap
from runner.audit._tasks import Tasks, arrays_of
from runner.audit.judged import write_judged, write_overlap
from runner.code.deciding import deciding
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.ids import digest, seed_of
from runner.storage.parquet import arrays_table
from runner.storage.scores import Reading, read_targets

if TYPE_CHECKING:  # it would be torch, which tasks on the nodes have no use for
    from runner.plan.subject import Subject

JUDGED_VERSION = 3  # raise it when the same scores would be judged otherwise
NUM_EDGES = 16_384  # that all targets of a reading have together
SCORES_AT_ONCE = 16_000_000  # that a task reads, of several targets: 64 MB
COUNTS_AT_ONCE = 32_000_000  # that meet on the driver, of several readings: 256 MB


class Judging(NamedTuple):
    """Which scores are judged, and what is asked of them."""

    home: Folder  # of all results of these answers
    scores: Folder
    asked: Mapping[Reading, Measured]
    members: Mapping[str, np.ndarray]  # by matrix, (M, N) int8
    partner: np.ndarray  # (M,) int

    @property
    def folder(self) -> Folder:
        """Where the outcome lies: its name stands for exactly these scores and questions."""
        done = self.scores / store.DONE
        facts: dict[str, Any] = {
            "judged_version": JUDGED_VERSION,
            "scores": self.scores.name,
            "written": hashlib.sha256(done.read_bytes()).hexdigest() if done.exists() else "",
            "asked": [[*reading, *asked] for reading, asked in self.asked.items()],
        }
        if code := deciding("judged", {}):
            facts["code"] = code
        return store.judged_at(self.home, digest(facts))


class JudgingPass(NamedTuple):
    """What every task knows."""

    scores: Folder
    asked: Mapping[Reading, Measured]
    rows: Mapping[str, Packed]  # by matrix
    num_models: int
    spans: Sequence[tuple[Reading, Sequence[int]]]  # of each task: a few targets of a reading
    edges: Mapping[Reading, np.ndarray] = {}  # of the second pass
    beside: Mapping[Reading, Sequence[Reading]] = {}  # of the third: all attacks on a source


def judging_of(work: "Subject") -> Judging:
    """Return what is asked of the scores of these answers; of the null matrix, one draw's AUC."""
    membership, asked = work.settings.membership, {}
    rates, rule = membership.false_positive_rates, membership.tpr_rule
    # Of all arms and attacks: they are compared.
    seed = seed_of(work.settings.seed, "resamples")
    for source in work.sources:
        for name, attack in membership.readings.items():
            thresholds = membership.thresholds if attack and attack.calibrated else ()
            how = Measured(rates, rule, thresholds, membership.num_resamples, seed)
            how = how._replace(attacks=() if attack else membership.combined)
            asked[Reading(*source, name, "member")] = how
            if source.draws == 1:
                null = how._replace(thresholds=(), num_resamples=0)
                asked[Reading(*source, name, "null")] = null
    return Judging(work.folder, work.scores, asked, work.plan.matrices, work.plan.partner)


def judge(judging: Judging, in_ray: bool = True) -> Folder:
    """Judge all targets of all readings, unless it has been done, and return the folder.

    Read it with `runner.audit.judged.read_judged`. Tasks read the scores of a few targets and yield
    what is small. A first pass finds the figures of each target, and edges, which are scores where
    thresholds may lie; a second one counts the scores of every target above the edges of all; a
    third one reads all attacks on the same answers side by side, target by target.

    Args:
        in_ray: over the cluster, to which this process is connected; else in this process, without
            Ray and with the same bits.

    Raises:
        Corrupt: the scores cannot be read.
    """
    folder = judging.folder
    if store.facts(folder) is not None:
        return folder
    bits = {name: packed(matrix) for name, matrix in judging.members.items()}
    found = _of_targets(_figures_of_span, _pass(judging, judging.asked, bits), in_ray)
    given = {reading: [one.pop("edges") for one in of_all] for reading, of_all in found.items()}
    at = {reading: union(given[reading]) for reading in found if reading.matrix == "member"}
    arrays = {reading: _stacked(of_all) for reading, of_all in found.items()}
    for some in _groups(at, len(judging.partner)):
        counted = _of_targets(_counts_of_span, _pass(judging, some, bits), in_ray)
        for reading, edge in some.items():
            of = _stacked(counted[reading])
            counts = Counts(edge, of["inside"], of["outside"], arrays[reading]["num_out"])
            rates = judging.asked[reading].rates
            arrays[reading] |= {
                **shadow_thresholds(counts, given[reading], judging.partner, rates),
                "edge": edge,
                "pooled_true": counts.inside.sum(axis=0, dtype=np.int64),
                "pooled_false": counts.outside.sum(axis=0, dtype=np.int64),
            }
    for reading, asked in judging.asked.items():
        arrays[reading]["rates"] = np.array(asked.rates)
    names = [write_judged(folder, reading, of_all) for reading, of_all in arrays.items()]
    names += _overlaps(judging, bits, folder, in_ray)
    store.finish(folder, names, {})
    return folder


def _overlaps(
    judging: Judging, bits: Mapping[str, Packed], folder: Folder, in_ray: bool
) -> list[str]:
    """Write whom all attacks find, for each source that several read, and return the files."""
    beside, names = _by_source(judging.asked), []
    job = _tasks(judging, {first: len(all_of_it) for first, all_of_it in beside.items()}, bits)
    job = job._replace(beside=beside)
    for first, of_all in _of_targets(_overlaps_of_span, job, in_ray).items():
        attacks = [reading.attack for reading in beside[first]]
        found = {**_stacked(of_all), "rates": np.array(judging.asked[first].rates)}
        names.append(write_overlap(folder, first, attacks, found))
    return names


def _figures_of_span(job: JudgingPass, task: int) -> Iterator[Any]:
    """Yield what a few targets show by themselves, and the edges that they give."""
    reading, models = job.spans[task]
    num_ranks = NUM_EDGES // job.num_models if reading.matrix == "member" else 0
    scores, rows = _targets(job, task)
    found = figures(scores, rows, job.asked[reading])
    for m, one, own, row in zip(models, found, scores, rows, strict=True):
        yield arrays_table(task, m, {**one, "edges": edges(own, row, num_ranks)})


def _counts_of_span(job: JudgingPass, task: int) -> Iterator[Any]:
    """Yield how many of a few targets' scores lie above each edge."""
    reading, models = job.spans[task]
    for m, scores, row in zip(models, *_targets(job, task), strict=True):
        yield arrays_table(task, m, above(scores, row, job.edges[reading]))


def _overlaps_of_span(job: JudgingPass, task: int) -> Iterator[Any]:
    """Yield whom all attacks on a source's answers find in a few targets."""
    first, models = job.spans[task]
    each = [read_targets(job.scores, reading, models) for reading in job.beside[first]]
    for k, m in enumerate(models):
        scores, row = np.stack([of_one[k] for of_one in each]), job.rows[first.matrix].row(m)
        yield arrays_table(task, m, overlap(scores, row, job.asked[first].rates))


def _targets(job: JudgingPass, task: int) -> tuple[np.ndarray, np.ndarray]:
    """The scores (K, N) of the targets of a task, and their rows of the member matrix (K, N)."""
    reading, models = job.spans[task]
    rows = np.stack([job.rows[reading.matrix].row(m) for m in models])
    if combined := job.asked[reading].attacks:
        parts = [reading._replace(attack=attack) for attack in combined]
        return mean_ranks([read_targets(job.scores, part, models) for part in parts], rows), rows
    return read_targets(job.scores, reading, models), rows


def _by_source(asked: Mapping[Reading, Measured]) -> dict[Reading, list[Reading]]:
    """The readings that have scores of their own, by the first one of each source that has two."""
    found: dict[tuple[str, int], list[Reading]] = {}
    for reading, how in asked.items():
        if reading.matrix == "member" and not how.attacks:
            found.setdefault((reading.arm, reading.draws), []).append(reading)
    return {readings[0]: readings for readings in found.values() if len(readings) > 1}


def _pass(
    judging: Judging, readings: Mapping[Reading, Any], bits: Mapping[str, Packed]
) -> JudgingPass:
    """The tasks over some readings; what they hold are the edges, where they are known."""
    at = {r: edge for r, edge in readings.items() if isinstance(edge, np.ndarray)}
    num_read = {reading: len(judging.asked[reading].attacks) for reading in readings}
    return _tasks(judging, num_read, bits)._replace(edges=at)


def _tasks(
    judging: Judging, num_read: Mapping[Reading, int], bits: Mapping[str, Packed]
) -> JudgingPass:
    """A task for every few targets of each reading, by how many attacks' scores it reads."""
    num_models, num_examples = next(iter(judging.members.values())).shape
    spans = []
    for reading, number in num_read.items():
        step = max(1, min(16, SCORES_AT_ONCE // (num_examples * max(number, 1))))
        starts = range(0, num_models, step)
        spans += [(reading, range(start, min(start + step, num_models))) for start in starts]
    return JudgingPass(judging.scores, judging.asked, bits, num_models, spans)


def _groups(
    at: Mapping[Reading, np.ndarray], num_models: int
) -> Iterator[dict[Reading, np.ndarray]]:
    """Readings of which the counts above all edges may lie on the driver at once."""
    some: dict[Reading, np.ndarray] = {}
    for reading, edge in at.items():
        if some and 2 * num_models * sum(map(len, (*some.values(), edge))) > COUNTS_AT_ONCE:
            yield some
            some = {}
        some[reading] = edge
    yield some


def _of_targets(of_task: Any, job: JudgingPass, in_ray: bool) -> dict[Reading, list[Arrays]]:
    """What the tasks yield, by reading and in the order of the models."""
    if not job.spans:
        return {}
    of_each = {
        (job.spans[task][0], model): arrays
        for (task, model), arrays in arrays_of(Tasks(of_task, job, len(job.spans)), in_ray).items()
    }
    readings = dict.fromkeys(reading for reading, _ in job.spans)
    return {reading: [of_each[reading, m] for m in range(job.num_models)] for reading in readings}


def _stacked(of_all: Sequence[Arrays]) -> Arrays:
    """The arrays of all models, (M, ...) each."""
    return {name: np.stack([one[name] for one in of_all]) for name in of_all[0]}
