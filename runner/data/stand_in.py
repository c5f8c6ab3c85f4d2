"""Noise in place of a data set that is not there: as many images, as large, with every label."""

import numpy as np

from runner.data import Data, Dataset
from runner.data._split import Split, assemble

APART = 100  # images that are drawn; the others repeat them
UNTOLD = 50_000, APART  # examples to train on and to test, where nobody says how many there are


def stand_in(data: Data) -> Dataset | None:
    """Return the Dataset that `pool`, `classes` and `num_examples` would make of these data.

    None where nobody knows the shape of the images before they are read.

    Raises:
        ValueError: the data have no such classes, or fewer examples than are asked for.
    """
    if data.pictured is None:
        return None
    *shape, num_classes = data.pictured
    drawn = np.random.default_rng(0).integers(0, 256, (APART, *shape), np.uint8)
    train, test = (
        Split(drawn[np.arange(num) % APART], np.arange(num) % num_classes)
        for num in data.counts or UNTOLD
    )
    channels = data.pictured[0]
    statistics = (0.5,) * channels, (0.29,) * channels
    # Nobody doubts noise: what is odd about it is nothing that a reader must know.
    return assemble(data, train, test, num_classes, statistics, published=True)
