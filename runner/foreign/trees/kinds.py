"""What a model's numbers are, told by the numbers, and what they say in our terms."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.special import expit

from runner.faults import BadAnswers
from runner.foreign.trees.axes import Numbers
from runner.statistics import metrics

Said = Literal[
    "logits", "probabilities", "class log-odds", "log-odds", "p of the label", "one logit"
]
WORDS: dict[Said, str] = {
    "logits": "logits",
    "probabilities": "probabilities, of which log p and log(p / (1 - p)) are taken in float64",
    "class log-odds": "log(p / (1 - p)) of each class: sigmoids of a row sum to 1",
    "log-odds": "log-odds of the label",
    "p of the label": "probabilities of the label, of which log(p / (1 - p)) is taken in float64",
    "one logit": "one logit z of two classes, read as [0, z]",
}
NEAR_ONE = 0.05  # by which rounding moves the sum of a row of probabilities
FEW = 1000  # distinct numbers, or fewer, that so many probabilities never are unless rounded
MANY = 200  # numbers, from which on it is asked how many are distinct
CLIPPED = 0.02  # the share of probabilities on their least or largest from which on it is a clip
TOLD_BY_SIGN = 0.7  # the AUC of one logit for the label, or 1 less it, from which on it is one


class Told(NamedTuple):
    """What the numbers of a model are."""

    said: Said
    saturated: int  # that are 1, or 0, or infinite, where nothing tells them apart
    note: str = ""


def told_of(numbers: Numbers, labels: np.ndarray | None, place: str) -> Told:
    """Return what all numbers of a model are.

    Args:
        labels: (N,) int.

    Raises:
        BadAnswers: they were rounded or clipped, or say only who was right.
    """
    look = _Look()
    for block in numbers.blocks():
        look.add(block, "C" in numbers.axes)
    if look.nans:
        raise BadAnswers(place, f"{look.nans} numbers are NaN", "ask the model again in float32")
    if look.zero_or_one == look.number:
        why = "who was right is all that is stored: no logits and no log-odds"
        raise BadAnswers(place, why, "ask the models for logits")
    if "C" in numbers.axes:
        if look.sum_to_one > look.rows / 2:
            _check_digits(look, place)
            return Told("probabilities", look.ones)
        if look.sigmoids > look.rows / 2:
            return Told("class log-odds", 0)
        return Told("logits", 0)
    if look.least >= 0 and 0.5 < look.largest <= 1:
        _check_digits(look, place)
        return Told("p of the label", look.ones + look.zeros)
    if len(numbers.shape) == 1 and labels is not None and set(np.unique(labels)) == {0, 1}:
        every = np.concatenate([*numbers.blocks()]).astype(np.float64)
        told = metrics.auc(every, labels == 1)
        if told > TOLD_BY_SIGN:
            return Told("one logit", 0)
        if told < 1 - TOLD_BY_SIGN:
            why = f"one logit of two classes is larger where the label is 0 (AUC {told:.2f})"
            raise BadAnswers(place, why, "turn the labels or the sign of the logits round")
    return Told("log-odds", look.infinite)


def columns_of(values: np.ndarray, said: Said, label: np.ndarray) -> dict[str, np.ndarray]:
    """Return a block as the columns of answers that `runner.foreign.answered.block_of` takes.

    p = 0 and p = 1 are where the digits end: half of the least number that is not 0, and half of
    the last digit below 1.

    Args:
        values: (B, [V], [C]) float.
        label: (B,) int.
    """
    if said == "logits":
        return {"logits": _floats(values)}
    if said == "one logit":
        return {"logits": np.stack([np.zeros_like(values), values], axis=-1)}
    least, below_one = _ends(values.dtype)
    values = values.astype(np.float64)
    if said == "log-odds":
        return {"log_odds": np.clip(values, np.log(least), -np.log(least))}
    if said == "p of the label":
        p = np.clip(values, least, 1 - below_one)
        return {"log_odds": np.log(p) - np.log1p(-p)}
    at = label.reshape(-1, *[1] * (values.ndim - 1))
    true = np.take_along_axis(values, at, axis=-1)[..., 0]
    if said == "class log-odds":
        return {"log_odds": true, "logits": -np.logaddexp(0, -values)}
    others = values.copy()
    np.put_along_axis(others, at, 0.0, axis=-1)
    odds = np.log(np.maximum(true, least)) - np.log(np.maximum(others.sum(axis=-1), least))
    return {"log_odds": odds, "logits": np.log(np.maximum(values, least))}


def _floats(values: np.ndarray) -> np.ndarray:
    return values if values.dtype in (np.float16, np.float32) else values.astype(np.float64)


def _ends(dtype: np.dtype) -> tuple[float, float]:
    """Half of the least number above 0, and half of the last digit below 1, that a kind has."""
    kind = np.finfo(dtype)
    least = max(float(kind.smallest_subnormal) / 2, 5e-324)
    return least, float(kind.epsneg) / 2


class _Look:
    """What is counted of all numbers, a block at a time."""

    def __init__(self) -> None:
        self.rows = self.number = self.nans = self.infinite = self.zero_or_one = 0
        self.ones = self.zeros = self.sum_to_one = self.sigmoids = 0
        self.least, self.largest = np.inf, -np.inf
        self.on_least = self.on_largest = 0
        self.dtype = np.dtype(np.float32)
        self.distinct: set[float] = set()
        self.some: list[np.ndarray] = []

    def add(self, values: np.ndarray, by_class: bool) -> None:
        self.dtype = values.dtype
        self.number += values.size
        self.nans += int(np.isnan(values).sum())
        self.infinite += int(np.isinf(values).sum())
        ones, zeros = int((values == 1).sum()), int((values == 0).sum())
        self.ones, self.zeros = self.ones + ones, self.zeros + zeros
        self.zero_or_one += ones + zeros
        least, largest = float(np.min(values)), float(np.max(values))
        self.on_least *= self.least <= least
        self.on_largest *= self.largest >= largest
        self.least, self.largest = min(self.least, least), max(self.largest, largest)
        self.on_least += int((values == self.least).sum())
        self.on_largest += int((values == self.largest).sum())
        if len(self.distinct) <= FEW:
            self.distinct.update(np.unique(values.ravel()[: 100 * FEW])[: FEW + 1].tolist())
        self.some.append(values.ravel()[:1000])
        if by_class:
            rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
            self.rows += len(rows)
            inside = (rows.min(axis=1) >= -1e-3) & (rows.max(axis=1) <= 1 + 1e-3)
            self.sum_to_one += int((inside & (np.abs(rows.sum(axis=1) - 1) <= NEAR_ONE)).sum())
            if rows.shape[1] > 2:
                sums = expit(rows).sum(axis=1)
                self.sigmoids += int((np.abs(sums - 1) <= 1e-3).sum())


def _check_digits(look: _Look, place: str) -> None:
    """Refuse probabilities that were rounded or clipped.

    Raises:
        BadAnswers: near 1, where members are, nothing tells them apart.
    """
    way_out = "write logits, or probabilities in full precision: %.17g of float64"
    some = np.concatenate(look.some).astype(np.float64)
    for digits in range(1, 7):
        if (np.abs(some * 10**digits - np.rint(some * 10**digits)) < 1e-5).all():
            ends = f"{0:.{digits}f} and {1:.{digits}f} say nothing"
            why = f"probabilities rounded to {digits} decimals: {ends}"
            raise BadAnswers(place, why, way_out)
    if look.dtype == np.float16:
        why = "probabilities in float16: three digits, so that 1.000 says nothing"
        raise BadAnswers(place, why, way_out)
    if look.number > MANY and len(look.distinct) <= min(FEW, look.number // 10):
        why = f"probabilities rounded to {len(look.distinct)} distinct values"
        raise BadAnswers(place, why, way_out)
    for end, on_it, inside in (
        (look.least, look.on_least, look.least > 0),
        (look.largest, look.on_largest, look.largest < 1),
    ):
        if inside and on_it > max(3, CLIPPED * look.number):
            why = f"probabilities clipped at {end:g}, which {on_it} of {look.number} are"
            raise BadAnswers(place, why, way_out)
