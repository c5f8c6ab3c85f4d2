"""From the splits that a file holds to a Dataset: pool, subset, and pixel statistics."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from runner.data import Data, Dataset, Ids
from runner.data._doubts import doubts, repeated, shortened

Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std per channel
SEED = 0  # splits and subsets belong to a data set, so that every experiment sees the same ones


class Split(NamedTuple):
    """Images (N, channels, H, W) uint8, labels (N,) int64, and what each is called at its source.

    Without ids, examples are called by their row.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: Ids = {}

    def take(self, rows: np.ndarray) -> "Split":
        """Return the examples of these row numbers, which keep their ids."""
        ids = self.ids or {"source_row": np.arange(len(self.labels))}
        return Split(self.images[rows], self.labels[rows], {k: v[rows] for k, v in ids.items()})

    def of(self, name: str) -> "Split":
        """Return the same, called by row and by this name of the split if it has no ids."""
        rows = {"source_row": np.arange(len(self.labels))}
        return self._replace(ids=self.ids or rows | {"split": np.full(len(self.labels), name)})


def joined(parts: Sequence[Split]) -> Split:
    """Return all examples of the parts, one part after the other; all have ids, or none has."""
    images, labels, ids = zip(*parts, strict=True)
    names = {k: np.concatenate([of_part[k] for of_part in ids]) for k in ids[0]}
    return Split(np.concatenate(images), np.concatenate(labels), names)


class Seen(NamedTuple):
    """What a model is shown of the chosen examples."""

    pool: np.ndarray  # (N, channels, H, W) uint8, or (N, columns, 1, 1) float32
    test: np.ndarray
    statistics: Statistics | None = None
    remarks: Sequence[str] = ()


class Own(NamedTuple):
    """What data of one's own have and published ones do not."""

    class_names: tuple[str, ...] = ()  # of all classes; none: they are numbers
    by_group: bool = False  # whether the `group` of the ids is kept whole
    # From the `images` of both splits, which stand for them, to what is shown: read is only what
    # was chosen. None: they are the images.
    see: Callable[[np.ndarray, np.ndarray], Seen] | None = None


NOTHING = Own()


def assemble(
    data: Data,
    train: Split,
    test: Split,
    num_classes: int,
    statistics: Statistics | None = None,
    published: bool = False,
    remarks: Sequence[str] = (),
    own: Own = NOTHING,
) -> Dataset:
    """Return the Dataset that `pool`, `classes` and `num_examples` ask for.

    Args:
        statistics: published mean and std per channel, of [0, 1] pixels, which are kept whatever
            part of the data is; None: those of the pool that is returned. Neither counts where
            `normalize` is false.
        published: as of `Dataset`; other images are looked at for what is wrong with them.
        remarks: as of `Dataset`; what is odd about the images is added.
        own: what data of one's own bring besides.

    Raises:
        ValueError: the pool is empty, has none of a class in `classes`, or has fewer examples than
            `num_examples`; or nothing can be learned from the images.
    """
    pool, test = train.of("train"), test.of("test")
    if data.pool == "train+test":
        pool, test = joined([pool, test]), test.take(np.arange(0))
    if own.by_group and (pool.ids["group"] == "").any():
        raise ValueError(
            "data.pool: train+test, but the examples of the test split are of no group: tell "
            "theirs too, or use `pool: train`"
        )
    if len(pool.labels) == 0:
        raise ValueError(f"the pool of {data.name} is empty: a model needs examples to train on")
    if data.classes is not None:
        _check_classes(data, data.classes, pool.labels, num_classes)
        pool, test = (only(data.classes, split, num_classes) for split in (pool, test))
        num_classes = len(data.classes)
        own = own._replace(class_names=tuple(own.class_names[c] for c in data.classes if own[0]))
    if data.num_examples is not None:
        if data.num_examples > len(pool.labels):
            raise ValueError(
                f"data.num_examples is {data.num_examples}, but the pool of {data.name} has only "
                f"{len(pool.labels)} examples: lower it or leave it out"
            )
        pool = pool.take(balanced(pool.labels, data.num_examples))
    if empty := np.setdiff1d(np.arange(num_classes), pool.labels).tolist():
        remarks = (
            *remarks,
            f"no example of the pool is of the classes {shortened(empty)}, so that no model can "
            "know them: give data.num_examples a number that leaves some of each, or name the "
            "classes that are there in data.classes",
        )
    if own.class_names:
        named = shortened([f"{k} is {name}" for k, name in enumerate(own.class_names)])
        remarks = (*remarks, f"classes by their names: {named}")
    if own.see is not None:
        seen = own.see(pool.images, test.images)
        pool, test = pool._replace(images=seen.pool), test._replace(images=seen.test)
        statistics, remarks = seen.statistics, (*remarks, *seen.remarks)
    if not published:
        look = doubts if pool.images.dtype == np.uint8 else repeated
        remarks = (*remarks, *look(data.name, pool.images, pool.labels, test.images))
    if data.normalize:
        mean, std = statistics or pixel_statistics(pool.images)
    else:
        channels = pool.images.shape[1]
        mean, std = (0.0,) * channels, (1.0,) * channels
    return Dataset(
        *(pool.images, pool.labels, test.images, test.labels),
        num_classes=num_classes,
        mean=mean,
        std=std,
        pool_ids=pool.ids,
        test_ids=test.ids,
        published=published,
        remarks=tuple(remarks),
        class_names=own.class_names,
        by_group=own.by_group,
    )


def only(classes: Sequence[int], whole: Split, num_classes: int) -> Split:
    """Return the examples of these classes, relabelled 0, 1, ... in the order of `classes`."""
    new = np.full(num_classes, -1, dtype=np.int64)
    new[list(classes)] = np.arange(len(classes))
    relabelled = whole._replace(labels=new[whole.labels])
    return relabelled.take(np.flatnonzero(relabelled.labels >= 0))


def balanced(labels: np.ndarray, count: int) -> np.ndarray:
    """Return `count` seeded row numbers, ascending, with as many of each class as can be.

    A class that runs out gives all it has. A smaller draw is a subset of a larger one.

    Args:
        labels: (N,) int.
    """
    return np.sort(np.lexsort((labels, _rank_in_class(labels)))[:count])


def proportional(labels: np.ndarray, count: int) -> np.ndarray:
    """Return `count` seeded row numbers, ascending, with each class's share kept to within one.

    Args:
        labels: (N,) int in [0, C).
    """
    place = (_rank_in_class(labels) + 0.5) / np.bincount(labels)[labels]
    return np.sort(np.lexsort((labels, place))[:count])


def halve(whole: Split, num_test: int, by_group: bool = False) -> tuple[Split, Split]:
    """Return (train, test) with `num_test` test examples, each class in proportion.

    By group, whole groups at random: as near to that number as they come, no class looked at.
    """
    rows = proportional(whole.labels, num_test)
    if by_group:
        rows = whole_groups(whole.ids["group"], num_test)
    return whole.take(np.setdiff1d(np.arange(len(whole.labels)), rows)), whole.take(rows)


def whole_groups(groups: np.ndarray, count: int) -> np.ndarray:
    """Return the row numbers, ascending, of seeded whole groups: about `count`, never all.

    Args:
        groups: (N,), the group of each row.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.RandomState(SEED).permutation(len(sizes))
    taken = np.append(0, sizes[order].cumsum())[:-1]  # rows of the first 0, 1, ... groups
    chosen = order[: int(np.abs(taken - count).argmin())] if len(taken) else order
    return np.flatnonzero(np.isin(group, chosen))


def pixel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, of pixels in [0, 1], to 4 decimals.

    Counted over the 256 grey levels, so that no order of summation can change them. The std of a
    constant channel is given as 1, since images are divided by it.

    Args:
        images: (N, channels, H, W) uint8, not empty.
    """
    counts = np.zeros((images.shape[1], 256), dtype=np.int64)
    for block in np.array_split(images, len(images) // 4096 + 1):
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in block.swapaxes(0, 1)]
    share = counts / counts.sum(axis=1, keepdims=True)
    levels = np.arange(256) / 255
    mean = share @ levels
    std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1)).round(4)
    return tuple(mean.round(4).tolist()), tuple(np.where(std > 0, std, 1.0).tolist())


def _check_classes(
    data: Data, classes: Sequence[int], labels: np.ndarray, num_classes: int
) -> None:
    """Refuse a class that the data does not have, or that has no example in the pool."""
    if unknown := [c for c in classes if c >= num_classes]:
        raise ValueError(
            f"data.classes names {unknown}, but the classes of {data.name} are 0 to "
            f"{num_classes - 1}: choose among these"
        )
    present = np.unique(labels).tolist()
    if empty := [c for c in classes if c not in present]:
        raise ValueError(
            f"data.classes names {empty}, but the pool of {data.name} has examples of {present} "
            "alone: choose among these"
        )


def _rank_in_class(labels: np.ndarray) -> np.ndarray:
    """Return each example's place, from 0, in a seeded random order of its own class."""
    # NumPy promises that RandomState's stream never changes; it does not for default_rng's.
    keys = np.random.RandomState(SEED).permutation(len(labels))
    order = np.lexsort((keys, labels))
    grouped = labels[order]
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.searchsorted(grouped, grouped)
    return rank
