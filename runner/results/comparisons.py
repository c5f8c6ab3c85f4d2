"""What one arm does better or worse than another, model by model on the same examples.

Letters: M models, R resamples of the examples, F false positive rates.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from defenses import Wrapper
from runner.experiment.experiment import Experiment
from runner.plan.subject import Subject
from runner.plan.work import Work
from runner.results.several import BOTH_WAYS, Leakage, leakages, over_apart
from runner.results.verdict.evidence import Difference
from runner.statistics.intervals import Interval
from runner.storage import store
from runner.storage.cloud import Folder


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


def compare(work: Work, judged: Folder) -> list[dict[str, Any]]:
    """Return `comparisons` of results.json: each pair by each number of draws that both have.

    Args:
        judged: the folder that `runner.audit.judge.judge` returned.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    found = []
    for pair in pairs_of_arms(work.experiment):
        draws = [_draws(work.experiment, name) for name in pair]
        for number in (number for number in draws[0] if number in draws[1]):
            accuracies = dict(_accuracies(work, pair, number))
            found.append(comparison(work, judged, pair, number, accuracies))
    return found


def comparison(
    work: Subject, judged: Folder, pair: Pair, draws: int, accuracies: Mapping[str, Interval]
) -> dict[str, Any]:
    """Return one comparison: differences of accuracies, then those of what attacks find.

    Model m of both arms has the same members, seed and partner, and every membership figure is
    resampled by the same examples. So the difference is taken model by model and resample by
    resample, and what the arms have in common cancels. Accuracies are averaged as
    `averages.interval` says, over models on the same images.

    Args:
        judged: the folder that `runner.audit.judge.judge` returned.
        accuracies: their differences, by measure.
    """
    measures = {**accuracies, **_leakages(work, judged, pair, draws)}
    figures = {name: interval._asdict() for name, interval in measures.items()}
    return {**pair._asdict(), "draws": draws, "measures": figures}


def accuracies_of(work: Work, name: str, draws: int) -> dict[str, np.ndarray]:
    """Return each model's accuracies (M,), natural and under each attack, by the measure's name.

    Args:
        draws: how many draws of a randomized model's noise its answers are the mean of.
    """
    key = "accuracy" if draws == 1 else "accuracy_mean"
    found = {}
    for attack in (None, *work.experiment.robustness.attacks):
        attack_id = work.experiment.questions(name).robustness_id(attack)
        facts: list[Any] = [
            store.facts(work.store.robustness(run.id, attack_id)) for run in work.plan.arms[name]
        ]
        measure = f"robust_accuracy/{attack}" if attack else "natural_accuracy"
        found[measure] = np.array([fact[key] for fact in facts])
    return found


def differences(
    work: Subject,
    judged: Folder,
    draws: Mapping[str, int],
    accuracies: Mapping[str, Mapping[str, np.ndarray]],
) -> Difference:
    """Return what tells how much more one arm has of a measure than another, by any error.

    Args:
        judged: the folder that `runner.audit.judge.judge` returned.
        draws: how many of a randomized arm's noise it is read by, by arm.
        accuracies: (M,) of each measure, by arm.
    """

    @functools.cache
    def leaking(arm: str) -> dict[str, Leakage]:
        return leakages(work, judged, arm, draws[arm])

    def difference(arm: str, against: str, measure: str, error: float) -> Interval:
        kind, _, rest = measure.partition("/")
        if kind != "membership":
            apart = accuracies[arm][measure] - accuracies[against][measure]
            return work.over._replace(error=error).mean(apart, BOTH_WAYS)
        attack, _, figure = rest.partition("/")
        of_arm, of_other = (leaking(name)[attack][figure] for name in (arm, against))
        return over_apart(work, of_arm, of_other, error)

    return difference


def _base_of(experiment: Experiment, name: str) -> str | None:
    """The arm that differs from a wrapper's arm in the wrapper alone."""
    arm = experiment.arms[name]
    if not isinstance(arm.defense, Wrapper):
        return None
    without = arm.model_copy(update={"defense": arm.defense.base})
    return next((other for other, one in experiment.arms.items() if one == without), None)


def _draws(experiment: Experiment, name: str) -> list[int]:
    return sorted({1, experiment.questions(name).answers.draws})


def _accuracies(work: Work, pair: Pair, draws: int) -> Iterator[tuple[str, Interval]]:
    """The differences of natural accuracy and of accuracy under each attack that both are under."""
    of_arm, of_other = (accuracies_of(work, name, draws) for name in pair)
    for measure, accuracies in of_arm.items():
        yield measure, work.over.mean(accuracies - of_other[measure], BOTH_WAYS)


def _leakages(work: Subject, judged: Folder, pair: Pair, draws: int) -> dict[str, Interval]:
    """The differences of AUC and TPRs, by figure: of the strongest attack, then of each."""
    of_arm, of_other = (leakages(work, judged, name, draws) for name in pair)
    found = {}
    for attack, figures in of_arm.items():
        for figure, arrays in figures.items():
            interval = over_apart(work, arrays, of_other[attack][figure])
            found[f"membership/{attack}/{figure}"] = interval
    return found
