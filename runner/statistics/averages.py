"""Means over models: over which, and how wide their intervals are."""

from typing import Literal, NamedTuple

import numpy as np

from runner.statistics.intervals import (
    ERROR,
    Bounds,
    Interval,
    bootstrap_interval,
    mean_interval,
    normal_interval,
)


class Averaging(NamedTuple):
    """Which models figures are averaged over, and how wide their intervals are."""

    models: np.ndarray  # (K,) int64, growing
    partner: np.ndarray  # (M,) int64, the other model of each one's pair
    interval: Literal["bootstrap", "t", "normal"] = "bootstrap"
    error: float = ERROR  # how often an interval may miss

    def mean(self, values: np.ndarray, bounds: Bounds = (0.0, 1.0)) -> Interval:
        """Return the mean of (M,) values over the chosen models.

        Raises:
            ValueError: one of theirs is not finite.
        """
        return self._over(self.models, np.asarray(values), bounds)

    def mean_where_defined(self, values: np.ndarray) -> Interval | None:
        """Return the mean over the chosen models whose value is finite; None if there is none."""
        values = np.asarray(values)
        there = self.models[np.isfinite(values[self.models])]
        return self._over(there, values, (0.0, 1.0)) if len(there) else None

    def leakage(
        self, point: np.ndarray, replicates: np.ndarray, bounds: Bounds = (0.0, 1.0)
    ) -> Interval:
        """Return the mean of (M,) figures of membership attacks over the chosen models.

        Args:
            replicates: (M, R), the same figures under resamples of the examples; read where the
                interval is to hold for new examples too.

        Raises:
            ValueError: a figure is not finite.
        """
        if self.interval != "bootstrap":
            return self.mean(point, bounds)
        some = np.asarray(replicates)[self.models]
        point = np.asarray(point)[self.models]
        return bootstrap_interval(point, some, self._partners(self.models), bounds, self.error)

    def units(self) -> np.ndarray:
        """Return which unit of an interval each chosen model belongs to, (K,) int from 0 on.

        A pair is one, and so is a model whose partner is not chosen; by `normal` each model.
        """
        partner = self._partners(self.models)
        places = np.arange(len(self.models))
        if self.interval == "normal":
            return places
        return np.unique(
            np.where(partner < 0, places, np.minimum(places, partner)), return_inverse=True
        )[1]

    def _over(self, models: np.ndarray, values: np.ndarray, bounds: Bounds) -> Interval:
        if self.interval == "normal":
            return normal_interval(values[models], bounds, self.error)
        return mean_interval(values[models], self._partners(models), bounds, self.error)

    def _partners(self, models: np.ndarray) -> np.ndarray:
        """The position among some models of each one's partner; -1 where it is none of them."""
        place = {int(model): i for i, model in enumerate(models)}
        return np.array([place.get(int(self.partner[model]), -1) for model in models])
