"""One arm's figures, each a mean over its models with an interval."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from runner.audit.judged import read_judged
from runner.data import Dataset
from runner.experiment.describe import fields_in_line, one_line
from runner.experiment.experiment import Experiment
from runner.experiment.fields import dials
from runner.models import image_shape
from runner.plan.plan import Plan
from runner.plan.work import stated
from runner.results._robustness import robust_figures
from runner.results.membership import membership_figures
from runner.statistics.averages import Averaging, averaging
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.scores import Reading
from runner.storage.store import Store

Bounds = tuple[float, float]


class Books(NamedTuple):
    """Where an arm's figures are read from."""

    experiment: Experiment
    plan: Plan
    at: Store
    judged: Folder

    @property
    def over(self) -> Averaging:
        """How figures are averaged over models."""
        return averaging(self.experiment, self.plan.partner)


def arm_figures(books: Books, name: str, dataset: Dataset) -> dict[str, Any]:
    """Return all that results.json says of one arm; its schema is docs/results_schema.md."""
    experiment, plan, at, _ = books
    run = plan.arms[name][0]
    answers, robustness, checkpoint = experiment.questions(name)
    guarantee = stated(experiment, dataset, plan, name)
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
        "null_controls": {
            attack: books.over.mean(aucs) for attack, aucs in null_aucs(books, name).items()
        },
        "train_time_s": _over_models(books, trained, "train_time_s", (0, float("inf"))),
    }


def null_aucs(books: Books, arm: str) -> dict[str, np.ndarray]:
    """Return each model's AUC on random membership, by attack, (M,) each."""
    return {
        attack: read_judged(books.judged, Reading(arm, 1, attack, "null")).auc
        for attack in books.experiment.membership.attacks
    }


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
            attack: membership_figures(
                read_judged(books.judged, Reading(arm, draws, attack, "member")),
                chosen,
                arm,
                experiment,
                books.over,
            )
            for attack, chosen in experiment.membership.attacks.items()
        },
    }


def _over_models(
    books: Books, facts: Sequence[Any], key: str, bounds: Bounds = (0, 1)
) -> dict[str, Any]:
    values = np.array([fact[key] for fact in facts])
    return books.over.mean(values, bounds)._asdict()
