"""Densities where their probabilities underflow."""

import numpy as np
import pytest
from scipy.stats import t

from attacks.membership._densities import log_survival
from tests.attacks.membership import lira_oracle


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
