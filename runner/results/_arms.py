"""What our own models of one arm show, each figure a mean over them with an interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from runner.experiment.describe import fields_in_line, one_line
from runner.experiment.fields import dials
from runner.models import image_shape
from runner.plan.work import Work
from runner.results._robustness import robust_figures
from runner.results.ceilings import ceiling_figures
from runner.results.skeleton import ArmBlocks
from runner.storage import store

Bounds = tuple[float, float]


def arm_blocks(work: Work, name: str) -> ArmBlocks:
    """Return what results.json says of one arm beside what its scores tell.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    run, guarantee = work.plan.arms[name][0], work.guarantee(name)
    questions = work.experiment.questions(name)
    answers, robustness = questions.answers, questions.robustness
    trained = [store.facts(work.store.run(r.id)) for r in work.plan.arms[name]]
    return ArmBlocks(
        defense=one_line(run.defense),
        recipe={"model": one_line(run.model), "training": fields_in_line(run.training)},
        checkpoint=questions.checkpoint,
        guarantee=guarantee and guarantee._asdict(),
        ceiling=ceiling_figures(work, name),
        once=_accuracies(work, name, 1),
        averaged=_accuracies(work, name, answers.draws) if answers.draws > 1 else None,
        draws=answers.draws,
        dials=dials(run.defense),
        randomized=run.defense.randomized,
        overstated=[
            attack
            for attack, chosen in robustness.attacks.items()
            if run.defense.randomized and not chosen.averages_draws
        ],
        remarks=work.experiment.remarks(name, image_shape(work.dataset)),
        train_time_s=_over_models(work, trained, "train_time_s", (0, float("inf"))),
    )


def training_warnings(work: Work) -> list[str]:
    """Return a sentence on each arm whose defense saw something go wrong in training.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    told = []
    for name, runs in work.plan.arms.items():
        found = [store.facts(work.store.run(run.id)) or {} for run in runs]
        wrong = [facts["warning"] for facts in found if "warning" in facts]
        if wrong:
            told.append(f"{name}: {len(wrong)} of {len(runs)} models, such as: {wrong[0]}")
    return told


def _accuracies(work: Work, arm: str, draws: int) -> dict[str, Any]:
    """What one draw of the models' noise gives, or the mean over several."""
    questions, runs, at = work.experiment.questions(arm), work.plan.arms[arm], work.store
    suffix = "" if draws == 1 else "_mean"
    asked: list[Any] = [store.facts(at.answers(run.id, questions.answers_id)) for run in runs]

    def evaluated(attack: str | None) -> list[Any]:
        attack_id = questions.robustness_id(attack)
        return [store.facts(at.robustness(run.id, attack_id)) for run in runs]

    natural = evaluated(None)
    accuracy, train_accuracy = f"accuracy{suffix}", f"train_accuracy{suffix}"
    gaps = [
        {"gap": of_members[train_accuracy] - of_others[accuracy]}
        for of_members, of_others in zip(asked, natural, strict=True)
    ]
    return {
        "natural_accuracy": _over_models(work, natural, accuracy),
        "train_accuracy": _over_models(work, asked, train_accuracy),
        "generalization_gap": _over_models(work, gaps, "gap", (-1, 1)),
        "robust_accuracy": {
            attack: _over_models(work, evaluated(attack), accuracy)
            for attack in questions.robustness.attacks
        },
        **robust_figures(work, arm, questions, draws),
    }


def _over_models(
    work: Work, facts: Sequence[Any], key: str, bounds: Bounds = (0, 1)
) -> dict[str, Any]:
    values = np.array([fact[key] for fact in facts])
    return work.over.mean(values, bounds)._asdict()
