"""Attacks that judge a target at a time: tasks are targets, thousands of them over the cluster."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from attacks.membership import Examples, MembershipAttack
from runner.audit._blocks import chosen
from runner.audit._tasks import write
from runner.storage.answers import Source, Sources, column_of, num_classes, read_answers
from runner.storage.cloud import Folder
from runner.storage.ids import seed_of
from runner.storage.scores import OF_TARGETS, Reading, target_table


class Task(NamedTuple):
    """One target under one reading."""

    reading: Reading
    model: int


class Job(NamedTuple):
    """What every task knows."""

    sources: Sources
    members: Mapping[str, np.ndarray]
    shadows: Sequence[np.ndarray]
    attacks: Mapping[str, MembershipAttack]
    seed: int
    tasks: list[Task]


def score_targets(
    sources: Sources,
    members: Mapping[str, np.ndarray],
    shadows: Sequence[np.ndarray],
    attacks: Mapping[str, MembershipAttack],
    folder: Folder,
    seed: int,
    in_ray: bool,
) -> list[str]:
    """Write the scores of attacks that are trained anew for every target, and return the files.

    Args:
        shadows: of each model as target, the models that its attacker has.
        The others as for `runner.audit.scores.audit`.
    """
    tasks = [
        Task(Reading(*source, attack, matrix), model)
        for source in sources
        for attack in attacks
        for matrix in members
        for model in range(len(shadows))
    ]
    job = Job(sources, members, shadows, attacks, seed, tasks)
    return write(scores_of_target, job, len(tasks), folder, OF_TARGETS, in_ray)


def scores_of_target(job: Job, task: int) -> Iterator[pa.Table]:
    """Yield the scores of one target: rows of `runner.storage.parquet.target_table`."""
    reading, model = job.tasks[task]
    attack, member = job.attacks[reading.attack], job.members[reading.matrix]
    source = Source(reading.arm, reading.draws)
    others = job.shadows[model][: attack.needs.num_shadows]
    examples = _examples(job, source, model)
    target = _signal(job, attack, source, model, examples)
    of_shadows = [_signal(job, attack, _shadow(job, attack, source), m, examples) for m in others]
    # Arms and attacks share the seed of a target: they are compared in pairs.
    seed = seed_of(job.seed, reading.matrix, model) % 2**32
    scores = attack.score(target, np.stack(of_shadows), member[others], examples, seed)
    if not np.isfinite(scores[member[model] >= 0]).all():
        raise ValueError(
            f"{reading.attack} cannot judge every example of {reading.arm}, model {model}"
        )
    yield target_table(reading, model, scores)


def _shadow(job: Job, attack: MembershipAttack, source: Source) -> Source:
    """Whose answers the attacker's shadow models give, by as many draws as they have."""
    arm = attack.needs.shadow_arm or source.arm
    there = Source(arm, source.draws)
    return there if there in job.sources else Source(arm, 1)


def _examples(job: Job, source: Source, model: int) -> Examples:
    """All examples of the pool."""
    path = job.sources[source][model]
    label = read_answers(path, "label")
    return Examples(np.arange(len(label), dtype=np.int32), label, len(label), num_classes(path))


def _signal(
    job: Job, attack: MembershipAttack, source: Source, model: int, examples: Examples
) -> np.ndarray:
    path, column = job.sources[source][model], column_of(attack.reads, source)
    answers = read_answers(path, column)
    num_examples = next(iter(job.members.values())).shape[1]
    if len(answers) != num_examples:
        raise ValueError(
            f"{path} answers {len(answers)} examples, the member matrix {num_examples}"
        )
    if not np.isfinite(answers).all():
        raise ValueError(f"{path} has {column} that are not finite")
    return attack.signal(chosen(attack, answers, path), examples)
