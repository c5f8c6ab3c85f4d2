"""From what the stages wrote to one dict: results.json, which the report is written from."""

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from attacks.by_name import Keys
from runner import metrics, store, tables
from runner.data import Dataset
from runner.experiment import Experiment
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
    arms = {name: _arm(name, experiment, plan, at, scores) for name in plan.arms}
    # Arms share splits, so the same pair of models in every arm is one unit of the interval.
    null = np.mean([_aucs(scores, name, experiment, plan, "null") for name in plan.arms], axis=0)
    interval = mean_interval(null, plan.partner)
    null_control = _null_control(interval._replace(num_models=len(null) * len(plan.arms)))
    num_test = len(dataset.test_labels)
    judged = num_test if experiment.robustness.on == "test" else plan.num_negatives
    return {
        "experiment": experiment.name,
        "description": experiment.description,
        "seed": experiment.seed,
        "data": {
            "name": experiment.data.name,
            "pool": experiment.data.pool,
            "augment": _fields(experiment.data.augment),
            "num_pool": len(dataset.pool_labels),
            "num_test": num_test,
            "num_members": int((plan.member == 1).sum(1).max()),
            "num_negatives": plan.num_negatives,
        },
        "evaluation": {
            "on": experiment.robustness.on,
            "num_examples": min(judged, experiment.robustness.num_examples or judged),
            "tpr_rule": experiment.membership.tpr_rule,
        },
        "attacks": {
            "robustness": {k: one_line(a) for k, a in experiment.robustness.attacks.items()},
            "membership": {
                k: one_line(a.resolved(len(plan.member)))
                for k, a in experiment.membership.attacks.items()
            },
        },
        "arms": arms,
        "runs": dict(runs),
        "null_control": {**null_control, "tolerance": NULL_TOLERANCE},
        "warnings": _warnings(null_control),
        "git_commit": git_commit(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that figures may depend on."""
    packages = {"torch", "torchvision", "ray", "numpy", "scipy", "pyarrow"}
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


def one_line(keys: Keys) -> str:
    """Return a defense, an attack or a model in one line: its name and every field with a value.

    Defaults are printed too, since they define it as much as what was written in the YAML.
    """
    name, fields = getattr(keys, "name", ""), _fields(keys)
    return f"{name}({fields})" if fields else name


def null_verdict(auc: Interval) -> str:
    """Return "pass", "fail" or "undecided" for the AUC of an attack on random membership.

    It passes when its whole interval is within 0.5 +- NULL_TOLERANCE, fails when none of it is,
    and is undecided in between, where more models would tell.
    """
    low, high = 0.5 - NULL_TOLERANCE, 0.5 + NULL_TOLERANCE
    if low <= auc.low and auc.high <= high:
        return "pass"
    return "fail" if auc.high < low or auc.low > high else "undecided"


def _fields(keys: Keys) -> str:
    """Every field with a value but the name, what is nested last."""
    values = {key: getattr(keys, key) for key in type(keys).model_fields if key != "name"}
    nested_last = sorted(values.items(), key=lambda item: isinstance(item[1], Keys))
    return ", ".join(f"{key} {_inline(v)}" for key, v in nested_last if v not in (None, ()))


def _inline(value: Any) -> str:
    """A field's value; a float in full, or in 255ths, as radii are stated, where that is exact."""
    if isinstance(value, Keys):
        return one_line(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if float(short := f"{value:g}") == value:
        return short
    return f"{round(255 * value)}/255" if value == round(255 * value) / 255 else str(value)


def _arm(name: str, experiment: Experiment, plan: Plan, at: Store, scores: Path) -> dict[str, Any]:
    """One arm's figures, each over all its models."""
    runs = plan.arms[name]
    evaluated = {
        attack: [
            store.facts(at.robustness(run.id, experiment.robustness.id(attack))) for run in runs
        ]
        for attack in (None, *experiment.robustness.attacks)
    }
    asked = [store.facts(at.answers(run.id, experiment.answers.id)) for run in runs]
    trained = [store.facts(at.run(run.id)) for run in runs]

    def over_models(
        facts: list[Any], key: str, bounds: tuple[float, float] = (0, 1)
    ) -> dict[str, Any]:
        values = np.array([fact[key] for fact in facts])
        return _interval(mean_interval(values, plan.partner, bounds))

    return {
        "defense": one_line(runs[0].defense),
        "recipe": {"model": one_line(runs[0].model), "training": _fields(runs[0].training)},
        "natural_accuracy": over_models(evaluated[None], "accuracy"),
        "train_accuracy": over_models(asked, "train_accuracy"),
        "robust_accuracy": {
            attack: over_models(evaluated[attack], "accuracy")
            for attack in experiment.robustness.attacks
        },
        "membership": {
            attack: _membership(name, attack, experiment, plan, scores)
            for attack in experiment.membership.attacks
        },
        "null_control": _null_control(
            mean_interval(_aucs(scores, name, experiment, plan, "null"), plan.partner)
        ),
        "train_time_s": over_models(trained, "train_time_s", (0, float("inf"))),
    }


def _membership(
    arm: str, attack: str, experiment: Experiment, plan: Plan, scores: Path
) -> dict[str, Any]:
    """AUC, TPR at each FPR, and the mean ROC of one attack, over all models as targets."""
    grid = metrics.roc_grid()
    rates = experiment.membership.false_positive_rates
    rule = experiment.membership.tpr_rule
    aucs, tprs, curves = [], {rate: [] for rate in rates}, []
    for m, row in enumerate(plan.member):
        values, judged = tables.read_scores(scores, arm, attack, "member", m), row >= 0
        member = row[judged] == 1
        fpr, tpr = metrics.roc(values[judged], member)
        aucs.append(metrics.auc(values[judged], member))
        curves.append(metrics.roc_on_grid(fpr, tpr, grid))
        for rate in rates:
            tprs[rate].append(metrics.tpr_at_fpr(fpr, tpr, rate, rule))
    smallest = metrics.smallest_fpr(plan.num_negatives)
    bands = [mean_interval(column, plan.partner) for column in np.array(curves).T]
    return {
        "auc": _interval(mean_interval(np.array(aucs), plan.partner)),
        "tpr_at_fpr": {
            f"{rate:g}": {
                **_interval(mean_interval(np.array(tprs[rate]), plan.partner)),
                "num_negatives": plan.num_negatives,
                "at_zero_false_positives": rate < smallest,
            }
            for rate in rates
        },
        "roc": {
            "fpr": grid.tolist(),
            "tpr": [band.mean for band in bands],
            "low": [band.low for band in bands],
            "high": [band.high for band in bands],
        },
    }


def _aucs(scores: Path, arm: str, experiment: Experiment, plan: Plan, matrix: str) -> np.ndarray:
    """Each model's AUC under a member matrix, by the experiment's first attack, (M,)."""
    attack = next(iter(experiment.membership.attacks))
    member = {"member": plan.member, "null": plan.null_member}[matrix]
    return np.array(
        [
            metrics.auc(
                tables.read_scores(scores, arm, attack, matrix, m)[row >= 0], row[row >= 0] == 1
            )
            for m, row in enumerate(member)
        ]
    )


def _interval(interval: Interval) -> dict[str, Any]:
    return interval._asdict()


def _null_control(auc: Interval) -> dict[str, Any]:
    return {"auc": _interval(auc), "verdict": null_verdict(auc)}


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
