"""What results.json holds of an audit of given answers: an experiment's keys, where they apply."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.audit.judged import read_judged
from runner.driver.events import Event
from runner.experiment.describe import one_line
from runner.foreign.answered import PLAIN
from runner.foreign.converting import Converted
from runner.foreign.schema import Audit
from runner.plan.plan import Plan
from runner.results.checks import (
    NULL_TOLERANCE,
    Guard,
    count_guard,
    null_control,
    null_guard,
    warnings_of,
)
from runner.results.comparisons import BOTH_WAYS, Pair, leakage_differences
from runner.results.membership import membership_figures
from runner.results.versions import git_commit, versions
from runner.statistics.averages import Averaging, averaging
from runner.statistics.intervals import Interval, mean_interval
from runner.storage.answers import read_answers
from runner.storage.cloud import Folder
from runner.storage.scores import Reading

Accuracies = dict[str, np.ndarray]  # by figure, (M,)
Arms = Mapping[str, Sequence[Converted]]


def gather(
    audit: Audit,
    plan: Plan,
    arms: Arms,
    judged: Folder,
    notes: Sequence[str],
    vulnerable: Mapping[str, Any],
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    """Return what results.json holds; docs/foreign_answers.md says how it differs.

    Args:
        audit: with the attacks that were made.
        arms: the converted answers.
        judged: the folder that `judging.stage.judge` returned.
        notes: what a reader must know of the answers and the attacks.
        vulnerable: the examples at risk of each arm.
        events: what went wrong on the way.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    attacks, over = audit.membership.attacks, averaging(audit, plan.partner)
    nulls = {
        (arm, attack): read_judged(judged, Reading(arm, 1, attack, "null")).auc
        for arm in arms
        for attack in attacks
    }
    first, kind = next(iter(attacks)), next(iter(arms.values()))[0].kind
    null = np.mean([nulls[arm, first] for arm in arms], axis=0)
    interval = mean_interval(null, plan.partner)._replace(num_models=len(null) * len(arms))
    accuracies = {name: _accuracies(of_arm, plan.member) for name, of_arm in arms.items()}
    found = {}
    for name in arms:
        controls = {a: null_control(over.mean(nulls[name, a])) for a in attacks}
        found[name] = {
            **_told(audit, name),
            **_figures(audit, name, accuracies[name], judged, over),
            "null_control": controls[first],
            "null_controls": controls,
            "vulnerable": vulnerable[name],
        }
    guards = checks_of(audit, plan, {key: over.mean(aucs) for key, aucs in nulls.items()})
    return {
        "experiment": audit.name,
        "description": audit.description,
        "seed": audit.seed,
        "data": {
            "name": "given answers",
            "classes": None,
            "pool": "given",
            "augment": "not known",
            "num_pool": plan.member.shape[1],
            "num_test": 0,
            "num_members": int((plan.member == 1).sum(axis=1).max()),
            "num_negatives": plan.num_negatives,
        },
        "design": {"name": "given", "num_models": len(plan.member)},
        "evaluation": {
            "on": "non_members",
            "num_examples": plan.num_negatives,
            "tpr_rule": audit.membership.tpr_rule,
        },
        "report": {"against": None, "by": None, "baseline": None},
        "attacks": {
            "robustness": {},
            "membership": {k: one_line(a) for k, a in attacks.items()},
            "views": {
                k: [v for v in kind.views if v in (a.views or kind.views)]
                for k, a in attacks.items()
                if a.reads != "logits"
            },
            "adversarial": [],
        },
        "selection": None,
        "averages": audit.averages.model_dump(),
        "arms": found,
        "comparisons": _comparisons(audit, accuracies, judged, over),
        "memorization": None,
        "epsilon": None,
        "runs": {"trained": 0, "reused": len(plan.member) * len(arms)},
        "events": [*events],
        "null_control": {**null_control(interval), "tolerance": NULL_TOLERANCE},
        "guards": [guard._asdict() for guard in guards],
        "warnings": [*warnings_of(guards), *notes],
        "git_commit": git_commit(),
        "versions": versions(),
    }


def _told(audit: Audit, name: str) -> dict[str, Any]:
    """What is said of an arm without a look at its answers."""
    claimed = audit.claimed.get(name)
    return {
        "defense": "trained elsewhere",
        "checkpoint": "last",
        "recipe": {"model": "not known", "training": "elsewhere"},
        "dials": {},
        "randomized": False,
        "draws": 1,
        "averaged": None,
        "overstated": [],
        "guarantee": claimed and {**claimed.model_dump(), "status": "claimed", "of": "the weights"},
        "remarks": [],
    }


def _figures(
    audit: Audit, name: str, accuracies: Accuracies, judged: Folder, over: Averaging
) -> dict[str, Any]:
    """What is measured of an arm."""
    bounds = {"generalization_gap": BOTH_WAYS}
    means = {key: over.mean(of, bounds.get(key, (0.0, 1.0))) for key, of in accuracies.items()}
    membership = {}
    for attack, chosen in audit.membership.attacks.items():
        scores = read_judged(judged, Reading(name, 1, attack, "member"))
        membership[attack] = membership_figures(scores, chosen, name, audit, over)
    measured = {key: interval._asdict() for key, interval in means.items()}
    return {**measured, "robust_accuracy": {}, "membership": membership}


def _comparisons(
    audit: Audit, accuracies: Mapping[str, Accuracies], judged: Folder, over: Averaging
) -> list[dict[str, Any]]:
    """Every other arm less the first one, model by model."""
    against, *others = accuracies
    found = []
    for name in others:
        measures = leakage_differences(audit, Pair(name, against), 1, judged, over)
        if "natural_accuracy" in accuracies[name]:
            of_arm, of_first = (accuracies[arm]["natural_accuracy"] for arm in (name, against))
            measures = {"natural_accuracy": over.mean(of_arm - of_first, BOTH_WAYS), **measures}
        figures = {key: interval._asdict() for key, interval in measures.items()}
        found.append({"arm": name, "against": against, "draws": 1, "measures": figures})
    return found


def _accuracies(of_arm: Sequence[Converted], member: np.ndarray) -> Accuracies:
    """Of each model, on its non-members and its members; empty where answers do not tell."""
    kind = of_arm[0].kind
    if "correct" not in kind.columns:
        return {}
    plain = kind.views.index(PLAIN) if PLAIN in kind.views else 0
    natural, train = [], []
    for one, row in zip(of_arm, member, strict=True):
        correct = read_answers(one.path, "correct")[:, plain]
        natural.append(correct[row == 0].mean())
        train.append(correct[row == 1].mean())
    found = {"natural_accuracy": np.array(natural), "train_accuracy": np.array(train)}
    return found | {"generalization_gap": found["train_accuracy"] - found["natural_accuracy"]}


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
