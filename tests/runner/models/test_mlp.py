"""How many weights an MLP has."""

from itertools import pairwise

import pytest

from tests.made.networks import DIGITS, make, num_parameters


@pytest.mark.parametrize("hidden", [(), (7,), (7, 3)])
def test_an_mlp_has_a_weight_per_pair_of_units(hidden):
    sizes = (64, *hidden, 10)
    expected = sum((a + 1) * b for a, b in pairwise(sizes))
    assert num_parameters(make({"name": "mlp", "hidden": hidden}, DIGITS)) == expected
