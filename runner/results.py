"""From what the stages wrote to one dict: results.json, which the report is written from."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from runner.arm_figures import Books, arm_figures, null_aucs
from runner.data import Dataset
from runner.describe import fields_in_line, one_line
from runner.experiment import Experiment
from runner.memorization import leakage_by_memorization
from runner.metrics import Interval, mean_interval
from runner.plan import Plan
from runner.store import Store

NULL_TOLERANCE = 0.02  # how far from 0.5 the null control's AUC may lie


def gather(
    experiment: Experiment,
    dataset: Dataset,
    plan: Plan,
    at: Store,
    scores: Path,
    runs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what results.json holds; its schema is docs/results_schema.md.

    Args:
        scores: the folder that the audit wrote.
        runs: how many models this command `trained` and `reused`, passed through.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    # Arms share splits, so the same pair of models in every arm is one unit of the interval.
    books = Books(experiment, plan, at, scores)
    null = np.mean([null_aucs(books, name) for name in plan.arms], axis=0)
    interval = mean_interval(null, plan.partner)
    by_score = experiment.memorization and leakage_by_memorization(
        experiment, dataset, plan, at, scores
    )
    arms = {name: arm_figures(books, name, dataset) for name in plan.arms}
    for arm in arms.values():
        arm["null_control"] = _null_control(arm["null_control"])
    null_control = _null_control(interval._replace(num_models=len(null) * len(plan.arms)))
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
        "design": experiment.design.model_dump(),
        "evaluation": {
            "on": experiment.robustness.on,
            "num_examples": min(judged, experiment.robustness.num_examples or judged),
            "tpr_rule": experiment.membership.tpr_rule,
        },
        "report": experiment.report.model_dump(),
        "attacks": {
            "robustness": {k: one_line(a) for k, a in experiment.robustness.attacks.items()},
            "membership": {
                k: one_line(a.resolved(len(plan.member)))
                for k, a in experiment.membership.attacks.items()
            },
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
        "memorization": by_score,
        "runs": dict(runs),
        "null_control": {**null_control, "tolerance": NULL_TOLERANCE},
        "warnings": [*_warnings(null_control), *_overstated(arms)],
        "git_commit": git_commit(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that figures may depend on."""
    packages = {"torch", "torchvision", "ray", "numpy", "scipy", "pyarrow"}
    packages |= {"opacus", "scikit-learn", "pyautoattack", "optuna"}
    installed = {d.name: d.version for d in metadata.distributions() if d.name in packages}
    return {"python": platform.python_version(), **dict(sorted(installed.items()))}


def git_commit() -> str:
    """Return the commit of this code, marked when files differ from it; "" outside a repository."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        shown = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(shown, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def null_verdict(auc: Interval) -> str:
    """Return "pass", "fail" or "undecided" for the AUC of an attack on random membership.

    It passes when its whole interval is within 0.5 +- NULL_TOLERANCE, fails when none of it is,
    and is undecided in between, where more models would tell.
    """
    low, high = 0.5 - NULL_TOLERANCE, 0.5 + NULL_TOLERANCE
    if low <= auc.low and auc.high <= high:
        return "pass"
    return "fail" if auc.high < low or auc.low > high else "undecided"


def _null_control(auc: Interval) -> dict[str, Any]:
    return {"auc": auc._asdict(), "verdict": null_verdict(auc)}


def _warnings(null_control: Mapping[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    if null_control["verdict"] != "fail":
        return []
    auc = null_control["auc"]
    return [
        f"the null control's AUC is {auc['mean']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}], all "
        f"of it outside 0.50 ± {NULL_TOLERANCE:.2f}: the design or the attack leaks membership by "
        "itself"
    ]


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
