"""Judge every target by its scores, without any place where all scores of all targets meet."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.audit._of_target import Arrays, Measured
from runner.audit._packed import packed
from runner.audit._passes import (
    JudgingPass,
    Span,
    counts_of_span,
    figures_of_span,
    read_together,
    source_of,
)
from runner.audit._pooled import Counts, counted, union
from runner.audit._tasks import Tasks, arrays_of
from runner.audit.judged import Overlap, write_judged, write_overlap
from runner.code.deciding import deciding
from runner.storage import store
from runner.storage.answers import Source
from runner.storage.cloud import Folder
from runner.storage.ids import digest, seed_of
from runner.storage.scores import Reading

if TYPE_CHECKING:  # it would be torch, which tasks on the nodes have no use for
    from runner.plan.subject import Subject

JUDGED_VERSION = 3  # raise it when the same scores would be judged otherwise
NUM_EDGES = 16_384  # that all targets of a reading have together
TARGETS_AT_ONCE = 16  # that a task resamples; where it does not, it reads twice as many
SCORES_AT_ONCE = 16_000_000  # that it reads, of several targets: 64 MB; twice as many likewise
COUNTS_AT_ONCE = 32_000_000  # that meet on the driver, of several readings: 256 MB


class Judging(NamedTuple):
    """Which scores are judged, and what is asked of them."""

    home: Folder  # of all results of these answers
    scores: Folder
    asked: Mapping[Reading, Measured]
    members: Mapping[str, np.ndarray]  # by matrix, (M, N) int8
    partner: np.ndarray  # (M,) int
    groups: np.ndarray | None = None  # (N,) int, of examples that are resampled together

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
        if self.groups is not None:
            facts["groups"] = hashlib.sha256(self.groups.tobytes()).hexdigest()
        if code := deciding("judged", {}):
            facts["code"] = code
        return store.judged_at(self.home, digest(facts))


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
    plan = work.plan
    return Judging(work.folder, work.scores, asked, plan.matrices, plan.partner, plan.groups)


def judge(judging: Judging, in_ray: bool = True) -> Folder:
    """Judge all targets of all readings, unless it has been done, and return the folder.

    Read it with `runner.audit.judged.read_judged`. Tasks read the scores of a few targets and yield
    what is small. A first pass finds the figures of each target, and edges, which are scores where
    thresholds may lie; a second one counts the scores of every target above the edges of all, and
    the members that all attacks on the same answers find.

    Args:
        in_ray: over the cluster, to which this process is connected; else in this process, without
            Ray and with the same bits.

    Raises:
        Corrupt: the scores cannot be read.
    """
    folder = judging.folder
    if store.facts(folder) is not None:
        return folder
    job = _job(judging)
    spans = [span for reading in judging.asked for span in _spans(judging, [reading])]
    found = _of_targets(figures_of_span, job._replace(spans=spans), in_ray)
    given = {reading: [one.pop("edges") for one in of_all] for reading, of_all in found.items()}
    at = {reading: union(given[reading]) for reading in found if reading.matrix == "member"}
    arrays = {reading: _stacked(of_all) for reading, of_all in found.items()}
    beside, overlaps = _by_source(judging.asked), []
    for some in _groups(at, len(judging.partner)):
        here = {of: beside.pop(of, []) for of in dict.fromkeys(map(source_of, some))}
        second = _second_pass(judging, job, some, here)
        for reading, of_all in _of_targets(counts_of_span, second, in_ray).items():
            of, rates = _stacked(of_all), judging.asked[reading].rates
            if reading in some:
                num_out = arrays[reading]["num_out"]
                counts = Counts(some[reading], of["inside"], of["outside"], num_out)
                arrays[reading] |= counted(counts, given[reading], judging.partner, rates)
            if several := {name: of[name] for name in Overlap._fields if name in of}:
                attacks = [one.attack for one in here[source_of(reading)]]
                several["rates"] = np.array(rates)
                overlaps.append(write_overlap(folder, reading, attacks, several))
    for reading, asked in judging.asked.items():
        arrays[reading]["rates"] = np.array(asked.rates)
    names = [write_judged(folder, reading, of_all) for reading, of_all in arrays.items()]
    store.finish(folder, names + overlaps, {})
    return folder


def _job(judging: Judging) -> JudgingPass:
    """What every task of either pass knows."""
    num_models = len(judging.partner)
    bits = {name: packed(matrix) for name, matrix in judging.members.items()}
    edges = NUM_EDGES // num_models
    known = JudgingPass(judging.scores, judging.asked, bits, num_models, edges)
    return known._replace(groups=judging.groups)


def _second_pass(
    judging: Judging,
    job: JudgingPass,
    edges: Mapping[Reading, np.ndarray],
    beside: Mapping[Source, Sequence[Reading]],
) -> JudgingPass:
    """The tasks of some readings, with all attacks on their sources whose overlap is counted."""
    spans = []
    for source, attacks in beside.items():
        counted = [reading for reading in edges if source_of(reading) == source]
        readings = [*dict.fromkeys([*counted, *attacks])]
        spans += _spans(judging, readings, resampled=False)
    return job._replace(spans=spans, edges=edges, beside=beside)


def _spans(
    judging: Judging, readings: Sequence[Reading], resampled: bool | None = None
) -> list[Span]:
    """The tasks of some readings of one source and matrix, each of a few targets.

    Args:
        resampled: whether they are; None: where that is asked.
    """
    if resampled is None:
        resampled = any(judging.asked[reading].num_resamples for reading in readings)
    num_models, num_examples = next(iter(judging.members.values())).shape
    numbers = num_examples * len(read_together(readings, judging.asked))  # of a target's scores
    times = 1 if resampled else 2
    step = max(1, min(times * TARGETS_AT_ONCE, times * SCORES_AT_ONCE // numbers))
    starts = range(0, num_models, step)
    return [(readings, range(start, min(start + step, num_models))) for start in starts]


def _by_source(asked: Mapping[Reading, Measured]) -> dict[Source, list[Reading]]:
    """The readings that have scores of their own, of each source that two or more read."""
    found: dict[Source, list[Reading]] = {}
    for reading, how in asked.items():
        if reading.matrix == "member" and not how.attacks:
            found.setdefault(source_of(reading), []).append(reading)
    return {source: readings for source, readings in found.items() if len(readings) > 1}


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
    found: dict[Reading, dict[int, Arrays]] = {}
    for (task, part), arrays in arrays_of(Tasks(of_task, job, len(job.spans)), in_ray).items():
        reading, model = job.of_part(task, part)
        found.setdefault(reading, {})[model] = arrays
    return {reading: [of[m] for m in range(job.num_models)] for reading, of in found.items()}


def _stacked(of_all: Sequence[Arrays]) -> Arrays:
    """The arrays of all models, (M, ...) each."""
    return {name: np.stack([one[name] for one in of_all]) for name in of_all[0]}
