"""Which answers are scored, by which attacks, and for which members."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attacks.membership import MembershipAttack
from runner.plan.shadows import EvenShadows
from runner.storage.answers import Sources
from runner.storage.cloud import Folder


class Scoring(NamedTuple):
    """What is scored, and where its scores go."""

    sources: Sources  # of one draw, and where there are more of their mean
    members: Mapping[str, np.ndarray]  # by matrix, (M, N) int8: the true one, and controls
    partner: np.ndarray  # (M,) int, the other model of each one's pair, or the model itself
    shadows: Sequence[np.ndarray]  # of each model as target, whom an attacker of it alone has
    attacks: Mapping[str, MembershipAttack]  # by the name that the scores are filed under
    folder: Folder  # all nodes must see it, and the answers
    even: EvenShadows | None = None  # None: all of a target's shadows count
    seed: int = 0  # of attacks that draw at random
