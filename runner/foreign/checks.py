"""The checks of an audit of given answers: those of a run, as far as answers can tell."""

from collections.abc import Mapping

from runner.foreign.schema import Audit
from runner.guards import Guard, count_guard, null_guard
from runner.intervals import Interval
from runner.plan import Plan


def checks_of(audit: Audit, plan: Plan, nulls: Mapping[tuple[str, str], Interval]) -> list[Guard]:
    """Return the checks.

    Args:
        nulls: by arm and attack, the AUC under a redrawn member matrix.
    """
    return [
        null_guard(nulls),
        count_guard(plan.member, plan.partner),
        Guard(
            "an answer does not depend on its batch",
            "unknown",
            "answers alone do not tell; ask models in eval mode",
        ),
        recipe_guard(audit.shadow_recipe),
        Guard(
            "examples have no twins",
            "unknown",
            "there are no images to compare; a member's twin among the non-members is answered "
            "like a member, so leakage is understated",
        ),
        Guard(
            "all models were asked the same",
            "pass",
            f"{len(plan.member) * len(plan.arms)} files of answers hold the same views and labels",
        ),
    ]


def recipe_guard(told: str) -> Guard:
    """Whether the attacker's shadows are trained as the target is, as the user says."""
    name = "target and shadows share a recipe"
    kind, _, how = told.partition(":")
    if kind == "same":
        return Guard(name, "pass", f"as whoever trained the models says{how and ':'}{how}")
    if kind == "differs":
        return Guard(
            name, "fail", f"as whoever trained the models says, they differ{how and ':'}{how}"
        )
    return Guard(name, "unknown", "nobody said; tell it with --shadow-recipe same, or differs: how")
