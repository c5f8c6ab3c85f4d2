"""Membership scores of every model as target, over the answers of all models."""

from collections.abc import Mapping, Sequence

import numpy as np

from attacks.membership import MembershipAttack
from runner.audit._blocks import score_blocks
from runner.audit._targets import score_targets
from runner.storage.answers import Sources
from runner.storage.cloud import Folder


def audit(
    sources: Sources,
    members: Mapping[str, np.ndarray],
    partner: np.ndarray,
    shadows: Sequence[np.ndarray],
    attacks: Mapping[str, MembershipAttack],
    folder: Folder,
    seed: int = 0,
    in_ray: bool = True,
) -> list[str]:
    """Write the scores of every attack, under every member matrix, of every model as target.

    Ray is initialised by the caller, if it is used. Read the scores with
    `runner.storage.scores.read_scores`; what lay in the folder before is replaced, and what a
    failed audit leaves there is not whole.

    Args:
        sources: the paths of the M files of answers of each arm, in the order of the models, for
            one draw and where there are more for their mean.
        members: by the name of the matrix, (M, N) int8: the true one, and those of controls.
        partner: (M,) int, the other model of each one's pair, or the model itself.
        shadows: of each model as target, the models that an attacker has who judges it alone.
        attacks: by the name that the scores are filed under.
        folder: where the scores go; all nodes must see it, and the answers.
        seed: of attacks that draw at random.
        in_ray: over the cluster by Ray Data; else one task after the other in this process.

    Returns:
        The files in the folder, sorted.

    Raises:
        Corrupt: a file of answers cannot be read.
        ValueError: a file holds other examples or views than the rest of its arm or an answer that
            is no number; or an example that is judged has too few shadows for an attack.
    """
    num_models, num_examples = next(iter(members.values())).shape
    for name, matrix in members.items():
        assert matrix.shape == (num_models, num_examples), f"member matrix {name}: {matrix.shape}"
    for source, paths in sources.items():
        assert len(paths) == num_models, f"{source}: {len(paths)} files of {num_models} models"
    matrices = {name: np.asarray(matrix, np.int8) for name, matrix in members.items()}
    of_blocks = {name: a for name, a in attacks.items() if not a.per_target}
    of_targets = {name: a for name, a in attacks.items() if a.per_target}
    found: list[str] = []
    if of_blocks:
        given = (sources, matrices, np.asarray(partner), of_blocks, folder / "blocks", in_ray)
        found += [f"blocks/{name}" for name in score_blocks(*given)]
    if of_targets:
        given = (sources, matrices, shadows, of_targets, folder / "targets", seed, in_ray)
        found += [f"targets/{name}" for name in score_targets(*given)]
    return sorted(found)
