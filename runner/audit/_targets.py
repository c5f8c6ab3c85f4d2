"""Attacks that judge a target at a time: tasks are targets, thousands of them over the cluster."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from attacks.membership import Examples, MembershipAttack, by_halves
from runner.audit._blocks import chosen
from runner.audit._scoring import Scoring
from runner.audit._tasks import Tasks, write
from runner.plan.circles import as_shadow, only_partners
from runner.storage.answers import Source, column_of, num_classes, read_answers, read_views
from runner.storage.ids import seed_of
from runner.storage.scores import OF_TARGETS, Reading, target_table


class TargetScoring(NamedTuple):
    """What every task knows."""

    scoring: Scoring
    tasks: list[tuple[Reading, int]]  # (reading, target) of each


def score_targets(scoring: Scoring, in_ray: bool) -> list[str]:
    """Write the scores of attacks that are trained anew for every target, and return the files.

    See `runner.audit.scores.audit`.
    """
    tasks = [
        (Reading(*source, attack, matrix), model)
        for source in scoring.sources
        for attack in scoring.attacks
        for matrix in scoring.members
        for model in range(len(scoring.shadows))
    ]
    job = TargetScoring(scoring, tasks)
    return write(Tasks(_scores_of_target, job, len(tasks)), scoring.folder, OF_TARGETS, in_ray)


def _scores_of_target(job: TargetScoring, task: int) -> Iterator[pa.Table]:
    """Yield the scores of one target: rows of `runner.storage.scores.target_table`."""
    scoring, (reading, model) = job.scoring, job.tasks[task]
    attack, member = scoring.attacks[reading.attack], scoring.members[reading.matrix]
    source = Source(reading.arm, reading.draws)
    examples = _examples(scoring, source, model)
    target = _signal(scoring, attack, source, model, examples)
    # Arms and attacks share the seed of a target: they are compared in pairs.
    seed = seed_of(scoring.seed, reading.matrix, model) % 2**32
    if attack.needs().itself:
        scores = by_halves(attack, target, member[model], examples, seed)
    else:
        others = scoring.shadows[model][: attack.needs().num_shadows]
        theirs = _shadow(scoring, attack, source)
        of_shadows = [_signal(scoring, attack, theirs, m, examples) for m in others]
        seen = member if scoring.even is None else scoring.even.seen_by(model, member)
        rows = seen[others]
        if attack.needs().outside and only_partners(scoring.partner, scoring.shadows):
            rows = as_shadow(rows, member[model])
        scores = attack.score(target, np.stack(of_shadows), rows, examples, seed)
    if not np.isfinite(scores[member[model] >= 0]).all():
        raise ValueError(
            f"{reading.attack} cannot judge every example of {reading.arm}, model {model}"
        )
    yield target_table(reading, model, scores)


def _shadow(scoring: Scoring, attack: MembershipAttack, source: Source) -> Source:
    """Whose answers the attacker's shadow models give, by as many draws as they have."""
    arm = attack.needs().shadow_arm or source.arm
    there = Source(arm, source.draws)
    return there if there in scoring.sources else Source(arm, 1)


def _examples(scoring: Scoring, source: Source, model: int) -> Examples:
    """All examples of the pool."""
    path = scoring.sources[source][model]
    label = read_answers(path, "label")
    return Examples(np.arange(len(label), dtype=np.int32), label, len(label), num_classes(path))


def _signal(
    scoring: Scoring, attack: MembershipAttack, source: Source, model: int, examples: Examples
) -> np.ndarray:
    """What the attack takes of one model's answers."""
    path, column = scoring.sources[source][model], column_of(attack.reads, source)
    answers = read_answers(path, column)
    num_examples = next(iter(scoring.members.values())).shape[1]
    if len(answers) != num_examples:
        raise ValueError(
            f"{path} answers {len(answers)} examples, the member matrix {num_examples}"
        )
    if not np.isfinite(answers).all():
        raise ValueError(f"{path} has {column} that are not finite")
    return attack.signal(chosen(attack, answers, read_views(path)), examples)
