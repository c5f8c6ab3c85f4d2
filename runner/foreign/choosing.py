"""Which membership attacks given answers allow."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from attacks.by_name import unknown
from attacks.membership import MembershipAttack, Needs
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira import Lira
from attacks.membership.rmia import RMIA
from attacks.membership.threshold import Threshold
from runner.faults import BadAnswers
from runner.foreign.answered import PLAIN, Kind
from runner.foreign.scarce import told_scarce
from runner.foreign.schema import Audit
from runner.plan.plan import others_of
from runner.plan.shadows import even_shadows, num_others

Attacks = Mapping[str, MembershipAttack]
MORE = "train more models, or mark such examples -1 in every row"


class _Usual(NamedTuple):
    """An attack that is made where nobody chose any, of how many views at the least, and when."""

    attack: MembershipAttack
    views: int = 1
    instead_of: str = ""  # made only where that one is left out


USUAL = {
    "lira_online": _Usual(Lira()),
    "lira_offline": _Usual(Lira(mode="offline")),
    "rmia": _Usual(RMIA()),
    "rmia_offline": _Usual(RMIA(mode="offline"), instead_of="rmia"),
    "loss": _Usual(Threshold(statistic="loss")),
    "modified_entropy": _Usual(Threshold(statistic="modified_entropy")),
    "label_only": _Usual(LabelOnly(), views=2),
}


class _Others(NamedTuple):
    """The fewest other models that any target has for any example it is judged on."""

    inside: int
    outside: int
    example: int  # one that has so few inside or outside
    judged: int  # that are judged on an example, trained on it or not
    all: int  # whatever they are judged on
    no_class: str  # which class no other was trained on, or all, for some target; "": none
    scarce: Callable[[Needs], str]  # how many examples of a target lack an attack's shadows
    one_kind: bool = False  # whether what is kept of some target's is of one kind alone


def chosen(
    audit: Audit,
    kind: Kind,
    member: np.ndarray,
    partner: np.ndarray,
    labels: np.ndarray | None,
) -> tuple[Attacks, list[str]]:
    """Return the attacks, and a sentence on each usual one that is left out.

    Args:
        kind: what the answers of every arm have.
        labels: (N,) int; None: no attack is refused for them.

    Raises:
        BadAnswers: an attack that was asked for reads what is not there, or needs more models.
    """
    others = _fewest_others(member, partner, labels)
    even = None if audit.shadows == "all" else even_shadows(member, partner, audit.seed)
    if even and not even.of_both_kinds:
        others = others._replace(one_kind=True)
    if audit.asked:
        for name, attack in audit.membership.attacks.items():
            told = f"membership.attacks.{name}"
            if why := _unreadable(attack, kind):
                raise BadAnswers(told, why, "write those answers too, or leave it out")
            if why := "; ".join(_lacking(attack, kind, others, attack.needs().either)):
                raise BadAnswers(told, why, f"{MORE}, or leave it out")
        return audit.membership.attacks, []
    every = {name: "; ".join(_missing(usual, kind, others)) for name, usual in USUAL.items()}
    left_out = {n: why for n, why in every.items() if every.get(USUAL[n].instead_of, "yes")}
    made = {name: USUAL[name].attack for name, why in left_out.items() if not why}
    return made, [f"{name} is left out: {why}" for name, why in left_out.items() if why]


def needs_of(audit: Audit, kind: Kind) -> list[Needs]:
    """Return what the attacks that may be made need of other models."""
    usual = {name: of.attack for name, of in USUAL.items()}
    attacks = audit.membership.attacks if audit.asked else usual
    return [attack.needs(len(attack.columns(kind.views))) for attack in attacks.values()]


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
        *(
            ("membership.combine", "membership attack", attack, attacks)
            for attack in audit.membership.combine or ()
        ),
    ):
        if name is not None and name not in known:
            raise BadAnswers(key, unknown(kind, name, known), "give one of those")


def _fewest_others(member: np.ndarray, partner: np.ndarray, labels: np.ndarray | None) -> _Others:
    """Return the fewest shadows of each class that any target has for an example it is judged on.

    Args:
        member: (M, N) int8.
        partner: (M,) int.
        labels: (N,) int.
    """
    fewest, judged, scarce = {0: len(member), 1: len(member)}, len(member), 0
    of_kind = (num_others(member, partner, kind) for kind in (0, 1))
    for row, *both in zip(member, *of_kind, strict=True):
        for kind, others in enumerate(both):
            there = np.where(row < 0, len(member), others)
            if there.min() < fewest[kind]:
                fewest[kind], scarce = int(there.min()), int(there.argmin())
        judged = min(judged, int(np.where(row < 0, len(member), both[0] + both[1]).min()))
    others = others_of(partner)
    return _Others(
        inside=fewest[1],
        outside=fewest[0],
        example=scarce,
        judged=judged,
        all=min(map(len, others)),
        no_class="" if labels is None else _no_class(member, others, labels),
        scarce=partial(told_scarce, member, partner),
    )


def _no_class(member: np.ndarray, others: Sequence[np.ndarray], labels: np.ndarray) -> str:
    """A class of which some target's shadows hold no example, or all; "" where there is none."""
    for label in np.unique(labels):
        of_class = member[:, labels == label]
        for entry, said in ((1, "trained on an example of it"), (0, "not trained on one of it")):
            there = (of_class == entry).any(axis=1)
            for m, shadows in enumerate(others):
                if (of_class[m] >= 0).any() and not there[shadows].any():
                    return f"class {label} has none that was {said} beside model {m}"
    return ""


def _missing(usual: _Usual, kind: Kind, others: _Others) -> Iterator[str]:
    """What an attack would need and does not have."""
    if why := _unreadable(usual.attack, kind):
        yield why
    if len(kind.views) < usual.views:
        yield "it needs several views"
    for why in _lacking(usual.attack, kind, others, either=False):
        yield f"{why}; {MORE}"


def _lacking(attack: MembershipAttack, kind: Kind, others: _Others, either: bool) -> Iterator[str]:
    """Which other models an attack needs and does not have; `either`: one kind of them will do."""
    needs = attack.needs(len(attack.columns(kind.views)))
    if either and others.judged < max(needs.inside, needs.outside):
        yield f"it needs other models for every example (example {others.example} may have none)"
    if needs.of_class and others.no_class:
        yield f"it needs other models that know each class, and {others.no_class}"
    for there, needed, which in (
        (others.inside, needs.inside, "trained on it"),
        (others.outside, needs.outside, "not trained on it"),
    ):
        if there < needed and not either:
            yield (
                f"it needs {needed} other models {which} for every example, and some have {there} "
                f"(example {others.example} may be one; {others.scarce(needs)})"
            )
    if others.one_kind and (needs.of_class or needs.num_shadows):
        yield (
            "it needs other models that hold examples and such as do not; where each example is "
            "in one of the models, or in all but one, shadows that are even have one kind"
        )
    if others.all < (needs.num_shadows or 0):
        yield f"it needs {needs.num_shadows} other models, and some target has {others.all}"


def _unreadable(attack: MembershipAttack, kind: Kind) -> str:
    """What an attack reads that is not there, or ""."""
    one_view = attack.reads == "view_logits" and kind.views == (PLAIN,)
    if attack.reads not in kind.columns and not (one_view and "logits" in kind.columns):
        return f"it reads {attack.reads}, and the answers have {', '.join(kind.columns)}"
    strange = [view for view in attack.views or () if view not in kind.views]
    if strange and attack.by_view:
        return f"it reads the view {strange[0]}, and the answers have {', '.join(kind.views)}"
    return ""
