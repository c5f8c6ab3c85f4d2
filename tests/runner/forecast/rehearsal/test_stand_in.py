"""Noise in place of data that are not there has their size."""

import pytest

from runner.data import Data
from runner.data.cifar import Cifar
from runner.data.fashion_mnist import FashionMnist
from runner.data.idc import Idc
from runner.data.mnist import Mnist
from runner.data.svhn import Svhn
from runner.forecast.rehearsal._stand_in import stand_in


@pytest.mark.parametrize(
    ("data", "pool", "test"),
    [
        (Cifar(name="cifar10"), 50_000, 10_000),
        (Cifar(name="cifar100", pool="train+test"), 60_000, 0),
        (Cifar(name="cifar10", classes=(0, 6)), 10_000, 2_000),
        (Mnist(num_examples=700), 700, 10_000),
        (FashionMnist(), 60_000, 10_000),
        (Svhn(), 73_257, 26_032),
        (Idc(size=2), 39_952, 43_420),
    ],
)
def test_noise_stands_in_for_as_many_images_as_there_are(data: Data, pool: int, test: int):
    noise = stand_in(data)
    assert noise is not None
    assert (len(noise.pool_labels), len(noise.test_labels)) == (pool, test)
    assert len({*noise.pool_labels.tolist()}) == noise.num_classes
