import numpy as np
import pytest

from attacks.membership.loss_trace import LossTrace
from runner.statistics.metrics import auc
from tests import oracles

ANY = oracles.unlabelled(1)  # which examples they are does not matter


def iqr(losses: list[float]) -> float:
    """The interquartile range of a few numbers, by its definition, with the sign of their way."""
    rising, num = sorted(losses), len(losses)

    def at(share: float) -> float:
        place = share * (num - 1)
        low = int(place)
        return rising[low] + (place - low) * (rising[min(low + 1, num - 1)] - rising[low])

    first, second = losses[: (num + 1) // 2], losses[num // 2 :]
    sign = -1 if sum(second) / len(second) > sum(first) / len(first) else 1
    return sign * (at(0.75) - at(0.25))


@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 21])
def test_the_statistics_are_those_of_the_definition(epochs):
    losses = np.random.default_rng(epochs).exponential(1, (50, epochs)).astype(np.float32)
    expected = [[iqr([float(x) for x in row])] for row in losses]
    np.testing.assert_allclose(
        LossTrace(statistic="iqr").signal(losses, ANY), expected, 1e-12, 1e-15
    )
    expected = [[-sum(float(x) for x in row) / epochs] for row in losses]
    np.testing.assert_allclose(LossTrace().signal(losses, ANY), expected, 1e-12)


def test_a_loss_that_falls_counts_for_membership_and_one_that_rises_against_it():
    losses = np.array([[2.0, 1.0, 0.5, 0.1], [0.1, 0.5, 1.0, 2.0], [0.1, 0.1, 0.1, 0.1]])
    falls, rises, stays = LossTrace(statistic="iqr").signal(losses, ANY)[:, 0]
    assert falls == -rises
    assert falls > stays == 0


def test_calibration_takes_off_what_shadows_without_the_example_have():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(6, 30, 1))
    member = np.zeros((6, 30), np.int8)
    member[::2] = rng.random((3, 30)) < 0.5
    member[1::2] = 1 - member[::2]
    attack, examples = LossTrace(calibrate="out"), oracles.unlabelled(30)
    found = attack.score_all(signals, member, np.arange(6) ^ 1, examples, {})
    for m, i in np.ndindex(6, 30):
        outside = [signals[s, i, 0] for s in range(6) if s // 2 != m // 2 and not member[s, i]]
        assert found[m, i] == pytest.approx(signals[m, i, 0] - np.mean(outside))


def test_of_trainings_that_overfit_the_sign_is_what_tells_members():
    """Easy or hard, members' losses fall by 1 to 3 nats, and the others' rise by as much."""
    rng = np.random.default_rng(1)
    member = rng.random(2000) < 0.5
    way = np.where(member, -1.0, 1.0)[:, None] * rng.uniform(1, 3, (2000, 1))
    losses = 5 + way * np.linspace(0, 1, 12) + rng.normal(0, 0.1, (2000, 12))
    signed = LossTrace(statistic="iqr").signal(losses, ANY)[:, 0]
    assert auc(signed, member) > 0.999
    assert auc(np.abs(signed), member) == pytest.approx(0.5, abs=0.05)
