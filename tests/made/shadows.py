"""Members, and log-odds of models that were trained on them, as LiRA sees them."""

import numpy as np

from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from tests.attacks.membership import lira_oracle
from tests.oracles import unlabelled

ANY = unlabelled(1)  # which examples they are does not matter to LiRA
CARLINI = [
    Lira(preset="lira-carlini-code", mode=mode, variance=variance)
    for mode in ("online", "offline")
    for variance in ("per_example", "total")
]


def line(attack: Lira) -> str:
    """The keys that tell the attacks of these tests apart."""
    keys = attack.preset[5:], attack.mode, attack.variance, attack.prior_freedom, attack.centre
    return "-".join(map(str, (*keys, attack.sides, attack.across_views)))


def oracle(
    attack: Lira, target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray
) -> np.ndarray:
    """Scores of a target by the definition, of the preset that is asked."""
    if attack.preset == "lira-carlini-code":
        fixed = attack.variance == "total"
        return lira_oracle.carlini(target, shadows, shadow_member, attack.mode, fixed)
    return lira_oracle.lira(attack, target, shadows, shadow_member)


def pairs(num_models: int, num_examples: int, rng: np.random.Generator) -> np.ndarray:
    """Membership (M, N) int8 of complementary halves."""
    member = np.zeros((num_models, num_examples), np.int8)
    member[::2] = rng.random((num_models // 2, num_examples)) < 0.5
    member[1::2] = 1 - member[::2]
    return member


def ragged(num_models: int, num_examples: int, rng: np.random.Generator) -> np.ndarray:
    """Membership with models that are in neither class; 4 shadows of each class at the least."""
    member = rng.integers(-1, 2, (num_models, num_examples)).astype(np.int8)
    member[:6], member[6:12] = 0, 1
    return rng.permuted(member, axis=0)


def gaussian_answers(
    member: np.ndarray, gap: float, std: float, rng: np.random.Generator, num_views: int = 2
) -> np.ndarray:
    """Log-odds (M, N, V) float32 of examples of different hardness; members have `gap` more."""
    hardness = rng.normal(0, 3, (1, member.shape[1], num_views))
    noise = rng.normal(0, std, (*member.shape, num_views))
    return (hardness + gap * (member == 1)[:, :, None] + noise).astype(np.float32)


def others(m: int, partner: np.ndarray) -> np.ndarray:
    """The models (M,) that are neither the target nor its partner."""
    models = np.arange(len(partner))
    return (models != m) & (models != partner[m])


def score_all(
    attack: MembershipAttack, answers: np.ndarray, member: np.ndarray, partner: np.ndarray
) -> np.ndarray:
    """All targets at once, from sums over all examples."""
    sums = attack.sums(answers, member, partner, ANY)
    return attack.score_all(answers, member, partner, ANY, sums)


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """P(a member's score is above a non-member's), of one target; no ties expected."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(1, len(scores) + 1)
    num_in = int(member.sum())
    above = ranks[member == 1].sum() - num_in * (num_in + 1) / 2
    return above / (num_in * (len(scores) - num_in))
