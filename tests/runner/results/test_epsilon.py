"""Bounds of made-up scores; those of trained models are in test_canaries."""

import math
from pathlib import Path

import numpy as np
import pytest

from attacks.epsilon import (
    gaussian_bound,
    largest_certifiable,
    one_run_bound,
)
from attacks.gaussian_noise import epsilon_of, mu_of
from runner.plan.work import Work
from runner.results._epsilon import (
    Tried,
    alarms,
    certified,
    certified_if_gaussian,
    epsilon_figures,
    num_correct,
)
from tests.attacks.oracles import largest_of_one_run
from tests.made.canaries import NUM
from tests.made.epsilon import FIRST, figures, made


def test_a_model_that_gives_all_canaries_away_shows_the_most_that_so_many_guesses_can(
    tmp_path: Path,
):
    """All r guesses are right: of randomized response that has probability e^eps / (1 + e^eps)."""
    work = made(tmp_path, changes={"guarantee": {"delta": 1e-12}})
    found = figures(work, work.plan.member.astype(float))
    assert found["guesses"] == [20]
    arm = found["arms"]["erm"]
    (row,) = arm["one_run"]
    right = 0.05 ** (1 / 20)
    assert row["by_model"] == pytest.approx([math.log(right / (1 - right))] * 3, rel=1e-6)
    assert row["median"] == arm["most"] == row["by_model"][0]
    right = (0.05 / 3) ** (1 / 20)  # three models share the error
    assert row["largest"] == pytest.approx(math.log(right / (1 - right)), rel=1e-6)
    assert arm["lower_bound"] == row["largest"]
    assert (arm["stated"], arm["alarm"], arm["over_models"]) == (None, None, None)


def test_attacks_and_numbers_of_guesses_share_the_error(tmp_path: Path):
    attacks = {"loss": {"name": "threshold"}, "other": {"name": "threshold"}}
    changes = {"epsilon": {"guesses": [0.25, 0.5]}, "membership": {"attacks": attacks}}
    work = made(tmp_path, changes=changes)
    arm = figures(work, work.plan.member.astype(float))["arms"]["erm"]
    assert [row["attack"] for row in arm["one_run"]] == ["loss", "other"]
    best = max(largest_of_one_run(NUM, r, 1e-5, num_tried=4) for r in (10, 20))
    for row in arm["one_run"]:
        assert row["by_model"] == [best] * 3


def test_scores_that_know_nothing_or_the_contrary_show_nothing(tmp_path: Path):
    work = made(tmp_path)
    arm = figures(work, -work.plan.member.astype(float))["arms"]["erm"]
    assert arm["one_run"][0]["by_model"] == [0, 0, 0]
    assert arm["one_run"][0]["gaussian"]["by_model"] == [0, 0, 0]
    assert (arm["gaussian"]["lower_bound"], arm["gaussian"]["mu"]) == (0, 0)


def test_the_second_test_stands_beside_the_first_and_the_better_of_both_shares_the_error(
    tmp_path: Path,
):
    """All guesses are right: of 2 attacks and 2 numbers of guesses, in 3 models."""
    attacks = {"loss": {"name": "threshold"}, "other": {"name": "threshold"}}
    changes = {"epsilon": {"guesses": [0.25, 0.5]}, "membership": {"attacks": attacks}}
    work = made(tmp_path, changes=changes)
    arm = figures(work, work.plan.member.astype(float))["arms"]["erm"]

    def best(num_tried: int) -> float:
        mus = [gaussian_bound(NUM, r, r, num_tried=num_tried) for r in (10, 20)]
        return epsilon_of(max(mus), 1e-5)

    for row in arm["one_run"]:
        assert row["gaussian"]["by_model"] == pytest.approx([best(4)] * 3)
        assert row["gaussian"]["median"] == pytest.approx(best(4))
        assert row["gaussian"]["largest"] == pytest.approx(best(4 * 3))
    assert arm["gaussian"]["most"] == pytest.approx(best(4))
    assert arm["gaussian"]["lower_bound"] == pytest.approx(best(4 * 3 * 2))
    assert arm["gaussian"]["mu"] == pytest.approx(mu_of(best(4 * 3 * 2), 1e-5))
    assert arm["gaussian"]["lower_bound"] > arm["lower_bound"]


def test_where_the_first_test_shows_more_it_is_the_better():
    """14 of 20 guesses of 20: the second shows nothing there."""
    tried = Tried(20, 1, (9,), 1, 1e-5, 0.95)
    assert certified_if_gaussian((13,), tried) == 0 < certified((13,), tried)


def test_copies_together_have_so_many_times_the_mu_of_one(tmp_path: Path):
    work = made(tmp_path, copies=3)
    row = figures(work, work.plan.member.astype(float))["arms"]["erm"]["one_run"][0]
    expected = epsilon_of(gaussian_bound(NUM, 20, 20) / 3, 1e-5)
    assert row["gaussian"]["by_model"] == pytest.approx([expected] * 3)


def test_examples_that_are_no_canaries_do_not_count(tmp_path: Path):
    one, other = made(tmp_path / "one"), made(tmp_path / "other")
    scores = np.random.default_rng(0).random(one.plan.member.shape) + one.plan.member
    moved = np.where(one.plan.member >= 0, scores, 1e6)
    assert figures(one, scores) == figures(other, moved)


def test_copies_divide_the_bound_where_delta_is_next_to_nothing(tmp_path: Path):
    work = made(tmp_path, copies=3, changes={"guarantee": {"delta": 1e-14}})
    arm = figures(work, work.plan.member.astype(float))["arms"]["erm"]
    together = largest_of_one_run(NUM, 20, 0)
    assert arm["most"] == pytest.approx(together / 3, rel=1e-6)
    assert arm["one_run"][0]["by_model"] == pytest.approx([together / 3] * 3, rel=1e-6)


def test_models_are_trials_of_the_first_canary_where_there_are_enough(tmp_path: Path):
    work = made(tmp_path, num_models=60)
    inside = work.plan.member[:, FIRST] == 1
    odds = np.where(inside, 5.0, -5.0)
    found = figures(work, np.zeros(work.plan.member.shape), odds)["arms"]["erm"]
    num_in, num_out = (int(n - n // 2) for n in (inside.sum(), 60 - inside.sum()))
    most = pytest.approx(largest_certifiable(num_in, num_out, 1e-5, 0.975))
    assert found["over_models"] == {"bound": most, "most": most, "num_models": 60}
    assert found["lower_bound"] == found["over_models"]["bound"] > 1


def test_the_largest_of_one_run_and_the_bound_over_models_share_the_error(tmp_path: Path):
    """An arm's lower bound is the larger of the two, and must hold as surely as is said."""
    work = made(tmp_path, num_models=60)
    odds = np.zeros(60)
    (row,) = figures(work, work.plan.member.astype(float), odds)["arms"]["erm"]["one_run"]
    by_model, largest = (
        largest_of_one_run(NUM, 20, 1e-5, sure, tried) for sure, tried in ((0.95, 1), (0.975, 60))
    )
    assert row["by_model"] == pytest.approx([by_model] * 60)
    assert row["largest"] == pytest.approx(largest)


def test_a_bound_above_a_proved_epsilon_is_an_alarm_and_one_below_is_none(tmp_path: Path):
    defenses = {
        "private": {"name": "dp_sgd", "noise_multiplier": 20, "accountant": "rdp"},
        "weak": {"name": "dp_sgd", "noise_multiplier": 0.5, "accountant": "rdp"},
    }
    arms = {name: {"defense": keys} for name, keys in defenses.items()}
    work = made(tmp_path, num_models=2, changes={"arms": arms})
    found = figures(work, work.plan.member.astype(float))
    private, weak = found["arms"]["private"], found["arms"]["weak"]
    assert private["stated"]["epsilon"] < private["lower_bound"] < weak["stated"]["epsilon"]
    assert weak["alarm"] is None
    told, own = alarms(found)
    assert told.startswith("private: epsilon is at least 1.595 by the trials")
    assert own.startswith("private: guesses that come out so well have a chance of")
    assert private["own"]["p_value"] < 1e-4
    assert weak["own"] == {"p_value": 1.0, "alarm": None}
    by_model = [
        run.defense.guarantee(run.facts(None, run.training.epochs))  # pyright: ignore[reportArgumentType]
        for run in work.plan.arms["private"]
    ]
    assert private["stated"]["epsilon"] == max(g.epsilon for g in by_model if g and g.epsilon)


def test_a_randomized_arm_is_audited_by_one_draw_and_by_the_mean_of_several(tmp_path: Path):
    arms = {"noisy": {"defense": {"name": "residual_perturbation", "gamma": 0.5}}}
    model = {"name": "resnet8", "width": 4, "norm": "group"}
    changes = {"arms": arms, "model": model, "answers": {"draws": 3}}
    work = made(tmp_path, changes=changes)
    rows = figures(work, work.plan.member.astype(float))["arms"]["noisy"]["one_run"]
    assert [row["draws"] for row in rows] == [1, 3]
    assert rows[0]["median"] == pytest.approx(largest_of_one_run(NUM, 20, 1e-5, num_tried=2))


def test_without_canaries_there_are_no_figures(work: Work):
    assert epsilon_figures(work) is None


def test_guesses_of_randomized_response_seldom_show_more_than_its_epsilon():
    """Every canary's score is its coin, turned with probability 1 / (1 + e)."""
    tried = Tried(200, 1, (10, 50, 90), 3, 1e-5, 0.95)
    found = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        member = random.random(200) < 0.5
        kept = random.random(200) < 1 / (1 + math.exp(-1))
        scores = np.where(kept, member, ~member) + 0.1 * random.random(200)
        found.append(certified(num_correct(scores, member, tried.num_guesses), tried))
    assert np.mean(np.array(found) > 1) <= 0.1
    assert np.median(found) > 0.3
    assert one_run_bound(200, 180, 140, 1e-5) > 0.3
