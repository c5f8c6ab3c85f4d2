"""A trial's score is how often its canary was drawn, and noise of a known size."""

import math

import numpy as np
import pytest
import torch

from defenses import _factored
from defenses._accounting import spent
from defenses.dp_sgd import DPSGD
from runner.standalone.dp_trials import Setting, guarantee_of
from runner.storage.ids import seed_of
from tests.made.dp_trials import CLIP, DELTA, HALVES, NOISE, run


def draws(setting: Setting, num: int) -> np.ndarray:
    """How often each trial's steps draw example 0, by Poisson sampling written down once more."""
    counts = np.zeros(num)
    num_steps = round(setting.num_members / setting.batch_size)
    for epoch in range(num * setting.num_steps // num_steps):
        tosses = np.random.Generator(np.random.Philox([seed_of(0, "batches"), epoch]))
        for _ in range(num_steps):
            drawn = tosses.random(setting.num_members)[0] < setting.batch_size / setting.num_members
            counts[epoch * num_steps // setting.num_steps] += drawn
    return counts


@pytest.mark.parametrize("clip", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("setting", [HALVES, Setting(12, 4, 6)])
def test_without_noise_the_score_is_how_often_the_canary_was_drawn(clip: float, setting: Setting):
    """Clipped to full length each time, never trained away, and hidden by nobody."""
    member, scores = run(DPSGD(noise_multiplier=0, max_grad_norm=clip), setting, 12)
    expected = np.where(member, draws(setting, 12), 0)
    assert expected.max() > 1
    assert 0 < member.sum() < 12
    assert scores == pytest.approx(np.stack([expected] * 3, 1), rel=1e-4, abs=1e-5)


def test_gradients_in_factors_are_clipped_to_the_same_length(monkeypatch: pytest.MonkeyPatch):
    """As those of large layers are, which the trials' own layers are not."""
    monkeypatch.setattr(_factored, "SMALL", 1)
    member, scores = run(DPSGD(noise_multiplier=0, max_grad_norm=CLIP), HALVES, 12)
    expected = np.where(member, draws(HALVES, 12), 0)
    assert scores == pytest.approx(np.stack([expected] * 3, 1), rel=1e-4, abs=1e-5)


def test_noise_is_its_multiplier_times_the_root_of_the_steps_in_units_of_the_clipping_norm():
    setting, num = Setting(8, 4, 4), 150
    member, scores = run(DPSGD(noise_multiplier=3, max_grad_norm=CLIP), setting, num)
    noise = scores - np.where(member, draws(setting, num), 0)[:, None]
    expected = 3 * math.sqrt(4) * np.array([1, math.sqrt(2), math.sqrt(2)])
    assert noise.std(0) == pytest.approx(expected, rel=4 / math.sqrt(2 * num))
    assert (abs(noise.mean(0)) < 4 * expected / math.sqrt(num)).all()


def test_a_trial_follows_from_its_seed_and_number_and_leaves_the_random_state_alone():
    defense = DPSGD(noise_multiplier=NOISE)
    state = torch.get_rng_state()
    member, scores = run(defense, HALVES, 6)
    assert torch.equal(torch.get_rng_state(), state)
    again = run(defense, HALVES, 3, first=3)
    assert np.array_equal(again[0], member[3:])
    assert np.array_equal(again[1], scores[3:])
    assert not np.array_equal(run(defense, HALVES, 3, seed=1)[1], scores[:3])


def test_the_guarantee_is_the_defenses_own_for_the_steps_of_a_trial():
    given = guarantee_of(DPSGD(noise_multiplier=NOISE), Setting(16, 8, 4), DELTA)
    assert given.epsilon == spent(NOISE, 0.5, 4, DELTA, "prv")
    assert given.status == "proved"
