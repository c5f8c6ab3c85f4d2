import numpy as np
import pytest
from scipy.stats import trim_mean

from attacks.membership._sorted import median_left_out, trimmed_mean_left_out


def cases(num_models: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with ties, classes of 0 to M models, and partners of which one is its own."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (num_models, 24)).round(rng.integers(0, 9))
    in_class = rng.random((num_models, 24)) < np.linspace(0, 1, 24)
    partner = np.array([0, *rng.permutation(np.arange(1, num_models))])
    return values, in_class, partner


def left_out(values: np.ndarray, in_class: np.ndarray, partner: np.ndarray, of) -> np.ndarray:
    """What `of` says of each target's class, one example after the other."""
    expected = np.full(values.shape, np.nan)
    for m in range(len(values)):
        for i in range(values.shape[1]):
            kept = [
                values[s, i]
                for s in range(len(values))
                if in_class[s, i] and s not in (m, partner[m])
            ]
            if kept:
                expected[m, i] = of(np.array(kept))
    return expected


@pytest.mark.parametrize("num_models", [1, 2, 3, 8, 13])
def test_medians_are_those_of_the_models_that_are_left(num_models: int):
    for seed in range(3):
        case = cases(num_models, seed)
        np.testing.assert_array_equal(median_left_out(*case), left_out(*case, np.median))


@pytest.mark.parametrize("trim", [0, 0.1, 0.2, 0.25, 0.49])
@pytest.mark.parametrize("num_models", [1, 2, 5, 12, 13])
def test_trimmed_means_are_scipys_of_the_models_that_are_left(num_models: int, trim: float):
    for seed in range(2):
        case = cases(num_models, seed)
        expected = left_out(*case, lambda kept: trim_mean(kept, trim))
        np.testing.assert_allclose(trimmed_mean_left_out(*case, trim), expected, 1e-12, 1e-14)


def test_a_trim_of_nothing_is_the_mean():
    case = cases(9, 7)
    np.testing.assert_allclose(
        trimmed_mean_left_out(*case, 0), left_out(*case, np.mean), 1e-12, 1e-14
    )


@pytest.mark.parametrize("outlier", [1e18, -1e18])
def test_an_outlier_that_is_trimmed_or_left_out_costs_no_digit(outlier: float):
    rng = np.random.default_rng(3)
    values, in_class = rng.normal(1e3, 1e-3, (10, 40)), np.ones((10, 40), bool)
    values[4] = outlier
    case = values, in_class, np.arange(10) ^ 1
    trimmed = left_out(*case, lambda kept: trim_mean(kept, 0.2))
    np.testing.assert_allclose(trimmed_mean_left_out(*case, 0.2), trimmed, 1e-15)
    means = left_out(*case, np.mean)
    for m in (4, 5):  # the target and its partner
        np.testing.assert_allclose(trimmed_mean_left_out(*case, 0)[m], means[m], 1e-15)


def test_float32_values_are_summed_in_float64():
    values, in_class, partner = cases(9, 5)
    single = values.astype(np.float32)
    for given in (single, single.astype(np.float64)):
        found = trimmed_mean_left_out(given, in_class, partner, 0.2)
        assert found.dtype == np.float64
    np.testing.assert_array_equal(found, trimmed_mean_left_out(single, in_class, partner, 0.2))


@pytest.mark.parametrize("trim", [-0.1, 0.5, 1])
def test_a_trim_that_leaves_nothing_is_refused(trim: float):
    with pytest.raises(ValueError, match="to trim, got"):
        trimmed_mean_left_out(*cases(4, 0), trim)
