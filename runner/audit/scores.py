"""Membership scores of every model as target, over the answers of all models."""

from typing import TYPE_CHECKING

import numpy as np

from attacks.origin import Failed
from runner.audit._blocks import score_blocks
from runner.audit._scoring import Scoring
from runner.audit._targets import score_targets
from runner.storage import store
from runner.storage.scores import BY_BLOCKS, BY_TARGETS
from runner.storage.store import Corrupt

if TYPE_CHECKING:  # it would be torch, which tasks on the nodes have no use for
    from runner.plan.subject import Subject


class Unscored(ValueError):
    """An attack cannot judge what it was given; the message says which, and why."""


def _scoring_of(work: "Subject") -> Scoring:
    """Return what is scored of these answers, and into which folder."""
    plan, settings = work.plan, work.settings
    attacks = settings.membership.attacks
    return Scoring(
        work.sources,
        plan.matrices,
        plan.partner,
        plan.shadows,
        attacks,
        work.scores,
        plan.even,
        settings.seed,
    )


def write_scores(work: "Subject", in_ray: bool = True) -> None:
    """Write the scores of exactly these answers, unless they are there.

    Args:
        in_ray: over the cluster, to which this process is connected; else in this process, which
            finds the same bits.

    Raises:
        Unscored: an attack cannot judge what it was given.
        Corrupt: answers cannot be read.
    """
    if store.facts(work.scores) is not None:
        return
    try:
        files = audit(_scoring_of(work), in_ray)
    except Corrupt:
        raise
    except ValueError as error:
        trace = error.trace if isinstance(error, Failed) else ""
        kept = trace and store.keep_traceback(work.folder, trace)
        raise Unscored("; ".join(filter(None, [str(error), kept]))) from error
    store.finish(work.scores, files, {})


def audit(scoring: Scoring, in_ray: bool = True) -> list[str]:
    """Write the scores of every attack, under every member matrix, of every model as target.

    Ray is initialised by the caller, if it is used. Read the scores with
    `runner.storage.scores.read_scores`; what lay in the folder before is replaced, and what a
    failed audit leaves there is not whole.

    Args:
        in_ray: over the cluster by Ray Data; else one task after the other in this process.

    Returns:
        The files in the folder, sorted.

    Raises:
        Corrupt: a file of answers cannot be read.
        ValueError: a file holds other examples or views than the rest of its arm or an answer that
            is no number; or an example that is judged has too few shadows for an attack.
    """
    num_models, num_examples = next(iter(scoring.members.values())).shape
    for name, matrix in scoring.members.items():
        assert matrix.shape == (num_models, num_examples), f"member matrix {name}: {matrix.shape}"
    for source, paths in scoring.sources.items():
        assert len(paths) == num_models, f"{source}: {len(paths)} files of {num_models} models"
    members = {name: np.asarray(matrix, np.int8) for name, matrix in scoring.members.items()}
    scoring = scoring._replace(members=members, partner=np.asarray(scoring.partner))
    of_blocks = {name: a for name, a in scoring.attacks.items() if not a.per_target}
    of_targets = {name: a for name, a in scoring.attacks.items() if a.per_target}
    found: list[str] = []
    for attacks, scored, folder in (
        (of_blocks, score_blocks, BY_BLOCKS),
        (of_targets, score_targets, BY_TARGETS),
    ):
        if attacks:
            part = scoring._replace(attacks=attacks, folder=scoring.folder / folder)
            found += [f"{folder}/{name}" for name in scored(part, in_ray)]
    return sorted(found)
