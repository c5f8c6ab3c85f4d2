"""Variations of one PGD whose outcomes are known beforehand, if the robustness is real.

Source: Carlini et al. (2019), https://arxiv.org/abs/1902.06705, section 5.
"""

from attacks.evasion import EvasionAttack
from attacks.evasion.pgd import PGD
from attacks.evasion.square import Square

TIMES_EPS = (0.5, 1, 2, 4)
FEW_STEPS, TIMES_STEPS = (1, 5), (1, 5)
QUERIES = 500


def of_each_eps(attack: PGD) -> list[PGD]:
    """Return the attack at other radii, rising to 1, where every image is in the ball.

    The step grows with the radius. At 1 it is long enough for any pixel to get anywhere.
    """
    radii = {1.0, *(min(attack.eps * times, 1.0) for times in TIMES_EPS)}
    return [_at(attack, eps) for eps in sorted(radii)]


def of_each_num_steps(attack: PGD) -> list[PGD]:
    """Return the attack with fewer and with more steps, rising."""
    steps = {*FEW_STEPS, *(attack.num_steps * times for times in TIMES_STEPS)}
    return [attack.model_copy(update={"num_steps": n}) for n in sorted(steps)]


def black_box(attack: PGD) -> Square:
    """Return the Square attack in the same ball, with few queries."""
    return Square(eps=attack.eps, num_queries=QUERIES)


def sanity_attacks(attack: PGD) -> dict[str, EvasionAttack]:
    """Return every variation once, the attack itself among them, by a name of its own."""
    named: dict[EvasionAttack, str] = {}
    for one in of_each_eps(attack):
        short = f"sanity_eps_{one.eps:g}"  # two radii may be the same to six digits
        named.setdefault(one, f"sanity_eps_{one.eps}" if short in named.values() else short)
    for one in of_each_num_steps(attack):
        named.setdefault(one, f"sanity_steps_{one.num_steps}")
    named[black_box(attack)] = "sanity_square"
    return {name: one for one, name in named.items()}


def _at(attack: PGD, eps: float) -> PGD:
    """The attack at another radius."""
    if eps == attack.eps:
        return attack
    step = attack.step_size * eps / attack.eps if attack.eps else eps
    if eps == 1 and attack.num_steps:
        step = max(step, 1 / attack.num_steps)
    return attack.model_copy(update={"eps": eps, "step_size": min(step, 1.0)})
