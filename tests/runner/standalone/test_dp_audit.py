"""The white-box audit: DP-SGD as it is passes, and broken ones are caught."""

from collections.abc import Callable
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attacks.epsilon import largest_certifiable
from defenses import Guarantee, Kit
from defenses.dp_sgd import DPSGD
from runner.__main__ import app
from runner.standalone import dp_audit
from runner.standalone.dp_audit import ERRORS, Audited, audit_dp_sgd, audit_of_all_trials, told
from runner.standalone.dp_trials import Setting, guarantee_of
from tests.made.dp_trials import CLIP, DELTA, HALVES, NOISE, run, run_all


def audited(defense: DPSGD, num: int, setting: Setting = HALVES, delta: float = DELTA) -> Audited:
    return audit_dp_sgd(*run(defense, setting, num), guarantee_of(defense, setting, delta), 0.95, 0)


def by_all_tests(
    defense: DPSGD, num: int, setting: Setting = HALVES, delta: float = DELTA
) -> Audited:
    """What the command finds."""
    guarantee = guarantee_of(defense, setting, delta)
    return audit_of_all_trials(defense, setting, run_all(defense, setting, num), guarantee, 0)


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


class NoiseTooSmall(Broken):
    """The noise of the last layer lacks 5 %."""

    def smash(self, optimizer: Any) -> None:
        add = optimizer.add_noise

        def less(self: Any) -> None:
            add()
            last = self.params[-1]
            last.grad = last.summed_grad + 0.95 * (last.grad - last.summed_grad)

        optimizer.add_noise = MethodType(less, optimizer)


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
    """By the bound at its own 5 % of error, and by all tests that share them."""
    defense = make(noise_multiplier=NOISE, max_grad_norm=CLIP)
    given, trials = guarantee_of(defense, HALVES, DELTA), run_all(defense, HALVES, 1000)
    found = audit_dp_sgd(trials.is_in, trials.scores, given, 0.95, 0)
    assert found.guarantee.epsilon is not None
    assert found.guarantee.epsilon <= 1 < found.lower_bound <= found.largest
    wrong = found.guarantee.alarm(found.lower_bound)
    assert wrong is not None
    assert wrong in told(found)
    together = audit_of_all_trials(defense, HALVES, trials, given, 0)
    assert given.alarm(together.lower_bound) in together.alarms
    assert together.guesses is not None
    assert together.guesses.alarm is not None or make is QuietLayer  # half of the noise is left


def test_noise_of_one_layer_that_lacks_5_percent_is_seen_where_no_bound_on_epsilon_sees_it():
    found = by_all_tests(NoiseTooSmall(noise_multiplier=NOISE, max_grad_norm=CLIP), 150)
    assert found.noise is not None
    assert found.noise.shortfall < 0.04
    assert found.alarms == [found.noise.alarm]
    assert "and 4 is claimed: the noise is too small" in told(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("noise", "setting", "least"),
    [(NOISE, HALVES, 0.0), (1.5, Setting(16, 4, 4), 0.0), (0.4, Setting(16, 16, 1), 2.0)],
)
def test_the_honest_dp_sgd_is_not_accused(noise: float, setting: Setting, least: float):
    """At delta 0.1 too, where it is the centre of the trade-off that is looked at."""
    defense = DPSGD(noise_multiplier=noise, max_grad_norm=CLIP)
    trials = run_all(defense, setting, 1000)
    for delta in (DELTA, 0.1):
        given = guarantee_of(defense, setting, delta)
        told = audit_dp_sgd(trials.is_in, trials.scores, given, 0.95, 0)
        assert told.guarantee.epsilon is not None
        assert least <= told.lower_bound <= told.guarantee.epsilon
        assert told.guarantee.alarm(told.lower_bound) is None
    assert audit_of_all_trials(defense, setting, trials, given, 0).alarms == []


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


def command(options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["budget", "audit", *options.split()])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_command_prints_both_bounds_and_what_could_have_been_shown():
    code, out = command("--noise-multiplier 4 --trials 100 --max-grad-norm 2")
    found = by_all_tests(DPSGD(noise_multiplier=4, max_grad_norm=2), 100)
    assert found.guesses is not None
    assert found.noise is not None
    assert code == 0
    assert told(found) in out
    assert f"epsilon at most {found.guarantee.epsilon:.5g} (proved" in out
    assert f"epsilon at least {found.lower_bound:.5g} (97% confidence)" in out
    assert f"could show: {found.largest:.5g}" in out
    assert f"guesses of the coin: {found.guesses.num_right} of 100" in out
    assert f"noise multiplier at most {found.noise.at_most:.5g}, and 4 is claimed" in out
    assert f"{found.noise.shortfall:.2%} too small in a layer is seen with 95%" in out
    assert "a DP-SGD that keeps its word is accused with 5%" in out
    assert "no alarm" in out


def test_the_errors_of_all_tests_add_up_to_5_percent():
    assert sum(ERRORS.values()) == pytest.approx(0.05)


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
