"""From what the stages wrote to one dict: results.json, which the report is written from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runner.audit.judge import judge, judging_of
from runner.data import Dataset
from runner.driver.events import Event
from runner.experiment.describe import fields_in_line, one_line
from runner.experiment.experiment import Experiment
from runner.plan.plan import Plan
from runner.results._arms import Books, arm_figures, null_aucs
from runner.results._epsilon import alarms, epsilon_figures
from runner.results._memorization import leakage_by_memorization
from runner.results.checks import NULL_TOLERANCE, guards_of, null_control, warnings_of
from runner.results.comparisons import compare
from runner.results.versions import git_commit, versions
from runner.statistics.intervals import Interval, mean_interval
from runner.storage.answers import Sources
from runner.storage.cloud import Folder
from runner.storage.store import Store


def gather(
    experiment: Experiment,
    dataset: Dataset,
    plan: Plan,
    at: Store,
    scores: Folder,
    sources: Sources,
    runs: Mapping[str, Any],
    vulnerable: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    """Return what results.json holds; its schema is docs/results_schema.md.

    Args:
        scores: the folder that the audit wrote.
        sources: the files of answers that it read.
        runs: how many models this command `trained` and `reused`, passed through.
        vulnerable: the examples at risk of each arm, passed through; None: nobody looked.
        events: what went wrong on the way, passed through.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    # Arms share splits, so the same pair of models in every arm is one unit of the interval.
    judging = judging_of(experiment, plan, sources, scores)
    folder = judge(judging, in_ray=False)  # unless it is there
    books = Books(experiment, plan, at, folder)
    first = next(iter(experiment.membership.attacks))
    null = np.mean([null_aucs(books, name)[first] for name in plan.arms], axis=0)
    interval = mean_interval(null, plan.partner)
    by_score = experiment.memorization and leakage_by_memorization(
        experiment, dataset, plan, at, scores
    )
    arms = {name: arm_figures(books, name, dataset) for name in plan.arms}
    nulls: dict[tuple[str, str], Interval] = {}
    for name, arm in arms.items():
        nulls |= {(name, attack): auc for attack, auc in arm["null_controls"].items()}
        controls = {attack: null_control(auc) for attack, auc in arm["null_controls"].items()}
        arm |= {"null_control": controls[first], "null_controls": controls}
        arm["vulnerable"] = vulnerable and vulnerable[name]
    overall = null_control(interval._replace(num_models=len(null) * len(plan.arms)))
    guards = guards_of(experiment, dataset, plan, at, sources, nulls)
    epsilon = epsilon_figures(experiment, dataset, plan, at, scores)
    num_test = len(dataset.test_labels)
    judged = num_test if experiment.robustness.on == "test" else plan.num_negatives
    return {
        "experiment": experiment.name,
        "description": experiment.description,
        "seed": experiment.seed,
        "data": {
            "name": experiment.data.name,
            "classes": experiment.data.classes and list(experiment.data.classes),
            "pool": experiment.data.pool,
            "augment": fields_in_line(experiment.data.augment),
            "num_pool": len(dataset.pool_labels),
            "num_test": num_test,
            "num_members": int((plan.member == 1).sum(1).max()),
            "num_negatives": plan.num_negatives,
        },
        "design": experiment.design.model_dump(exclude_none=True),
        "evaluation": {
            "on": experiment.robustness.on,
            "num_examples": min(judged, experiment.robustness.num_examples or judged),
            "tpr_rule": experiment.membership.tpr_rule,
        },
        "report": experiment.report.model_dump(),
        "attacks": {
            "robustness": {k: one_line(a) for k, a in experiment.robustness.attacks.items()},
            "membership": {k: one_line(a) for k, a in experiment.membership.attacks.items()},
            "views": {
                k: list(a.views or experiment.answers.names)
                for k, a in experiment.membership.attacks.items()
                if a.reads != "logits"
            },
            "adversarial": list(experiment.answers.adversarial),
        },
        "selection": experiment.selection and fields_in_line(experiment.selection),
        "averages": experiment.averages.model_dump(),
        "arms": arms,
        "comparisons": compare(experiment, plan, at, books.judged),
        "memorization": by_score,
        "epsilon": epsilon,
        "runs": dict(runs),
        "events": [*events],
        "null_control": {**overall, "tolerance": NULL_TOLERANCE},
        "guards": [guard._asdict() for guard in guards],
        "warnings": [*warnings_of(guards), *_overstated(arms), *_doubtful(arms), *alarms(epsilon)],
        "git_commit": git_commit(),
        "versions": versions(),
    }


def _overstated(arms: Mapping[str, Any]) -> list[str]:
    """Robust accuracies that an attack averaging over the model's noise would lower."""
    found = {name: arm["overstated"] for name, arm in arms.items() if arm["overstated"]}
    if not found:
        return []
    which = "; ".join(f"{name}: {', '.join(attacks)}" for name, attacks in found.items())
    return [
        f"robust accuracy is overstated where an attack does not average over the noise of a "
        f"randomized model ({which}); give the attack `draws`, or use autoattack `version: rand`"
    ]


INSANE = {  # what it means that a sanity check of an attack fails
    "eps_monotone": "a larger radius leaves more images standing",
    "chance_at_large_eps": "a radius of 1 leaves more than chance",
    "more_steps_not_weaker": "more steps leave more images standing",
    "black_box_not_stronger": "Square, which sees no gradient, is the stronger attack",
}


def _doubtful(arms: Mapping[str, Any]) -> list[str]:
    """Robust accuracies that a sanity check of their attack speaks against."""
    failed: dict[str, list[str]] = {}
    for name, arm in arms.items():
        for check, why in INSANE.items():
            if ((arm["sanity"] or {}).get(check) or {}).get("verdict") == "fail":
                failed.setdefault(why, []).append(name)
    return [
        f"robust accuracy under PGD is not to be trusted ({', '.join(names)}): {why}"
        for why, names in failed.items()
    ]
