"""Noise in place of a data set that is not there: as many images, as large, with every label."""

import numpy as np

from runner.data import Data, Dataset

APART = 100  # images that are drawn; the others repeat them
UNTOLD = 50_000, APART  # examples to train on and to test, where nobody says how many there are


def stand_in(data: Data) -> Dataset | None:
    """Return noise in as many images as `pool`, `classes` and `num_examples` leave of these data.

    All classes are taken to be equally frequent. None where nobody knows the shape of the images
    before they are read.

    Raises:
        ValueError: the data have no such classes, or fewer examples than are asked for.
    """
    if data.pictured is None:
        return None
    *shape, num_classes = data.pictured
    train, test = data.counts or UNTOLD
    if data.pool == "train+test":
        train, test = train + test, 0
    if data.classes is not None:
        if unknown := [each for each in data.classes if each >= num_classes]:
            known = f"the classes of {data.name} are 0 to {num_classes - 1}"
            raise ValueError(f"data.classes names {unknown}, but {known}: choose among these")
        train, test = (num * len(data.classes) // num_classes for num in (train, test))
        num_classes = len(data.classes)
    if (asked := data.num_examples or train) > train:
        raise ValueError(
            f"data.num_examples is {asked}, but the pool of {data.name} has only {train} "
            "examples: lower it or leave it out"
        )
    drawn = np.random.default_rng(0).integers(0, 256, (APART, *shape), np.uint8)
    pool, rest = np.arange(asked), np.arange(test)
    return Dataset(
        *(drawn[pool % APART], pool % num_classes, drawn[rest % APART], rest % num_classes),
        num_classes=num_classes,
        mean=(0.5,) * shape[0],
        std=(0.29,) * shape[0],
    )
