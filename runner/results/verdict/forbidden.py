"""What a failed check forbids one to say."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from runner.report.readings import readings
from runner.report.verdicts import SANE
from runner.results.ceilings import NAME as CEILING

Of = Literal["leakage", "understated", "proof", "robustness"]
MEMBERSHIP = "nothing may be said about membership"


class Forbids(NamedTuple):
    """A failed check, what it is of, the arms that it is of (all: none is named), and what follows.

    Of "leakage" nothing may be said at all; what is "understated" may be, as the least there is.
    """

    check: str
    of: Of
    follows: str
    arms: tuple[str, ...] = ()


BY_CHECK: dict[str, tuple[Of, str]] = {
    "a redrawn member matrix gives chance": ("leakage", MEMBERSHIP),
    "the shadows' membership does not give the target away": ("leakage", MEMBERSHIP),
    "members are not told without a model": (
        "leakage",
        f"{MEMBERSHIP}, since attacks may find what no model gave away",
    ),
    "an answer does not depend on its batch": (
        "leakage",
        f"{MEMBERSHIP}, nor an accuracy be quoted as that of a single answer",
    ),
    "all models were asked the same": ("leakage", MEMBERSHIP),
    "target and shadows share a recipe": (
        "understated",
        "an attacker who knows the recipe may find more than is said here",
    ),
    "examples have no twins": (
        "understated",
        "leakage is at least what is said here, and may be more",
    ),
    CEILING: ("proof", "no bound may be called proved of this training"),
}
MEANS = {  # that a sanity check of PGD fails
    "eps_monotone": "a larger radius leaves more images standing",
    "chance_at_large_eps": "a radius of 1 leaves more than chance",
    "more_steps_not_weaker": "more steps leave more images standing",
    "black_box_not_stronger": "Square, which sees no gradient, is the stronger attack",
}


def forbidden(results: dict[str, Any]) -> list[Forbids]:
    """Return what failed, in the order of the report. An unknown check forbids the most."""
    failed = [check for check in results.get("guards") or [] if check["verdict"] == "fail"]
    found = [
        Forbids(check["name"], *BY_CHECK.get(check["name"], ("leakage", MEMBERSHIP)))
        for check in failed
    ]
    null = (results.get("null_control") or {}).get("verdict")
    first = next(iter(BY_CHECK))
    if null == "fail" and first not in {one.check for one in found}:
        found.append(Forbids(first, *BY_CHECK[first]))
    return [*found, *_alarmed(results), *_insane(results)]


def of(results: dict[str, Any], what: Of) -> list[Forbids]:
    """Return the failed checks that forbid, or mark, one sort of saying."""
    return [one for one in forbidden(results) if one.of == what]


def at_the_most(results: dict[str, Any], arm: str, attack: str) -> bool:
    """Whether an arm's accuracy under an attack is known to be too high.

    A sanity check that fails speaks against PGD, which is what it varies.
    """
    overstated = results["arms"][arm].get("overstated") or ()
    line = (results["attacks"].get("robustness") or {}).get(attack, "")
    insane = any(arm in one.arms for one in of(results, "robustness"))
    return attack in overstated or (insane and line.lower().startswith("pgd"))


def _alarmed(results: dict[str, Any]) -> Iterator[Forbids]:
    """Arms whose canaries refute what is said to be proved."""
    for name, arm in ((results.get("epsilon") or {}).get("arms") or {}).items():
        if arm.get("alarm") or (arm.get("own") or {}).get("alarm"):
            follows = f"nothing may be called proved of {name}"
            yield Forbids(f"canaries bear out what is proved of {name}", "proof", follows, (name,))


def _insane(results: dict[str, Any]) -> Iterator[Forbids]:
    """Each sanity check of PGD that failed, with the arms that it failed on."""
    for check, name in SANE.items():
        arms = [
            reading.arm
            for reading in readings(results)
            if ((reading.figures.get("sanity") or {}).get(check) or {}).get("verdict") == "fail"
        ]
        if arms:
            some = tuple(dict.fromkeys(arms))
            follows = f"accuracy under PGD of {' and '.join(some)} is an upper bound of which no "
            yield Forbids(name, "robustness", f"{follows}gain may be quoted", some)
