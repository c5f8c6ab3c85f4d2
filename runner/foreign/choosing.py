"""Which membership attacks given answers allow."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from attacks.by_name import unknown
from attacks.membership import MembershipAttack
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira import Lira
from attacks.membership.rmia import RMIA
from attacks.membership.threshold import Threshold
from runner.faults import BadAnswers
from runner.foreign.answered import Kind
from runner.foreign.schema import Audit
from runner.plan.plan import others_of
from runner.plan.shadows import num_others

Attacks = Mapping[str, MembershipAttack]
MORE = "train more models, or mark such examples -1 in every row"


class _Usual(NamedTuple):
    """An attack that is made where nobody chose any, and of how many views at the least."""

    attack: MembershipAttack
    views: int = 1


USUAL = {
    "lira_online": _Usual(Lira()),
    "lira_offline": _Usual(Lira(mode="offline")),
    "rmia": _Usual(RMIA()),
    "loss": _Usual(Threshold(statistic="loss")),
    "modified_entropy": _Usual(Threshold(statistic="modified_entropy")),
    "label_only": _Usual(LabelOnly(), views=2),
}


class _Others(NamedTuple):
    """The fewest other models that any target has for any example it is judged on."""

    inside: int
    outside: int
    example: int  # one that has so few inside or outside
    all: int  # whatever they were trained on


def chosen(
    audit: Audit, kind: Kind, member: np.ndarray, partner: np.ndarray
) -> tuple[Attacks, list[str]]:
    """Return the attacks, and a sentence on each usual one that is left out.

    Args:
        kind: what the answers of every arm have.

    Raises:
        BadAnswers: an attack that was asked for reads what is not there, or needs more models.
    """
    others = _fewest_others(member, partner)
    if audit.asked:
        for name, attack in audit.membership.attacks.items():
            told = f"membership.attacks.{name}"
            if why := _unreadable(attack, kind):
                raise BadAnswers(told, why, "write those answers too, or leave it out")
            if why := "; ".join(_lacking(attack, kind, others)):
                raise BadAnswers(told, why, f"{MORE}, or leave it out")
        return audit.membership.attacks, []
    left_out = {name: "; ".join(_missing(usual, kind, others)) for name, usual in USUAL.items()}
    made = {name: usual.attack for name, usual in USUAL.items() if not left_out[name]}
    return made, [f"{name} is left out: {why}" for name, why in left_out.items() if why]


def check_names(audit: Audit, attacks: Attacks, arms: Collection[str]) -> None:
    """Refuse names of arms and attacks that there are none of.

    Raises:
        BadAnswers: names the key.
    """
    shadows = {name: attack.needs().shadow_arm for name, attack in attacks.items()}
    for key, kind, name, known in (
        *(("claimed", "arm", name, arms) for name in audit.claimed),
        *(
            (f"membership.attacks.{attack}.shadow_arm", "arm", arm, arms)
            for attack, arm in shadows.items()
            if arm
        ),
        ("vulnerable.attack", "membership attack", audit.vulnerable.attack, attacks),
    ):
        if name is not None and name not in known:
            raise BadAnswers(key, unknown(kind, name, known), "give one of those")


def _fewest_others(member: np.ndarray, partner: np.ndarray) -> _Others:
    """Return the fewest shadows of each class that any target has for an example it is judged on.

    Args:
        member: (M, N) int8.
        partner: (M,) int.
    """
    fewest, scarce = {0: len(member), 1: len(member)}, 0
    for c in (0, 1):
        for row, others in zip(member, num_others(member, partner, c), strict=True):
            others[row < 0] = len(member)
            if others.min() < fewest[c]:
                fewest[c], scarce = int(others.min()), int(others.argmin())
    every = min(map(len, others_of(partner)))
    return _Others(inside=fewest[1], outside=fewest[0], example=scarce, all=every)


def _missing(usual: _Usual, kind: Kind, others: _Others) -> Iterator[str]:
    """What an attack would need and does not have."""
    if why := _unreadable(usual.attack, kind):
        yield why
    if len(kind.views) < usual.views:
        yield "it needs several views"
    for why in _lacking(usual.attack, kind, others):
        yield f"{why}; {MORE}"


def _lacking(attack: MembershipAttack, kind: Kind, others: _Others) -> Iterator[str]:
    """Which other models an attack needs and does not have."""
    needs = attack.needs(len(attack.columns(kind.views)))
    for there, needed, which in (
        (others.inside, needs.inside, "trained on it"),
        (others.outside, needs.outside, "not trained on it"),
    ):
        if there < needed:
            yield (
                f"it needs {needed} other models {which} for every example, and some have {there} "
                f"(example {others.example} may be one)"
            )
    if others.all < (needs.num_shadows or 0):
        yield f"it needs {needs.num_shadows} other models, and some target has {others.all}"


def _unreadable(attack: MembershipAttack, kind: Kind) -> str:
    """What an attack reads that is not there, or ""."""
    if attack.reads not in kind.columns:
        return f"it reads {attack.reads}, and the answers have {', '.join(kind.columns)}"
    strange = [view for view in attack.views or () if view not in kind.views]
    if strange and attack.reads != "logits":
        return f"it reads the view {strange[0]}, and the answers have {', '.join(kind.views)}"
    return ""
