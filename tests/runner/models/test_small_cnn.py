"""What a small CNN is made of."""

import pytest
from torch import nn

from tests.made.networks import CIFAR, DIGITS, FASHION, make


@pytest.mark.parametrize(
    ("shape", "num_convolutions", "num_features"),
    [
        (DIGITS, 2, 64 * 4 * 4),
        (FASHION, 4, 128 * 4 * 4),
        (CIFAR, 4, 128 * 4 * 4),
        (DIGITS._replace(height=16), 3, 128 * 4 * 2),
    ],
)
def test_a_small_cnn_halves_the_sides_until_4x4_positions_are_left(
    shape, num_convolutions, num_features
):
    model = make({"name": "small_cnn"}, shape)
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == num_convolutions
    (linear,) = (m for m in model.modules() if isinstance(m, nn.Linear))
    assert linear.in_features == num_features


def test_a_small_cnn_without_norm_has_biased_convolutions_and_no_norm():
    model = make({"name": "small_cnn", "norm": "none"}, DIGITS)
    assert all(m.bias is not None for m in model.modules() if isinstance(m, nn.Conv2d))
    assert not any("Norm2d" in type(m).__name__ for m in model.modules())
