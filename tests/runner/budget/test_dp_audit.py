"""The white-box audit: DP-SGD as it is passes, and broken ones are caught."""

import math
from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attacks.epsilon import largest_certifiable
from defenses import Guarantee, Kit
from defenses._accounting import spent
from defenses.dp_sgd import DPSGD
from runner.__main__ import app
from runner.budget import dp_audit
from runner.budget.dp_audit import Audited, audit_dp_sgd, told
from runner.budget.dp_trials import Setting, guarantee_of, trials
from runner.storage.ids import seed_of

DELTA = 1e-5
HALVES = Setting(num_members=16, batch_size=8, num_steps=2)  # half of the members a step, one epoch
NOISE = 4.0  # epsilon 0.75 at HALVES
CLIP = 10.0


def run(
    defense: DPSGD, setting: Setting, num: int, first: int = 0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(T,) bool and (T, S) scores of the trials from `first` on."""
    found = trials(defense, setting, range(first, first + num), seed)
    member, scores = map(np.array, zip(*found, strict=True))
    return member, scores


def audited(defense: DPSGD, num: int, setting: Setting = HALVES, delta: float = DELTA) -> Audited:
    return audit_dp_sgd(*run(defense, setting, num), guarantee_of(defense, setting, delta), 0.95, 0)


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


class Broken(DPSGD):
    """DP-SGD that claims its epsilon and breaks its own optimizer."""

    def protect(self, kit: Kit) -> Kit:
        kit = super().protect(kit)
        self.smash(kit.optimizer)
        return kit

    def smash(self, optimizer: Any) -> None:
        raise NotImplementedError


class NoiseBeforeClipping(Broken):
    """Each gradient is noisy and then clipped: the noise is cut down with it."""

    def smash(self, optimizer: Any) -> None:
        clip, std = optimizer.clip_and_accumulate, self._noise() * self.max_grad_norm

        def noisy_first(self: Any) -> None:
            for p in self.params:
                p.grad_sample = p.grad_sample + std * torch.randn_like(p.grad_sample)
            clip()

        optimizer.clip_and_accumulate = MethodType(noisy_first, optimizer)
        optimizer.noise_multiplier = 0


class UnclippedLayer(Broken):
    """The last layer's gradients do not pass the clip."""

    def smash(self, optimizer: Any) -> None:
        clip = optimizer.clip_and_accumulate

        def skip_one(self: Any) -> None:
            last = self.params[-1]
            unclipped = last.grad_sample.sum(0)
            clip()
            last.summed_grad = unclipped

        optimizer.clip_and_accumulate = MethodType(skip_one, optimizer)


class QuietLayer(Broken):
    """The last layer gets no noise."""

    def smash(self, optimizer: Any) -> None:
        add = optimizer.add_noise

        def all_but_one(self: Any) -> None:
            add()
            self.params[-1].grad = self.params[-1].summed_grad.clone()

        optimizer.add_noise = MethodType(all_but_one, optimizer)


class NoiseInWrongUnits(Broken):
    """The noise is not multiplied by the clipping norm."""

    def smash(self, optimizer: Any) -> None:
        optimizer.noise_multiplier = self._noise() / self.max_grad_norm


class NoiseDividedTwice(Broken):
    """The noise is divided by the batch size before the sum of both is."""

    def smash(self, optimizer: Any) -> None:
        optimizer.noise_multiplier = self._noise() / optimizer.expected_batch_size


class ClippedBatch(Broken):
    """The batch's mean gradient is clipped, with the noise that clipping each example needs."""

    def smash(self, optimizer: Any) -> None:
        def clip_mean(self: Any) -> None:
            means = [p.grad_sample.sum(0) / self.expected_batch_size for p in self.params]
            norm = torch.stack([m.norm() for m in means]).norm()
            factor = min(1.0, self.max_grad_norm / (float(norm) + 1e-6))
            for p, mean in zip(self.params, means, strict=True):
                p.summed_grad = self.expected_batch_size * factor * mean

        optimizer.clip_and_accumulate = MethodType(clip_mean, optimizer)


BROKEN = [
    NoiseBeforeClipping,
    UnclippedLayer,
    QuietLayer,
    NoiseInWrongUnits,
    NoiseDividedTwice,
    ClippedBatch,
]


@pytest.mark.slow
@pytest.mark.parametrize("make", BROKEN)
def test_a_broken_dp_sgd_is_caught(make: Callable[..., DPSGD]):
    found = audited(make(noise_multiplier=NOISE, max_grad_norm=CLIP), 1000)
    assert found.guarantee.epsilon is not None
    assert found.guarantee.epsilon <= 1 < found.lower_bound <= found.largest
    wrong = found.guarantee.alarm(found.lower_bound)
    assert wrong is not None
    assert wrong in told(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "setting", "least"),
    [(NOISE, HALVES, 0.0), (1.5, Setting(16, 4, 4), 0.0), (0.4, Setting(16, 16, 1), 2.0)],
)
def test_the_honest_dp_sgd_is_not_accused(noise: float, setting: Setting, least: float):
    """At delta 0.1 too, where it is the centre of the trade-off that is looked at."""
    defense = DPSGD(noise_multiplier=noise, max_grad_norm=CLIP)
    found = run(defense, setting, 1000)
    for delta in (DELTA, 0.1):
        told = audit_dp_sgd(*found, guarantee_of(defense, setting, delta), 0.95, 0)
        assert told.guarantee.epsilon is not None
        assert least <= told.lower_bound <= told.guarantee.epsilon
        assert told.guarantee.alarm(told.lower_bound) is None


def test_two_hundred_trials_catch_an_unclipped_layer():
    found = audited(UnclippedLayer(noise_multiplier=NOISE, max_grad_norm=CLIP), 200)
    assert found.guarantee.epsilon is not None
    assert found.lower_bound > found.guarantee.epsilon


def test_the_bound_is_of_the_half_that_did_not_choose_and_largest_says_so():
    member = np.arange(400) % 4 == 0
    scores = np.where(member, 1.0, 0.0)[:, None]
    given = Guarantee(1.0, 0.01, "proved", "the weights", "x")
    found = audit_dp_sgd(member, scores, given, 0.95, 0)
    assert found.lower_bound == found.largest == largest_certifiable(50, 150, 0.01)
    assert (found.num_in, found.num_out) == (100, 300)


def test_an_alarm_needs_a_proof_of_the_weights_and_a_bound_above_it():
    proved = Guarantee(0.5, 1e-5, "proved", "the weights", "by some proof")
    wrong = proved.alarm(0.6)
    assert wrong is not None
    assert "at least 0.6" in wrong
    assert "at most 0.5" in wrong
    assert "by some proof" in wrong
    assert proved.alarm(0.5) is None
    for innocent in (
        proved._replace(status="claimed"),
        proved._replace(status="none", epsilon=None),
        proved._replace(of="one answer"),
    ):
        assert innocent.alarm(9.0) is None


def command(options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["budget", "audit", *options.split()])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command_prints_both_bounds_and_what_could_have_been_shown():
    code, out = command("--noise-multiplier 4 --trials 100 --max-grad-norm 2")
    found = audited(DPSGD(noise_multiplier=4, max_grad_norm=2), 100)
    assert code == 0
    assert told(found) in out
    assert f"epsilon at most {found.guarantee.epsilon:.5g} (proved" in out
    assert f"epsilon at least {found.lower_bound:.5g} (95% confidence)" in out
    assert f"could show: {found.largest:.5g}" in out
    assert "no alarm" in out


def test_the_command_ends_with_1_when_a_proof_is_refuted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dp_audit, "DPSGD", NoiseBeforeClipping)
    code, out = command("--noise-multiplier 4 --trials 200 --max-grad-norm 10")
    assert code == 1
    assert "ALARM: epsilon is at least" in out


def test_trials_that_could_refute_nothing_are_named():
    given = Guarantee(3.0, 1e-5, "proved", "the weights", "x")
    assert "too few trials" in told(Audited(given, 0.0, 2.9, 50, 50, 0.95))
    assert "too few trials" not in told(Audited(given, 0.0, 3.1, 50, 50, 0.95))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--noise-multiplier 0", "--noise-multiplier and --max-grad-norm must be above 0"),
        ("--noise-multiplier 1 --max-grad-norm inf", "finite, got 1 and inf"),
        ("--noise-multiplier 1 --delta 1", "--delta must lie between 0 and 1, got 1"),
        ("--noise-multiplier 1 --trials 99", "--trials must be at least 100, got 99"),
        ("--noise-multiplier 1 --steps 3", "16 examples in batches of 8 take 2 steps each"),
        ("--noise-multiplier 1 --batch-size 17", "batch_size must be at most 16"),
        ("--noise-multiplier 1 --batch-size 0", "batches of 1 or more, got 16 in batches of 0"),
        ("--noise-multiplier 1 --num-examples 1", "expected 2 examples or more"),
        ("--noise-multiplier 1e-200", "there is no epsilon to audit"),
    ],
)
def test_bad_numbers_are_one_message_and_exit_code_2(options: str, message: str):
    code, out = command(options)
    assert code == 2
    assert message in out.replace("\n", " ")
    assert "Traceback" not in out
