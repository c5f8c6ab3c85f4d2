import numpy as np
import pytest
from scipy.special import polygamma

from attacks.membership._left_out import moments
from attacks.membership._spread import inverse_trigamma, prior, prior_sums


def test_the_inverse_of_trigamma_is_its_inverse():
    y = np.geomspace(1e-3, 1e6, 50)
    np.testing.assert_allclose(inverse_trigamma(polygamma(1, y)), y, 1e-9)


def drawn(freedom: float, num_models: int, num_examples: int, num_views: int = 1) -> np.ndarray:
    """Answers whose variances are 4 * freedom / chi-square(freedom)."""
    rng = np.random.default_rng(0)
    variance = 4 * freedom / rng.chisquare(freedom, (num_examples, num_views))
    return rng.normal(0, 1, (num_models, num_examples, num_views)) * np.sqrt(variance)


@pytest.mark.parametrize("num_models", [3, 8])
@pytest.mark.parametrize("freedom", [1.5, 4, 12])
def test_the_prior_that_variances_were_drawn_from_is_found(freedom: float, num_models: int):
    values = drawn(freedom, num_models, 40_000)
    found = prior(prior_sums(moments(values, np.ones(values.shape[:2], bool))), "estimated")
    assert found.freedom == pytest.approx([freedom], rel=0.2)
    assert found.scale[0, 0, 0] == pytest.approx(4, rel=0.05)


def test_equal_variances_are_pooled_altogether():
    values = np.random.default_rng(1).normal(0, 2, (6, 4000, 1))
    found = prior(prior_sums(moments(values, np.ones(values.shape[:2], bool))), "estimated")
    assert found.freedom[0] > 100
    assert found.scale[0, 0, 0] == pytest.approx(4, rel=0.03)
