import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import t

from attacks.membership._densities import log_survival
from attacks.membership._left_out import moments
from attacks.membership._spread import inverse_trigamma, prior, prior_sums
from tests.attacks.membership import lira_oracle


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


@pytest.mark.parametrize("freedom", [0.5, 3, 30, 1000, 1e6])
def test_log_survival_goes_on_where_the_probability_underflows(freedom: float):
    z = np.concatenate([np.linspace(-50, 50, 21), np.geomspace(60, 1e12, 6)])
    found = log_survival(z, np.full_like(z, freedom))
    assert (np.diff(found) < 0).all() or freedom >= 30  # far below, the probability is 1
    assert (np.diff(found[z > 0]) < 0).all()
    probable = t.sf(z, freedom) > 1e-250
    np.testing.assert_allclose(found[probable], t.logsf(z[probable], freedom), 1e-8, 1e-13)
    for each in np.flatnonzero(~probable):
        expected = lira_oracle.log_survival(z[each], freedom)
        assert found[each] == pytest.approx(expected, rel=1e-8)
