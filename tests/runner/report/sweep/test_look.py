import numpy as np
import pytest

from runner.report.sweep.look import norm_of, scale_of


@pytest.mark.parametrize(
    ("numbers", "scale"),
    [
        ([0.1, 0.2, 3.0], "linear"),
        ([0.1, 3.1], "log"),
        ([0.0, 0.1, 0.2], "linear"),
        ([0.0, 0.01, 1.0], "symlog"),
        ([-1.0, 0.01, 1.0], "linear"),
        ([0.0, 1.0], "linear"),
    ],
)
def test_numbers_that_span_more_than_thirty_times_are_laid_out_by_logarithm(numbers, scale):
    assert scale_of(numbers)["value"] == scale
    at = norm_of(numbers)(numbers)
    assert (at[0], at[-1]) == (0, 1)
    assert (np.diff(at) > 0).all()
