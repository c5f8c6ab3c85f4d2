import math

import numpy as np
import pytest

from runner.standalone.inputs import BadInput
from runner.standalone.reversal import (
    STRATEGIES,
    displacement,
    evolve,
    psnr_db,
    recoveries,
    rmse,
    velocity,
)
from tests.made.demos import picture


def as_matrix(sources: np.ndarray) -> np.ndarray:
    """F as a matrix on the pixels of one channel."""
    return np.eye(len(sources))[sources]


def mean_square(matrix: np.ndarray) -> float:
    """The mean over pixels of the variance that unit noise has behind a matrix."""
    return float((matrix**2).sum() / len(matrix))


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 2), (23, 40, 3), (200, 8, 1)])
def test_the_velocity_is_algorithm_1_loop_by_loop(shape: tuple[int, int, int]):
    image = np.random.default_rng(0).uniform(size=shape)
    rows, cols, channels = shape
    expected = np.empty(shape)
    for k in range(channels):
        for i in range(rows):
            for j in range(cols):
                offset_j = int((j + 50.0 * math.cos(2 * math.pi * i / 180)) % cols)
                offset_i = int((i + 50.0 * math.sin(2 * math.pi * i / 180)) % rows)
                expected[i, j, k] = image[(i + offset_j) % rows, (j + offset_i) % cols, k]
    assert np.array_equal(velocity(image, displacement(rows, cols)), expected)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_noise_of_time_1_has_mean_0_and_standard_deviation_gamma(strategy, sign: int):
    """With dt = 1 there is one increment; F is taken out of it. In units of pixels in [0, 1]."""
    image, sources = np.full((200, 200, 3), 0.5), displacement(200, 200)
    after = evolve(image, sources, sign * 1.0, 0.3, strategy, np.random.default_rng(0))
    noise = (after - image - sign * velocity(image, sources)).ravel()
    expected = 0.3 * (0.5 if strategy == "multiplicative" else 1)
    assert noise.mean() == pytest.approx(0, abs=4 * expected / math.sqrt(noise.size))
    assert noise.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * noise.size))


def test_the_noise_of_a_step_shrinks_as_the_root_of_dt():
    """Each of n steps adds gamma sqrt(dt) and grows by 1 + dt where one pixel stands for all."""
    dt, sources = 0.25, displacement(1, 1)
    rng = np.random.default_rng(0)
    ends = evolve(np.zeros((1, 1, 40_000)), sources, dt, 2.0, "additive", rng)
    expected = 2.0 * math.sqrt(dt * sum((1 + dt) ** (2 * k) for k in range(4)))
    assert ends.std() == pytest.approx(expected, rel=0.015)


def test_without_noise_the_error_of_going_back_is_the_closed_form_and_halves_with_dt():
    image, errors = picture(), []
    P = as_matrix(displacement(12, 18))
    for dt in (0.02, 0.01, 0.005):
        found = recoveries(image, 0.0, dt, "additive", np.random.default_rng(0))
        there_and_back = np.linalg.matrix_power(np.eye(len(P)) - dt**2 * P @ P, round(1 / dt))
        expected = (there_and_back @ image.reshape(len(P), 3)).reshape(image.shape)
        assert found["with_noise"] == pytest.approx(expected, abs=1e-12)
        assert np.array_equal(found["with_noise"], found["without_noise"])
        errors.append(rmse(expected, image))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.01)


def test_additive_noise_leaves_the_error_that_linear_algebra_says():
    """From a black picture the recovery is noise alone: its variance sums over the steps."""
    dt, gamma, P = 0.1, 0.7, as_matrix(displacement(6, 9))
    forward, back = np.eye(54) + dt * P, np.eye(54) - dt * P
    power = np.linalg.matrix_power
    on_the_way = sum(mean_square(power(back, 10) @ power(forward, k)) for k in range(10))
    on_the_way_back = sum(mean_square(power(back, k)) for k in range(10))
    black = np.zeros((6, 9, 3000))
    found = recoveries(black, gamma, dt, "additive", np.random.default_rng(0))
    scale = gamma * math.sqrt(dt)
    assert rmse(found["without_noise"], black) == pytest.approx(
        scale * math.sqrt(on_the_way), rel=0.01
    )
    assert rmse(found["with_noise"], black) == pytest.approx(
        scale * math.sqrt(on_the_way + on_the_way_back), rel=0.01
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fresh_noise_on_the_way_back_only_harms_and_smoothing_never_does(strategy):
    image = picture()
    found = recoveries(image, 0.5, 0.05, strategy, np.random.default_rng(0))
    error = {who: rmse(state, image) for who, state in found.items()}
    assert error["smoothed"] <= error["without_noise"] < error["with_noise"]


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = (
        recoveries(picture(), 1.0, 0.1, "multiplicative", np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[who], again[who]) for who in first)
    assert not np.array_equal(first["features"], other["features"])


def test_psnr_is_20_db_a_tenth_and_none_without_error():
    assert psnr_db(0.1) == pytest.approx(20)
    assert psnr_db(0.01) == pytest.approx(40)
    assert psnr_db(0.0) is None


def test_values_that_overflow_are_refused_with_the_reason():
    with pytest.raises(BadInput, match="overflow; lower it"):
        recoveries(picture(), 1e4, 0.01, "multiplicative", np.random.default_rng(0))
