"""What results.json holds of an audit of given answers: an experiment's keys, where they apply."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.driver.events import Event
from runner.foreign.answered import PLAIN
from runner.foreign.converting import Converted
from runner.foreign.given import GivenWork
from runner.foreign.schema import Audit
from runner.results.checks import Check, blind_check
from runner.results.comparisons import Pair, comparison
from runner.results.several import BOTH_WAYS
from runner.results.skeleton import ArmBlocks, Blocks, results_json
from runner.statistics.averages import Averaging
from runner.storage.answers import read_answers
from runner.storage.cloud import Folder

Accuracies = dict[str, np.ndarray]  # by figure, (M,)


def gather_given(
    given: GivenWork,
    judged: Folder,
    vulnerable: Mapping[str, Any],
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    """Return what results.json holds; docs/foreign_answers.md says how it differs.

    Args:
        judged: the folder that `runner.audit.judge.judge` returned.
        vulnerable: the examples at risk of each arm.
        events: what went wrong on the way.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    audit, plan = given.audit, given.plan
    accuracies = {name: _accuracies(of, plan.member) for name, of in given.converted.items()}
    kind = given.first.kind
    blocks = Blocks(
        data={
            "name": "given answers",
            "classes": None,
            "pool": "given",
            "augment": "not known",
        },
        num_test=0,
        design={"name": "given", "num_models": len(plan.member)},
        on="non_members",
        num_attacked=plan.num_negatives,
        views={
            name: [view for view in kind.views if view in (attack.views or kind.views)]
            for name, attack in audit.membership.attacks.items()
            if attack.reads != "logits"
        },
        arms={name: _arm(audit, name, of, given.over) for name, of in accuracies.items()},
        vulnerable=vulnerable,
        comparisons=_comparisons(given, accuracies, judged),
        accuracies=accuracies,
        checks=checks_as_told(given),
        runs={"trained": 0, "reused": len(plan.member) * len(plan.arms)},
        report={"against": None, "by": None, "baseline": None},
        notes=given.notes,
        config=audit.model_dump(mode="json"),
    )
    return results_json(given, judged, blocks, events)


def _arm(audit: Audit, name: str, accuracies: Accuracies, over: Averaging) -> ArmBlocks:
    """What is known of an arm beside what its scores tell."""
    claimed, bounds = audit.claimed.get(name), {"generalization_gap": BOTH_WAYS}
    means = {key: over.mean(of, bounds.get(key, (0.0, 1.0))) for key, of in accuracies.items()}
    return ArmBlocks(
        defense="trained elsewhere",
        recipe={"model": "not known", "training": "elsewhere"},
        checkpoint="last",
        guarantee=claimed and {**claimed.model_dump(), "status": "claimed", "of": "the weights"},
        once={**{key: mean._asdict() for key, mean in means.items()}, "robust_accuracy": {}},
    )


def _comparisons(
    given: GivenWork, accuracies: Mapping[str, Accuracies], judged: Folder
) -> list[dict[str, Any]]:
    """Every other arm less the first one, model by model."""
    against, *others = accuracies
    found = []
    for name in others:
        measures = {}
        if "natural_accuracy" in accuracies[name]:
            of_arm, of_first = (accuracies[arm]["natural_accuracy"] for arm in (name, against))
            measures = {"natural_accuracy": given.over.mean(of_arm - of_first, BOTH_WAYS)}
        found.append(comparison(given, judged, Pair(name, against), 1, measures))
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


def checks_as_told(given: GivenWork) -> list[Check]:
    """Return the checks of given answers; those of the null matrix are made of any."""
    plan = given.plan
    return [
        Check(
            "an answer does not depend on its batch",
            "unknown",
            "answers alone do not tell; ask models in eval mode",
        ),
        recipe_as_told(given.audit.shadow_recipe),
        blind_check(plan.member, plan.partner, given.labels, None),
        Check(
            "examples have no twins",
            "unknown",
            "there are no images to compare; a member's twin among the non-members is answered "
            "like a member, so leakage is understated",
        ),
        Check(
            "all models were asked the same",
            "pass",
            f"{len(plan.member) * len(plan.arms)} files of answers hold the same views and labels",
        ),
    ]


def recipe_as_told(told: str) -> Check:
    """Whether the attacker's shadows are trained as the target is, as the user says."""
    name = "target and shadows share a recipe"
    kind, _, how = told.partition(":")
    if kind == "same":
        return Check(name, "pass", f"as whoever trained the models says{how and ':'}{how}")
    if kind == "differs":
        return Check(
            name, "fail", f"as whoever trained the models says, they differ{how and ':'}{how}"
        )
    return Check(name, "unknown", "nobody said; tell it with --shadow-recipe same, or differs: how")
