"""What the attacks on one arm say together: the worst case over them, and whether they are sane."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from attacks import sanity
from attacks.evasion import EvasionAttack
from attacks.evasion.pgd import PGD
from runner.experiment.questions import Questions
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.results._worst_case import shared_balls, worst_cases
from runner.storage.answers import read_robustness
from runner.storage.store import Corrupt, Store

TOLERANCE = 0.005  # a difference the wrong way that nobody would call one
NUM_ERRORS = 2  # standard errors that a difference may be from chance alone

Correct = Mapping[str | None, np.ndarray]  # of one model, (K,) bool by attack; None: natural


def robust_figures(work: Work, arm: str, questions: Questions, draws: int) -> dict[str, Any]:
    """Return `worst_case` and `sanity` of one arm; docs/results_schema.md has their keys.

    Args:
        questions: that its models were asked.
        draws: 1, or the number of draws of the model's noise that answers are averaged over.

    Raises:
        Corrupt: an outcome of an attack cannot be read.
    """
    attacks, runs = questions.robustness.attacks, work.plan.arms[arm]
    shared = [name for names in shared_balls(attacks).values() for name in names]
    correct = [_read(work.store, run, questions, draws, shared) for run in runs]
    num_classes = work.dataset.num_classes
    return {
        "worst_case": worst_cases(correct, attacks, work.over, num_classes),
        "sanity": _sanity(work.store, runs, questions, draws, num_classes),
    }


def sanity_block(
    models: Sequence[Correct],
    attack: PGD,
    num_classes: int,
    same_images: bool = True,
    beside: Iterable[str] = (),
) -> dict[str, Any]:
    """Return four checks of an attack that every sound robust accuracy passes.

    eps_monotone: a larger ball leaves no more images standing. chance_at_large_eps: where the ball
    holds every image, no more than chance are. more_steps_not_weaker: more steps leave no more.
    black_box_not_stronger: what sees no gradient leaves no fewer than what follows it.

    A check is a series of points at which accuracy must not rise. It fails where a rise is above
    half a point and above two standard errors of the difference, which is taken image by image
    over all models together; it is undecided where a rise is above the first alone, since more
    images would tell. Chance passes up to two standard errors above 1 / C, and else fails.

    Source: Carlini et al. (2019), https://arxiv.org/abs/1902.06705, section 5.

    Args:
        models: of each model, which images it answers rightly: as they are (None), and under each
            of `sanity_attacks(attack)` by name; the images are the first so many of one list.
        same_images: of all models: they are averaged image by image, for the same image in two
            models is not two images.
        beside: the names of other attacks on them, of which it is said what they leave and how
            much more the varied attack does, image by image.
    """
    name = {one: name for name, one in sanity.sanity_attacks(attack).items()}
    num_images = min(len(right) for model in models for right in model.values())

    def pooled(one: EvasionAttack | str | None) -> np.ndarray:
        named = name[one] if isinstance(one, EvasionAttack) else one
        right = [model[named][:num_images] for model in models]
        return np.mean(right, axis=0) if same_images else np.concatenate(right)

    radii = {0.0: pooled(None)} | {a.eps: pooled(a) for a in sanity.of_each_eps(attack) if a.eps}
    steps = {a.num_steps: pooled(a) for a in sanity.of_each_num_steps(attack)}
    box = {"square": pooled(sanity.black_box(attack)), "pgd": pooled(attack)}
    return {
        "num_models": len(models),
        "num_images": num_images * len(models),
        "eps": attack.eps,
        "eps_monotone": _falling(radii),
        "chance_at_large_eps": _chance(1.0, radii[1.0], num_classes),
        "more_steps_not_weaker": _falling(steps),
        "black_box_not_stronger": _falling(box),
        "beside": [_beside(other, pooled(other), box["pgd"]) for other in beside],
    }


def _sanity(
    at: Store, runs: Sequence[Run], questions: Questions, draws: int, num_classes: int
) -> dict[str, Any] | None:
    """The block of the models that were checked; None where none was."""
    varied = questions.robustness.sanity_attacks
    first = questions.robustness.varied
    checked = [run for run in runs if varied.keys() <= questions.attacks_of(run.number).keys()]
    if not varied or not checked or first is None:
        return None
    beside = questions.robustness.sanity.attacks
    few = [_read(at, run, questions, draws, (None, *varied, *beside)) for run in checked]
    same_images = questions.robustness.on == "test"
    return sanity_block(few, first, num_classes, same_images, beside)


def _falling(correct: Mapping[Any, np.ndarray]) -> dict[str, Any]:
    """Whether accuracy rises nowhere along a series; each (K,) bool, of the same images."""
    series = list(correct.values())
    rises = [_mean_error(later.astype(np.float64) - earlier) for earlier, later in pairwise(series)]
    clear = [rise for rise, _ in rises if rise > TOLERANCE]
    certain = [rise for rise, error in rises if rise > max(TOLERANCE, NUM_ERRORS * error)]
    return {
        "verdict": "fail" if certain else "undecided" if clear else "pass",
        "points": [_point(at, right) for at, right in correct.items()],
        "rises": [{"difference": rise, "error": error} for rise, error in rises],
    }


def _chance(eps: float, right: np.ndarray, num_classes: int) -> dict[str, Any]:
    point, chance = _point(eps, right), 1 / num_classes
    passes = point["accuracy"] <= chance + NUM_ERRORS * point["error"]
    return {"verdict": "pass" if passes else "fail", "points": [point], "chance": chance}


def _beside(name: str, right: np.ndarray, varied: np.ndarray) -> dict[str, Any]:
    difference, error = _mean_error(varied.astype(np.float64) - right)
    return {**_point(name, right), "pgd_less": {"difference": difference, "error": error}}


def _point(at: float | str, right: np.ndarray) -> dict[str, Any]:
    accuracy, error = _mean_error(right.astype(np.float64))
    return {"at": at, "accuracy": accuracy, "error": error}


def _mean_error(values: np.ndarray) -> tuple[float, float]:
    """The mean of (K,) values and its standard error."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return float(values.mean()), float(error)


def _read(
    at: Store, run: Run, questions: Questions, draws: int, names: Iterable[str | None]
) -> dict[str | None, np.ndarray]:
    """Which attacked images one model answers rightly, (K,) bool by attack."""
    found = {}
    for name in names:
        path = str(at.robustness_file(run.id, questions.robustness_id(name)))
        outcome = read_robustness(path)
        answers = outcome.predictions if draws == 1 else outcome.mean
        if answers is None:
            raise Corrupt(path, f"the answers by the mean of {draws} draws are missing")
        found[name] = answers == outcome.labels
    return found
