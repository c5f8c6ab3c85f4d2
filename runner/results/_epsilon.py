"""Lower bounds on epsilon that canaries certify, beside the epsilon that each arm states."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from attacks.epsilon import (
    gaussian_bound,
    guess,
    largest_certifiable,
    of_one,
    one_run_bound,
    split_sample_bound,
    trade_off_p_value,
)
from attacks.epsilon.trade_off import least_fpr_of
from attacks.gaussian_noise import epsilon_of, mu_of
from runner.models import image_shape
from runner.plan.canaries import num_ordinary
from runner.plan.work import Work
from runner.storage.answers import Source, column_of, read_block
from runner.storage.ids import seed_of
from runner.storage.parquet import BLOCK
from runner.storage.scores import Reading, read_scores

Bound = Callable[[float], float]  # delta -> epsilon of all copies of a canary together


class Tried(NamedTuple):
    """What the bounds of one arm have in common."""

    num_canaries: int
    copies: int
    num_guesses: tuple[int, ...]  # of in, and as many of out
    num_bounds: int  # bounds of one model, by attacks, draws and numbers of guesses
    delta: float
    confidence: float  # of all bounds of one model together, or of all models


def epsilon_figures(work: Work) -> dict[str, Any] | None:
    """Return `epsilon` of results.json, whose keys docs/results_schema.md has.

    None without canaries. Each model is audited by itself, as one run, by every attack. All bounds
    of one model hold together with the probability that is asked for: its attacks, draws and
    numbers of guesses share the error allowed. `largest` is over the models of an arm, which share
    it once more; and with the bound over models, if there is one, each side has half of it, so that
    `lower_bound`, the largest of all, holds with that probability too.

    What stands under `gaussian` is of another statement and has that probability for itself: it
    bounds the epsilon of a training whose trade-off is Gaussian, and no other's. There the first
    test holds too, so `lower_bound` is the better of two tests, each at half of the error. An alarm
    never comes from there. The same theorem tests what a defense proves of its own trade-off, of
    any form: `own`, which has an error of its own too.

    Raises:
        Corrupt: something that was finished cannot be read.
    """
    experiment = work.experiment
    canaries, asked = experiment.design.canaries, experiment.epsilon
    if canaries is None:
        return None
    guesses = tuple(max(1, int(share * canaries.num / 2)) for share in asked.guesses)
    arms = {}
    for name in work.plan.arms:
        draws = sorted({1, experiment.questions(name).answers.draws})
        attacks = experiment.membership.attacks
        readings = [Reading(name, d, attack, "member") for d in draws for attack in attacks]
        tried = Tried(
            canaries.num,
            canaries.copies,
            guesses,
            len(guesses) * len(readings),
            experiment.guarantee.delta,
            asked.confidence,
        )
        halved = tried._replace(confidence=(1 + tried.confidence) / 2)
        over_models = _over_models(work, name, halved)
        shared = halved if over_models else tried
        counts = [_counts(work, reading, tried) for reading in readings]
        one_run = [
            {"draws": r.draws, "attack": r.attack, **_one_run(correct, tried, shared)}
            for r, correct in zip(readings, counts, strict=True)
        ]
        guarantee = work.guarantee(name)
        lower = max(row["largest"] for row in one_run)
        lower = max(lower, over_models["bound"] if over_models else 0.0)
        arms[name] = {
            "stated": guarantee and guarantee._asdict(),
            "most": certified(tuple(2 * num for num in guesses), tried),
            "gaussian": _gaussian(counts, tried),
            "own": _own(work, name, counts, tried),
            "one_run": one_run,
            "over_models": over_models,
            "lower_bound": lower,
            "alarm": guarantee and guarantee.alarm(lower),
        }
    return {
        "delta": experiment.guarantee.delta,
        "confidence": asked.confidence,
        "guesses": [2 * num for num in guesses],
        "arms": arms,
    }


def alarms(figures: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence for each arm whose canaries refute what its defense has proved."""
    arms = figures["arms"] if figures else {}
    return [
        f"{name}: {told['alarm']}"
        for name, arm in arms.items()
        for told in (arm, arm["own"])
        if told and told["alarm"]
    ]


def _counts(work: Work, reading: Reading, tried: Tried) -> list[tuple[int, ...]]:
    """How many guesses of every model are right by one attack, for each number of guesses."""
    correct = []
    for m, row in enumerate(work.plan.member):
        judged = np.flatnonzero(row >= 0)
        found = read_scores(work.scores, reading, m)[judged]
        correct.append(num_correct(found, row[judged] == 1, tried.num_guesses))
    return correct


def _one_run(correct: list[tuple[int, ...]], tried: Tried, shared: Tried) -> dict[str, Any]:
    """The bound of every model by one attack, and the largest of all that holds for all at once.

    Args:
        shared: as `tried`, with the confidence of all models together.
    """
    return {
        **_over(correct, certified, tried, shared),
        "gaussian": _over(correct, certified_if_gaussian, tried, tried),
    }


def _over(
    correct: list[tuple[int, ...]],
    bound: Callable[[tuple[int, ...], Tried], float],
    tried: Tried,
    shared: Tried,
) -> dict[str, Any]:
    """The bounds of all models, their median, and the largest, which shares the error."""
    by_model = [bound(of_model, tried) for of_model in correct]
    together = shared._replace(num_bounds=shared.num_bounds * len(correct))
    largest = bound(_most_of(correct), together)
    return {"median": float(np.median(by_model)), "largest": largest, "by_model": by_model}


def _gaussian(counts: list[list[tuple[int, ...]]], tried: Tried) -> dict[str, Any]:
    """What all attacks together show of an arm whose trade-off is Gaussian, by both tests.

    Args:
        counts: of each reading, the correct guesses of every model.
    """
    both = tried._replace(num_bounds=2 * tried.num_bounds * len(counts[0]))
    correct = _most_of([_most_of(of_models) for of_models in counts])
    lower = max(certified_if_gaussian(correct, both), certified(correct, both))
    return {
        "most": certified_if_gaussian(tuple(2 * num for num in tried.num_guesses), tried),
        "lower_bound": lower,
        "mu": mu_of(lower, tried.delta) if lower else 0.0,
    }


def _own(
    work: Work, arm: str, counts: list[list[tuple[int, ...]]], tried: Tried
) -> dict[str, Any] | None:
    """How probable such guesses are at the most under what the arm's defense proves; None: nothing.

    By the whole trade-off that is proved of each model, and not by one epsilon and delta of it. Of
    all models, attacks and numbers of guesses it is the smallest, times their number (Bonferroni).
    """
    experiment = work.experiment
    network = experiment.arms[arm].network(image_shape(work.dataset))
    found = []
    for m, run in enumerate(work.plan.arms[arm]):
        facts = run.facts(network, run.training.epochs, assumed=experiment.guarantee.assumed)
        ceiling = run.defense.trade_off(facts, "added", tried.copies)
        if ceiling is None:
            return None
        least = least_fpr_of(ceiling.fpr, ceiling.tpr)
        right = zip(tried.num_guesses, _most_of([each[m] for each in counts]), strict=True)
        found += [trade_off_p_value(tried.num_canaries, 2 * n, v, least) for n, v in right]
    p_value = min(1.0, min(found) * tried.num_bounds * len(work.plan.arms[arm]))
    alarm = (
        f"guesses that come out so well have a chance of {p_value:.2g} at the most under the "
        "trade-off that is said to be proved: the training is not the one that the proof is of"
    )
    return {"p_value": p_value, "alarm": alarm if p_value <= 1 - tried.confidence else None}


def _most_of(correct: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(np.max(correct, axis=0).tolist())


def num_correct(
    scores: np.ndarray, member: np.ndarray, num_guesses: Sequence[int]
) -> tuple[int, ...]:
    """Return how many guesses are right, for each number of guesses of in, and as many of out.

    Args:
        scores: (num,) float, of one model's canaries, higher means more likely in.
        member: (num,) bool, the model's coins.
    """
    said = [guess(scores, num, num) for num in num_guesses]
    return tuple(int((s[member] == 1).sum() + (s[~member] == -1).sum()) for s in said)


@functools.lru_cache(maxsize=4096)
def certified(correct: tuple[int, ...], tried: Tried) -> float:
    """Return the best bound, for one example, of so many correct guesses of each number of them."""

    def bound(num: int, right: int) -> Bound:
        counts = tried.num_canaries, 2 * num, right
        return lambda delta: one_run_bound(*counts, delta, tried.confidence, tried.num_bounds)

    return _best([bound(*pair) for pair in zip(tried.num_guesses, correct, strict=True)], tried)


@functools.lru_cache(maxsize=4096)
def certified_if_gaussian(correct: tuple[int, ...], tried: Tried) -> float:
    """Return the best bound, for one example, of a training whose trade-off is Gaussian.

    Of k copies together the trade-off is that of k times the mu (Dong et al. 2022,
    https://arxiv.org/abs/1905.02383, Theorem 2.14).
    """
    options = tried.confidence, tried.num_bounds
    of_copies = max(
        gaussian_bound(tried.num_canaries, 2 * num, right, *options)
        for num, right in zip(tried.num_guesses, correct, strict=True)
    )
    return epsilon_of(of_copies / tried.copies, tried.delta, rounded=-1)


def _over_models(work: Work, arm: str, tried: Tried) -> dict[str, Any] | None:
    """The bound of the first canary, for which every model is a trial; None of too few models.

    By the log-odds of the first view, since another attack's score of one model may depend on the
    others. Half of the models choose the threshold and the others count, as in Jagielski et al.
    (2020), who choose and count by the same.
    """
    experiment, member = work.experiment, work.plan.member
    first = num_ordinary(experiment.design.canaries, member.shape[1])
    inside = member[:, first] == 1
    counted = [n - n // 2 for n in (int(inside.sum()), int((~inside).sum()))]
    if min(counted) < 2:
        return None
    num_in, num_out = counted
    most = _best([lambda d: largest_certifiable(num_in, num_out, d, tried.confidence)], tried)
    if most == 0:
        return None
    asked = experiment.questions(arm)
    column = column_of("log_odds", Source(arm, asked.answers.draws))
    # What is read of each model is in the block of its first canary.
    block, place = divmod(first, BLOCK)
    runs = work.plan.arms[arm]
    paths = [str(work.store.answers_file(run.id, asked.answers_id)) for run in runs]
    found = [read_block(path, block, column).answers[place, 0] for path in paths]
    told, seed = np.array(found, np.float64), seed_of(experiment.seed, "over models")
    trials = told[inside], told[~inside]
    bound = _best([lambda delta: split_sample_bound(*trials, delta, tried.confidence, seed)], tried)
    return {"bound": bound, "most": most, "num_models": len(told)}


def _best(bounds: Sequence[Bound], tried: Tried) -> float:
    """The best bound for one example, of those for its copies together."""
    copies, delta = tried.copies, tried.delta
    if copies == 1:
        return max(bound(delta) for bound in bounds)
    if copies * delta >= 1:
        return 0.0
    best, at_most = 0.0, [bound(copies * delta) / copies for bound in bounds]
    for place in np.argsort(at_most)[::-1]:
        if at_most[place] > best:  # else it cannot be better, and `of_one` asks many times
            best = max(best, of_one(bounds[place], delta, copies))
    return best
