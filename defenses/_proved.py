"""What is proved of a training by DP-SGD: epsilon, the noise of a target, any attack's ceiling."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from defenses._accounting import (
    Accountant,
    Answers,
    Bound,
    answering,
    answers,
    bounds_of,
    calibrated,
    calibrated_to_tpr,
    spent,
)
from defenses._poisson import sampling
from defenses._truncation import Bounded, spent_in_part

if TYPE_CHECKING:
    from defenses._trade_off import Neighbours, TradeOff

MUCH = 1.02  # more noise than this, of what is enough, is told
EXACT = 1.0  # from this epsilon on prv's error takes less than that: `Training.needless`


class Training(NamedTuple):
    """All steps of a training, each on a batch of Poisson sampling."""

    num_members: int
    batch_size: int  # the expected one
    epochs: int  # of round(num_members / batch_size) steps each
    max_batch_size: int | None = None  # a batch that is drawn larger is cut: `Bounded`

    @property
    def rate(self) -> float:
        """The probability of a member to be in a batch."""
        return sampling(self.num_members, self.batch_size)[0]

    @property
    def num_steps(self) -> int:
        return sampling(self.num_members, self.batch_size)[1] * self.epochs

    @property
    def batches(self) -> Bounded | None:
        """Its batches, if their size is bounded."""
        return self._bounded(self.num_members)

    def check(self) -> None:
        """Refuse batches that cannot be had.

        Raises:
            ValueError: there are not so many members, or most batches would be cut.
        """
        sampling(self.num_members, self.batch_size)
        if self.max_batch_size is not None and self.max_batch_size < self.batch_size:
            raise ValueError(
                f"max_batch_size {self.max_batch_size} is below training.batch_size "
                f"{self.batch_size}, so that most batches would be cut; use more, some "
                f"{math.ceil(self.batch_size + 6 * math.sqrt(self.batch_size))}"
            )

    def epsilons(self, noise: float, delta: float, bounds: tuple[Bound, ...]) -> Answers:
        """Return what each of the bounds says of epsilon at a delta, cuts of batches paid for."""
        batches = self.batches

        def by(bound: Bound) -> float:
            at = partial(spent, noise, self.rate, self.num_steps, accountant=bound)
            return at(delta) if batches is None else spent_in_part(at, delta, batches)

        return answers(bounds, by)

    def noise_of_epsilon(self, epsilon: float, delta: float, accountant: Accountant) -> float:
        """Return the smallest noise of an epsilon by an accountant, to 0.1 %.

        Raises:
            ValueError: it finds none.
        """
        if batches := self.batches:
            delta = batches.left(epsilon, delta)
        return calibrated(epsilon, delta, self.rate, self.num_steps, accountant)

    def noise_of_tpr(self, tpr: float, at_fpr: float) -> float:
        """Return the smallest noise at which no attack's TPR exceeds this, to 0.1 %.

        Raises:
            ValueError: there is none.
        """
        batches = self.batches
        cut = batches.cut if batches else 0.0
        return calibrated_to_tpr(tpr, at_fpr, self.rate, self.num_steps, cut)

    def needless(
        self, noise: float, epsilon: float, delta: float, accountant: Accountant
    ) -> float | None:
        """Return the noise that is enough for an epsilon, where an accountant takes MUCH more.

        Quick: one look at noise that is smaller by that, and a search only if it is enough. And no
        look at prv from EXACT on: its epsilon is 0.012 above the exact one at the most, and epsilon
        falls with the noise as fast as 1 / noise or faster, so that prv's noise is enough within
        a factor of epsilon / (epsilon - 0.012).

        Args:
            noise: of the epsilon by that accountant.
        """
        by, _ = answering(accountant, delta)
        if by == "best" or (by == "prv" and epsilon >= EXACT):
            return None
        bounds = bounds_of("best", self.rate, delta)
        try:
            if self.epsilons(noise / MUCH, delta, bounds).smallest.epsilon > epsilon:
                return None
            return self.noise_of_epsilon(epsilon, delta, "best")
        except ValueError:
            return None

    def ceiling(self, noise: float, neighbours: Neighbours = "added", copies: int = 1) -> TradeOff:
        """Return the ceiling of any membership attack; `_trade_off` says what it is of."""
        from defenses._trade_off import trade_off

        found = trade_off(noise, self.rate, self.num_steps, neighbours, copies)
        batches = self._bounded(self.num_members + copies - 1)
        return found.blurred(batches.cut) if batches else found

    def _bounded(self, num_members: int) -> Bounded | None:
        """Its batches with so many members."""
        most = self.max_batch_size
        return None if most is None else Bounded(num_members, self.rate, most, self.num_steps)
