"""Canaries: examples planted in the pool, whose membership is drawn by a coin each.

Source: Steinke, Nasr and Jagielski (2023), https://arxiv.org/abs/2305.08846; their copies are the k
poisons of Jagielski, Ullman and Oprea (2020), https://arxiv.org/abs/2006.07709.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from runner.data import Dataset, Ids
from runner.experiment.experiment import Experiment
from runner.experiment.training import Canaries
from runner.storage.ids import generator_of


def planted(dataset: Dataset, experiment: Experiment) -> Dataset:
    """Return the data with the experiment's canaries at the end of the pool; else the data.

    The pool is the ordinary examples, then `num` canaries, then their copies. A mislabelled
    canary's image is taken out of the ordinary examples, so that no model is trained on it under
    its own label. Mean and std of the pixels stay those of the data as they came.

    A canary is nobody's example: it has the ids `canary` and `copy`, counted from 0, and no other
    but, where it is mislabelled, `image_of`: the first id of the example whose image it shows.

    Raises:
        ValueError: the data are too few for it.
    """
    canaries = experiment.design.canaries
    if canaries is None:
        return dataset
    generator = generator_of(experiment.seed, "canaries")
    images, labels, taken = _drawn(dataset, canaries, generator)
    left = np.delete(np.arange(len(dataset.pool_labels)), taken)
    copied = np.tile(np.arange(len(labels)), canaries.copies)
    return replace(
        dataset,
        pool_images=np.concatenate([dataset.pool_images[left], images[copied]]),
        pool_labels=np.concatenate([dataset.pool_labels[left], labels[copied]]),
        pool_ids=_ids(dataset.pool_ids, left, taken, canaries),
        by_group=False,  # of canaries each has a coin of its own, and nobody else is judged
    )


def _ids(ids: Ids, left: np.ndarray, taken: np.ndarray, canaries: Canaries) -> dict[str, Any]:
    """The ids of the examples that are left, then those of canaries and their copies."""
    num, copies = canaries.num, canaries.copies
    counted = {"canary": np.arange(num), "copy": np.zeros(num, np.int64)}
    if len(taken) and ids:
        counted["image_of"] = next(iter(ids.values()))[taken]
    planted = {name: np.tile(values, copies) for name, values in counted.items()}
    planted["copy"] = np.repeat(np.arange(copies), num)

    def nothing(like: np.ndarray, count: int) -> np.ndarray:
        return np.full(count, -1 if like.dtype.kind == "i" else "", like.dtype)

    found = {k: np.append(v[left], nothing(v, num * copies)) for k, v in ids.items()}
    return found | {k: np.append(nothing(v, len(left)), v) for k, v in planted.items()}


def num_ordinary(canaries: Canaries | None, num_pool: int) -> int:
    """Return how many examples of a pool were there before canaries were planted."""
    return num_pool - (canaries.num * canaries.copies if canaries else 0)


def coins(num_models: int, num_pool: int, judged: np.ndarray, seed: int) -> np.ndarray:
    """Return the (M, N) int8 membership of canaries: 1 in, 0 out, each by a fair coin; -1 others.

    No row depends on another one, so a model's coins cannot be learnt from other models.
    """
    member = np.full((num_models, num_pool), -1, np.int8)
    for m, row in enumerate(member):
        generator = generator_of(seed, m)
        row[judged] = generator.integers(0, 2, len(judged))
    return member


def trained_on(member: np.ndarray, canaries: Canaries, ordinary: np.ndarray) -> np.ndarray:
    """Return what each model is trained on, (M, N) int8: 1 in, 0 out, -1 in no model.

    Args:
        member: (M, N) int8, the coins.
        canaries: whose copies go in or out with them.
        ordinary: (n,) int64, the examples that all models are trained on.
    """
    trained = member.copy()
    trained[:, ordinary] = 1
    first = num_ordinary(canaries, member.shape[1])
    tossed = member[:, first : first + canaries.num]
    trained[:, first:] = np.tile(tossed, canaries.copies)
    return trained


def _drawn(
    dataset: Dataset, canaries: Canaries, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels, and the places in the pool that the images were taken from."""
    pool, num, num_classes = dataset.pool_images, canaries.num, dataset.num_classes
    shape, nowhere = (num, *pool.shape[1:]), np.empty(0, np.int64)
    if canaries.kind == "mislabelled":
        if 2 * num > len(pool):
            raise ValueError(
                f"design.canaries.num: {num} mislabelled images of a pool of {len(pool)}; take no "
                "more than half, or plant another kind"
            )
        taken = generator.choice(len(pool), num, replace=False)
        wrong = dataset.pool_labels[taken] + generator.integers(1, num_classes, num)
        return pool[taken], wrong % num_classes, taken
    if dataset.tabular:
        raise ValueError(
            f"design.canaries.kind: {canaries.kind} is an image, and these are rows of a table; "
            "use `kind: mislabelled`"
        )
    if canaries.kind == "noise":
        labels = generator.integers(0, num_classes, num)
        return generator.integers(0, 256, shape, np.uint8), labels, nowhere
    colours = 256 ** pool.shape[1]
    if num > colours * num_classes:
        raise ValueError(
            f"design.canaries.num: there are {colours * num_classes} blank images with a label, "
            f"and {num} are asked for; plant fewer, or another kind"
        )
    drawn = generator.choice(colours * num_classes, num, replace=False)
    channels = [drawn // num_classes // 256**c % 256 for c in range(pool.shape[1])]
    blank = np.stack(channels, axis=1).astype(np.uint8)[:, :, None, None]
    return np.broadcast_to(blank, shape), drawn % num_classes, nowhere
