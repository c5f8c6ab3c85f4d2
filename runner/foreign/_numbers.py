"""Whether the numbers of a whole file can be what they are called, and how many of them tie."""

import numpy as np
from scipy.special import expit

from runner.faults import BadAnswers

LEFT = 0.05  # of a row's sum, that rounding to two digits or to bfloat16 takes or adds
SLACK = 1e-3  # by which rounding lets one number leave its range
FLOORED = 0.1  # the share of all numbers that sit on the least one where something was clipped
MEANT = 0.5  # the share of answers that tell which column a label means
TURNED = 0.7  # the share of labels with the smallest logit, from which on its sign is turned
TIED = 0.5  # the share of log-odds that are no example's alone, from which on it is said
WAY_OUT = (
    "write what the network says before softmax; if that is lost, np.log(p) of the "
    "probabilities in float64, though where p rounds to 1 the answers are lost too"
)


class Rows:
    """The rows (R, C) of one file that are called logits; they come a block at a time.

    One row may look like anything, so it is the row in the middle that decides, and the range of
    all numbers: a network whose logits all lie in [0, 1] is sure of nothing, since softmax makes
    of them e / (e + C - 1) at most.
    """

    def __init__(self) -> None:
        self.num, self.entries, self.on_least = 0, 0, 0
        self.of_one, self.of_hundred = 0, 0  # rows that sum to so much
        self.of_sigmoids = 0  # rows whose sigmoids sum to 1
        self.least, self.largest = np.inf, -np.inf

    def add(self, values: np.ndarray) -> None:
        """Look at a block of them, (..., C) float."""
        rows = values.reshape(-1, values.shape[-1])
        least = float(rows.min())
        if least < self.least:
            self.least, self.on_least = least, 0
        self.on_least += int((rows == self.least).sum())
        self.largest = max(self.largest, float(rows.max()))
        self.num += len(rows)
        self.entries += rows.size
        self.of_one += _sum_to(1.0, rows)
        self.of_hundred += _sum_to(100.0, rows)
        if rows.shape[1] > 2:  # of two classes z and -z have it, which logits may well be
            self.of_sigmoids += _sum_to(1.0, expit(rows.astype(np.float64)), within=1e-3)

    def check(self, name: str, told: str) -> None:
        """Refuse probabilities, once all rows have been looked at.

        Raises:
            BadAnswers: they are exact, in percent, rounded or clipped.
        """
        floored = self.least > 0 and self.on_least > FLOORED * self.entries
        if self.of_one > self.num / 2:
            why = "rows of numbers in [0, 1] that sum to 1, but for rounding"
        elif self.of_hundred > self.num / 2:
            why = "rows of numbers in [0, 100] that sum to 100, as percent do"
        elif self.least >= 0 and 0.5 < self.largest <= 1:
            why = "all lie in [0, 1], where logits could be sure of nothing"
        elif floored and 50 < self.largest <= 100:
            why = f"percent that were clipped: all lie in [{self.least:g}, {self.largest:g}]"
        elif self.of_sigmoids > self.num / 2:
            raise BadAnswers(
                told,
                f"{name} are log(p / (1 - p)) of each class: rows whose sigmoids sum to 1",
                "their softmax is not p; write log p as logits, which is -np.logaddexp(0, -values)",
            )
        else:
            return
        raise BadAnswers(told, f"{name} are probabilities: {why}", WAY_OUT)


class Called:
    """Which class the logits of one file answer with, by label; they come a block at a time."""

    def __init__(self, num_classes: int) -> None:
        self.counts = np.zeros((num_classes, num_classes), np.int64)
        self.least = 0  # answers whose label has the smallest logit

    def add(self, logits: np.ndarray, label: np.ndarray) -> None:
        """Count a block of logits (B, C) and labels (B,)."""
        np.add.at(self.counts, (label, logits.argmax(axis=1)), 1)
        self.least += int((logits.argmin(axis=1) == label).sum())

    def check(self, told: str) -> None:
        """Refuse labels that mostly mean another column of the logits, each one of its own.

        Raises:
            BadAnswers: they are counted from 1, say, or columns are in another order; or the sign
                of the logits is turned.
        """
        there = self.counts.sum(axis=1) > 0
        counts = self.counts[there]
        meant, number = counts.argmax(axis=1), self.counts.sum()
        pure = counts.max(axis=1).sum() / number
        right, least = np.trace(self.counts) / number, self.least / number
        if least > max(TURNED, pure) and right < least / 4:
            raise BadAnswers(
                told,
                f"{least:.0%} of the labels have the smallest of their logits, and {right:.0%} the "
                "largest, as of -log p",
                "write logits, or log p: the larger, the likelier the class",
            )
        if pure > MEANT and right < pure / 2 and len(set(meant.tolist())) == len(meant):
            label = int(np.flatnonzero(there)[0])
            raise BadAnswers(
                told,
                f"{right:.0%} of the labels have the largest logit, and {pure:.0%} would under "
                f"other numbers: label {label} is mostly answered as class {meant[0]}",
                "number the labels as the logits' columns, from 0 on",
            )


def tied(odds: np.ndarray) -> str | None:
    """Return a sentence where most log-odds (N,) are no example's alone, else None."""
    _, counts = np.unique(odds, return_counts=True)
    share = 1 - (counts == 1).sum() / len(odds)
    if share <= TIED:
        return None
    return (
        f"{share:.0%} of the log-odds are shared with other examples, as of answers that were "
        "rounded or clipped: their scores tie, and say nothing at small false positive rates"
    )


def _sum_to(whole: float, rows: np.ndarray, within: float = LEFT) -> int:
    """How many rows are numbers from 0 to `whole` that sum to it, within a share of it."""
    inside = (rows.min(1) >= -SLACK * whole) & (rows.max(1) <= (1 + SLACK) * whole)
    sums = rows[inside].sum(axis=1, dtype=np.float64)
    return int((np.abs(sums - whole) <= within * whole).sum())
