"""An image is robust if it withstands every attack in its ball; and why one attack finds more."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from attacks.evasion import EvasionAttack
from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.pgd import PGD
from attacks.evasion.square import Square
from runner.statistics.averages import Averaging

GAP = 0.005  # from which on a difference between two attacks is explained
LARGE_GAP = {AutoAttack: 0.1, Square: 0.05}  # they lead PGD by less where gradients are sound
FEW_STEPS = 10
APGD_STEPS = 100  # of AutoAttack, from one start


def worst_cases(
    models: Sequence[Mapping[Any, np.ndarray]],
    attacks: Mapping[str, EvasionAttack],
    over: Averaging,
    num_classes: int,
) -> dict[str, Any]:
    """Return the worst case in each ball that two attacks or more share, by its eps as text.

    `accuracy` counts an image as robust if it withstands all of them. `pairs` compares any two:
    `difference` is the first's robust accuracy less the second's, `only` the number of images that
    one breaks and the other does not, over these models. `notes` explains what is surprising.

    Args:
        models: of each of the M models, which images it answers rightly under each attack that
            shares a ball, (K,) bool by name.
    """
    found = {}
    for eps, names in shared_balls(attacks).items():
        worst = [np.logical_and.reduce([model[name] for name in names]) for model in models]
        accuracy = np.array([right.mean() for right in worst])
        pairs = [_pair(models, pair, over) for pair in combinations(names, 2)]
        notes = [note for pair in pairs for note in _notes(pair, attacks, num_classes)]
        short = f"{eps:g}"  # two radii may be the same to six digits
        found[str(eps) if short in found else short] = {
            "attacks": names,
            "accuracy": over.mean(accuracy)._asdict(),
            "pairs": pairs,
            "notes": notes,
        }
    return found


def shared_balls(attacks: Mapping[str, EvasionAttack]) -> dict[float, list[str]]:
    """Return the names of the attacks in each ball that has several, by its eps, rising."""
    balls: dict[float, list[str]] = {}
    for name, attack in attacks.items():
        eps = getattr(attack, "eps", None)
        if eps is not None:
            balls.setdefault(eps, []).append(name)
    return {eps: names for eps, names in sorted(balls.items()) if len(names) > 1}


def _pair(
    models: Sequence[Mapping[Any, np.ndarray]], names: tuple[str, str], over: Averaging
) -> dict[str, Any]:
    difference = np.array([model[names[0]].mean() - model[names[1]].mean() for model in models])
    both = [(models[m][names[0]], models[m][names[1]]) for m in over.models]
    return {
        "attacks": list(names),
        "difference": over.mean(difference, (-1.0, 1.0))._asdict(),
        "only": [
            int(sum((~one & other).sum() for one, other in both)),
            int(sum((one & ~other).sum() for one, other in both)),
        ],
        "num_images": int(sum(len(one) for one, _ in both)),
    }


def _notes(
    pair: Mapping[str, Any], attacks: Mapping[str, EvasionAttack], num_classes: int
) -> list[str]:
    """What is to be said where the one attack breaks clearly more than the other."""
    names, only, gap = pair["attacks"], pair["only"], pair["difference"]["mean"]
    if round(abs(gap), 9) < GAP:
        return []
    if gap > 0:  # the second leaves fewer standing
        names, only = names[::-1], only[::-1]
    stronger, weaker = names
    reasons = _reasons(attacks[stronger], attacks[weaker], abs(gap), num_classes)
    if not reasons:
        return []
    counted = (
        f"{stronger} leaves {100 * abs(gap):.1f} points fewer images standing than {weaker}: of "
        f"{pair['num_images']:,} images over all models, {only[0]:,} fall to it alone and "
        f"{only[1]:,} to {weaker} alone."
    )
    return [" ".join([counted, *reasons])]


def _reasons(
    stronger: EvasionAttack, weaker: EvasionAttack, gap: float, num_classes: int
) -> list[str]:
    """The known reasons that apply; none where nothing is surprising."""
    overstates = "PGD overstates robustness: read the worst case."
    if isinstance(stronger, Square) and isinstance(weaker, PGD):
        masked = ["Square sees no gradient, so those that PGD follows mislead."]
        return [*(masked if gap >= LARGE_GAP[type(stronger)] else []), overstates]
    if isinstance(stronger, AutoAttack) and isinstance(weaker, PGD):
        if weaker.num_steps < FEW_STEPS:
            return [f"PGD makes {weaker.num_steps} steps, which are few.", overstates]
        masked = ["So large a gap is a sign that gradients are masked."]
        return [*(masked if gap >= LARGE_GAP[type(stronger)] else []), overstates]
    if isinstance(stronger, PGD) and isinstance(weaker, AutoAttack):
        found = _why_pgd_leads(stronger, weaker, num_classes)
        return found or ["None of the known reasons applies: read the worst case."]
    return []


def _why_pgd_leads(pgd: PGD, autoattack: AutoAttack, num_classes: int) -> list[str]:
    found = []
    if num_classes < 4:
        found.append(f"With {num_classes} classes AutoAttack is a smaller suite: no targeted loss.")
    if pgd.restarts * pgd.num_steps > APGD_STEPS:
        found.append(
            f"PGD makes {pgd.num_steps} steps from each of {pgd.restarts} starts, and AutoAttack "
            f"follows the cross-entropy for {APGD_STEPS} steps from one."
        )
    if pgd.averages_draws and not autoattack.averages_draws:
        found.append("PGD averages over the noise of these randomized models, AutoAttack does not.")
    return found
