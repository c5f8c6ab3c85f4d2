"""Whether evasion attacks can be made on such images and such a network."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from attacks.evasion import EvasionAttack
from runner.data import to_float
from runner.experiment.config import Fault
from runner.forecast.rehearsal._trying import Arm, sort_of, tried

TINY = 1e-6  # of rounding
MOST_PASSES = 200  # through the network, by an attack whose steps are not known by their name


def faults_of_attacks(
    arm: Arm, network: Callable[[], nn.Module], kind: str, seen: set[str]
) -> Iterator[Fault]:
    """Attacks that cannot be made on such images and such a network, each kind once.

    Args:
        network: gives it in eval mode, with its first weights; asked for where it is attacked.
        kind: what tells networks apart.
        seen: pairs of attacks and networks that were tried; grows.
    """
    for at, attack in _attacks(arm):
        short = attack.in_short()
        pair = f"{sort_of(short)} {kind}"
        if pair in seen:
            continue
        seen.add(pair)
        wrong, why = tried(lambda a=short: _at_most(a, network(), arm), arm)
        if wrong or why:  # fewer steps than it can do with?
            wrong, why = tried(lambda a=attack: _at_most(a, network(), arm), arm)
        if wrong or why:
            yield Fault(at, f"{attack.name} on {arm.model}: {wrong or why}")


def _attacks(arm: Arm) -> Iterator[tuple[str, EvasionAttack]]:
    """Every attack that a Run of the arm is met with, and where it stands."""
    questions, selection = arm.experiment.questions(arm.name), arm.run.selection
    for name, attack in questions.robustness.attacks.items():
        yield f"robustness.attacks.{name}", attack
    for attack in questions.robustness.sanity_attacks.values():
        yield "robustness.sanity", attack
    for name, attack in questions.robustness.sanity.attacks.items():
        yield f"robustness.sanity.attacks.{name}", attack
    for name, attack in questions.answers.adversarial.items():
        yield f"answers.adversarial.{name}", attack
    if selection and selection.attack:
        yield "selection.attack", selection.attack.settled(arm.run.defense.randomized)


def _at_most(attack: EvasionAttack, network: nn.Module, arm: Arm) -> str | None:
    """What `_wrong_attack` says; nothing, where the attack takes more than a few passes."""
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes > MOST_PASSES:
            raise _Enough

    counting = network.register_forward_pre_hook(count)
    try:
        return _wrong_attack(attack, network, arm)
    except _Enough:
        return None
    finally:
        counting.remove()


class _Enough(Exception):
    """It was tried for long enough."""


def _wrong_attack(attack: EvasionAttack, network: nn.Module, arm: Arm) -> str | None:
    """What an attack does not keep of its contract."""
    shown = to_float(arm.few.images)
    given = shown.clone()
    with torch.no_grad():  # as if all were answered rightly: some attacks leave out what is not
        labels = network(shown).argmax(1)
    weights = [p.detach().clone() for p in network.parameters()]
    found = attack.perturb(network.eval(), shown, labels)
    if not _put_back(weights, network):
        return "it changes the network's weights; craft on a copy of the network"
    if not isinstance(found, Tensor) or found.shape != shown.shape:
        return f"it returns no images of the shape that it was given, {tuple(shown.shape)}"
    if not torch.equal(shown, given):
        return "it changes the images that it is given; let it work on a copy of them"
    if any(module.training for module in network.modules()):
        return "it leaves the network in train mode; craft inside `crafting(model)`"
    if not (found.isfinite().all() and found.min() > -TINY and found.max() < 1 + TINY):
        return "it returns pixels outside of [0, 1]; clamp them"
    return None


@torch.no_grad()
def _put_back(weights: Sequence[Tensor], network: nn.Module) -> bool:
    """Give a network its weights, for what is tried next; whether it had them still."""
    had = True
    for was, now in zip(weights, network.parameters(), strict=True):
        if not torch.equal(was, now):
            now.copy_(was)
            had = False
    return had
