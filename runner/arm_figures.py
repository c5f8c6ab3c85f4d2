"""One arm's figures, each a mean over its models with an interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attacks.epsilon import epsilon_lower_bound, largest_certifiable
from attacks.membership import MembershipAttack
from runner import metrics, store, tables
from runner.averages import Averaging, averaging
from runner.data import Dataset, image_shape
from runner.describe import fields_in_line, one_line
from runner.experiment import Experiment, dials
from runner.metrics import Interval
from runner.plan import Plan
from runner.robust_figures import robust_figures
from runner.store import Store
from runner.tables import Reading

Bounds = tuple[float, float]


class Books(NamedTuple):
    """Where an arm's figures are read from."""

    experiment: Experiment
    plan: Plan
    at: Store
    scores: Path

    @property
    def over(self) -> Averaging:
        """How figures are averaged over models."""
        return averaging(self.experiment, self.plan.partner)


def arm_figures(books: Books, name: str, dataset: Dataset) -> dict[str, Any]:
    """Return all that results.json says of one arm; its schema is docs/results_schema.md."""
    experiment, plan, at, _ = books
    run, arm = plan.arms[name][0], experiment.arms[name]
    answers, robustness, checkpoint = experiment.questions(name)
    network = arm.network(image_shape(dataset))
    stated = experiment.guarantee
    facts = run.facts(network, run.training.epochs, assumed=stated.assumed)
    guarantee = run.defense.guarantee(facts)
    selection = experiment.selection
    if guarantee and checkpoint == "best" and selection and selection.on == "non_members":
        why = "its best epoch is chosen on its non-members, which tells who they are"
        guarantee = guarantee._replace(epsilon=None, status="none", why=why)
    trained = [store.facts(at.run(r.id)) for r in plan.arms[name]]
    return {
        "defense": one_line(run.defense),
        "recipe": {"model": one_line(run.model), "training": fields_in_line(run.training)},
        "dials": dials(run.defense),
        "randomized": run.defense.randomized,
        "checkpoint": checkpoint,
        **_figures(books, name, 1, dataset.num_classes),
        "averaged": _figures(books, name, answers.draws, dataset.num_classes)
        if answers.draws > 1
        else None,
        "overstated": [
            attack
            for attack, chosen in robustness.attacks.items()
            if run.defense.randomized and not chosen.averages_draws
        ],
        "guarantee": guarantee._asdict() if guarantee else None,
        "remarks": list(experiment.remarks(name, image_shape(dataset))),
        "null_control": books.over.mean(null_aucs(books, name)),
        "train_time_s": _over_models(books, trained, "train_time_s", (0, float("inf"))),
    }


def null_aucs(books: Books, arm: str) -> np.ndarray:
    """Return each model's AUC on random membership, by the experiment's first attack, (M,)."""
    attack = next(iter(books.experiment.membership.attacks))
    reading = Reading(arm, 1, attack, "null")
    return np.array(
        [
            metrics.auc(tables.read_scores(books.scores, reading, m)[row >= 0], row[row >= 0] == 1)
            for m, row in enumerate(books.plan.null_member)
        ]
    )


def _figures(books: Books, arm: str, draws: int, num_classes: int) -> dict[str, Any]:
    """What one draw of the model's noise gives, or the mean over several."""
    experiment, plan, at = books.experiment, books.plan, books.at
    questions = experiment.questions(arm)
    folders = [at.answers(run.id, questions.answers_id) for run in plan.arms[arm]]
    suffix = "" if draws == 1 else "_mean"
    asked: list[Any] = [*map(store.facts, folders)]

    def evaluated(attack: str | None) -> list[Any]:
        attack_id = questions.robustness_id(attack)
        return [store.facts(at.robustness(run.id, attack_id)) for run in plan.arms[arm]]

    natural = evaluated(None)
    accuracy, train_accuracy = f"accuracy{suffix}", f"train_accuracy{suffix}"
    gaps = [
        {"gap": of_members[train_accuracy] - of_others[accuracy]}
        for of_members, of_others in zip(asked, natural, strict=True)
    ]
    return {
        "draws": draws,
        "natural_accuracy": _over_models(books, natural, accuracy),
        "train_accuracy": _over_models(books, asked, train_accuracy),
        "generalization_gap": _over_models(books, gaps, "gap", (-1, 1)),
        "robust_accuracy": {
            attack: _over_models(books, evaluated(attack), accuracy)
            for attack in questions.robustness.attacks
        },
        **robust_figures(at, plan.arms[arm], questions, books.over, draws, num_classes),
        "membership": {
            attack: _membership(books, Reading(arm, draws, attack, "member"), chosen)
            for attack, chosen in experiment.membership.attacks.items()
        },
    }


def _membership(books: Books, reading: Reading, attack: MembershipAttack) -> dict[str, Any]:
    """AUC, TPR at each FPR, and the mean ROC of one attack, over all models as targets."""
    plan, membership = books.plan, books.experiment.membership
    grid, aucs, curves = metrics.roc_grid(), [], []
    tprs: dict[float, list[float]] = {rate: [] for rate in membership.false_positive_rates}
    judgements = []
    for m, row in enumerate(plan.member):
        judged = row >= 0
        scores, member = tables.read_scores(books.scores, reading, m)[judged], row[judged] == 1
        fpr, tpr = metrics.roc(scores, member)
        aucs.append(metrics.auc(scores, member))
        curves.append(metrics.roc_on_grid(fpr, tpr, grid))
        judgements.append((scores, member))
        for rate, found in tprs.items():
            found.append(metrics.tpr_at_fpr(fpr, tpr, rate, membership.tpr_rule))
    smallest = metrics.smallest_fpr(plan.num_negatives)
    over = books.over
    bands = [over.mean(column) for column in np.array(curves).T]
    own_arm = reading.arm if attack.per_target else None
    return {
        "auc": over.mean(np.array(aucs))._asdict(),
        "tpr_at_fpr": {
            f"{rate:g}": {
                **over.mean(np.array(found))._asdict(),
                "num_negatives": plan.num_negatives,
                "at_zero_false_positives": rate < smallest,
            }
            for rate, found in tprs.items()
        },
        "roc": {
            "fpr": grid.tolist(),
            "tpr": [band.mean for band in bands],
            "low": [band.low for band in bands],
            "high": [band.high for band in bands],
        },
        "shadow_arm": getattr(attack, "shadow_arm", None) or own_arm,
        **(_decisions(books, judgements) if attack.calibrated else {}),
    }


def _decisions(books: Books, judgements: Sequence[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
    """Precision and recall where a probability at or above a threshold means "member".

    And the largest epsilon that the same decisions bear out: the thresholds are fixed beforehand,
    so it is corrected for their number.
    """
    thresholds, delta = books.experiment.membership.thresholds, books.experiment.guarantee.delta
    precision = np.full((len(thresholds), len(judgements)), np.nan)
    recall, epsilon = np.zeros_like(precision), np.zeros(len(judgements))
    largest = []
    for m, (scores, member) in enumerate(judgements):
        num_in, num_out = int(member.sum()), int((~member).sum())
        largest.append(largest_certifiable(num_in, num_out, delta))
        for t, threshold in enumerate(thresholds):
            true = int((member & (scores >= threshold)).sum())
            false = int((~member & (scores >= threshold)).sum())
            recall[t, m] = true / num_in
            if true + false:
                precision[t, m] = true / (true + false)
            bound = epsilon_lower_bound(
                true, num_in, false, num_out, delta, num_thresholds=len(thresholds)
            )
            epsilon[m] = max(epsilon[m], bound)
    over, reach = books.over, (0.0, float(max(largest)))
    return {
        "thresholds": {
            f"{threshold:g}": {
                "precision": _dict(over.mean_where_defined(precision[t])),
                "recall": over.mean(recall[t])._asdict(),
            }
            for t, threshold in enumerate(thresholds)
        },
        "epsilon_lower_bound": {
            **over.mean(epsilon, reach)._asdict(),
            "delta": delta,
            "largest": reach[1],
        },
    }


def _dict(interval: Interval | None) -> dict[str, Any] | None:
    return interval and interval._asdict()


def _over_models(
    books: Books, facts: Sequence[Any], key: str, bounds: Bounds = (0, 1)
) -> dict[str, Any]:
    values = np.array([fact[key] for fact in facts])
    return books.over.mean(values, bounds)._asdict()
