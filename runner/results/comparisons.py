"""What one arm does better or worse than another, model by model on the same examples.

Letters: M models, R resamples of the examples, F false positive rates.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from defenses import Wrapper
from runner.audit.judged import read_judged
from runner.experiment.experiment import Experiment
from runner.experiment.judging import Audited
from runner.plan.plan import Plan
from runner.statistics.averages import Averaging, averaging
from runner.statistics.intervals import Interval
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.scores import Reading
from runner.storage.store import Store

BOTH_WAYS = (-1.0, 1.0)  # bounds of the difference of two shares


class Pair(NamedTuple):
    """Two arms; differences are the first less the second."""

    arm: str
    against: str


def pairs_of_arms(experiment: Experiment) -> list[Pair]:
    """Return which arms are compared: those that `comparisons` names, else the obvious ones.

    A defense that wraps another is compared with the arm of that other one, of the same model,
    training and checkpoint; any other arm, and one whose base has no arm, with the first arm. No
    two arms are compared twice.
    """
    if experiment.comparisons is not None:
        return [Pair(*pair) for pair in experiment.comparisons]
    first = next(iter(experiment.arms))
    found: list[Pair] = []
    for name in experiment.arms:
        pair = Pair(name, _base_of(experiment, name) or first)
        if name != pair.against and Pair(pair.against, name) not in found:
            found.append(pair)
    return found


def compare(experiment: Experiment, plan: Plan, at: Store, judged: Folder) -> list[dict[str, Any]]:
    """Return `comparisons` of results.json: each pair by each number of draws that both have.

    Model m of both arms has the same members, seed and partner, and every membership figure is
    resampled by the same examples. So the difference is taken model by model and resample by
    resample, and what the arms have in common cancels. Accuracies are averaged as
    `averages.interval` says, over models on the same images.

    Args:
        judged: the folder that `judging.stage.judge` returned.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    over, found = averaging(experiment, plan.partner), []
    for pair in pairs_of_arms(experiment):
        draws = [_draws(experiment, name) for name in pair]
        for number in (number for number in draws[0] if number in draws[1]):
            measures = dict(_accuracies(experiment, plan, at, pair, number, over))
            measures |= leakage_differences(experiment, pair, number, judged, over)
            figures = {name: interval._asdict() for name, interval in measures.items()}
            found.append({**pair._asdict(), "draws": number, "measures": figures})
    return found


def _base_of(experiment: Experiment, name: str) -> str | None:
    """The arm that differs from a wrapper's arm in the wrapper alone."""
    arm = experiment.arms[name]
    if not isinstance(arm.defense, Wrapper):
        return None
    without = arm.model_copy(update={"defense": arm.defense.base})
    return next((other for other, one in experiment.arms.items() if one == without), None)


def _draws(experiment: Experiment, name: str) -> list[int]:
    return sorted({1, experiment.questions(name).answers.draws})


def _accuracies(
    experiment: Experiment, plan: Plan, at: Store, pair: Pair, draws: int, over: Averaging
) -> Iterator[tuple[str, Interval]]:
    """The differences of natural accuracy and of accuracy under each attack that both are under."""
    key = "accuracy" if draws == 1 else "accuracy_mean"

    def accuracies(name: str, attack: str | None) -> np.ndarray:
        attack_id = experiment.questions(name).robustness_id(attack)
        facts: list[Any] = [
            store.facts(at.robustness(run.id, attack_id)) for run in plan.arms[name]
        ]
        return np.array([fact[key] for fact in facts])

    for attack in (None, *experiment.robustness.attacks):
        difference = accuracies(pair.arm, attack) - accuracies(pair.against, attack)
        measure = f"robust_accuracy/{attack}" if attack else "natural_accuracy"
        yield measure, over.mean(difference, BOTH_WAYS)


def leakage_differences(
    experiment: Audited, pair: Pair, draws: int, judged: Folder, over: Averaging
) -> dict[str, Interval]:
    """Return the differences of each membership attack's AUC and TPRs, by figure."""
    found, rates = {}, experiment.membership.false_positive_rates
    for attack in experiment.membership.attacks:
        of_arm, of_other = (
            read_judged(judged, Reading(name, draws, attack, "member")) for name in pair
        )
        point = np.column_stack([of_arm.auc - of_other.auc, of_arm.tpr - of_other.tpr])
        resampled = of_arm.resampled - of_other.resampled
        for i, figure in enumerate(["auc", *(f"tpr_at_fpr/{rate:g}" for rate in rates)]):
            interval = over.leakage(point[:, i], resampled[:, :, i], BOTH_WAYS)
            found[f"membership/{attack}/{figure}"] = interval
    return found
