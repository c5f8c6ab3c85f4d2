"""Which settings are tried: a list made beforehand, or what Optuna asks for, in generations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ray.tune.search import Searcher

from runner.experiment.sweep import Axis, Setting, Sweep, grid
from runner.sweep.settings import drawn, id_of, rounded


class SettingSource(Protocol):
    """Who names settings, and is told their figures; Tune's searchers are such."""

    def suggest(self, trial_id: str) -> Any: ...

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None: ...


class Listed:
    """Settings that depend on no figures."""

    def __init__(self, settings: Sequence[Setting]) -> None:
        self.settings = iter(settings)

    def suggest(self, trial_id: str) -> Setting:
        return next(self.settings)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        pass


class Generations(Searcher):
    """Tune's searcher over any other: asks it for a whole generation, tells it of all at its end.

    Tune's ConcurrencyLimiter lets a trial that ends before the next one was asked for be told
    alone, and the answers of an adaptive searcher would depend on who was quick. Here they depend
    on figures alone, so the same sweep begun again asks for the same settings. One that was asked
    for before is not measured again, and its figures are told once more.
    """

    def __init__(
        self,
        asked: SettingSource,
        total: int,
        at_once: int,
        opens: Callable[[list[Setting]], object],
        lost: Callable[[str], object],
    ) -> None:
        """
        Args:
            asked: who names the settings.
            total: how many it is asked for.
            at_once: how many of them make a generation.
            opens: called with each generation's new settings before any of them starts.
            lost: called with the id of one whose trial ended in an error.
        """
        super().__init__()
        self.asked, self.left, self.at_once = asked, total, at_once
        self.opens, self.lost = opens, lost
        self.number = 0
        self.generation: list[tuple[str, str]] = []  # the name it was asked by, the setting's id
        self.ready: list[Setting] = []
        self.in_work: dict[str, str] = {}  # Tune's trial -> the setting's id
        self.told: dict[str, dict[str, Any] | None] = {}  # by the setting's id; None: it failed

    def suggest(self, trial_id: str) -> Any:
        """Return the next setting, None while a generation is in work, or FINISHED."""
        while not self.ready and not self.in_work:
            self._tell()
            if not self.left:
                return Searcher.FINISHED
            self._ask()
        if not self.ready:
            return None
        setting = self.ready.pop(0)
        self.in_work[trial_id] = id_of(setting)
        return {"setting": setting}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        setting = self.in_work.pop(trial_id)
        if error:
            self.lost(setting)
        measured = bool(result) and not error and "natural" in result
        self.told[setting] = result if measured else None

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        pass

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a sweep goes on by being asked anew."""

    def restore(self, checkpoint_path: str) -> None:
        raise NotImplementedError("a sweep goes on by being asked anew")

    def _ask(self) -> None:
        """Take the next generation; `ready` gets those of it that were never asked for."""
        new: dict[str, Setting] = {}
        for _ in range(min(self.at_once, self.left)):
            name = f"{self.number:05d}"
            setting = self.asked.suggest(name)
            self.generation.append((name, id_of(setting)))
            if id_of(setting) not in self.told:
                new[id_of(setting)] = setting
            self.number, self.left = self.number + 1, self.left - 1
        self.ready = [*new.values()]
        if new:
            self.opens(self.ready)

    def _tell(self) -> None:
        """Tell of a generation that has ended, in the order of asking."""
        for name, setting in self.generation:
            figures = self.told[setting]
            self.asked.on_trial_complete(name, result=figures, error=figures is None)
        self.generation = []


def asked_by(sweep: Sweep, objectives: Mapping[str, str]) -> SettingSource:
    """Return who names the settings of a sweep.

    Args:
        objectives: key of what is reported -> max or min; Optuna searches by them.
    """
    if sweep.search.name == "optuna":
        return Optuna(sweep, objectives)
    return Listed(grid(sweep) if sweep.search.name == "grid" else drawn(sweep))


class Optuna:
    """Optuna's multi-objective TPE, as Tune has it, over the axes of a sweep."""

    def __init__(self, sweep: Sweep, objectives: Mapping[str, str]) -> None:
        import optuna
        from ray.tune.search.optuna import OptunaSearch

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.axes = sweep.axes
        self.searcher = OptunaSearch(
            space={key: _distribution(axis) for key, axis in sweep.axes.items()},
            metric=[*objectives],  # pyright: ignore[reportArgumentType]
            mode=[*objectives.values()],  # pyright: ignore[reportArgumentType]
            seed=sweep.search.seed,
        )

    def suggest(self, trial_id: str) -> Setting:
        asked = self.searcher.suggest(trial_id)
        assert isinstance(asked, dict)
        return {key: self._value(key, asked[key]) for key in self.axes}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self.searcher.on_trial_complete(trial_id, result=result, error=error)

    def _value(self, key: str, asked: Any) -> Any:
        axis = self.axes[key]
        return rounded(axis, asked) if (listed := axis.listed) is None else listed[asked]


def _distribution(axis: Axis) -> Any:
    """An axis as Optuna knows it: of a list, the position."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if (listed := axis.listed) is not None:
        rising = all(isinstance(v, int | float) for v in listed) and [*listed] == sorted(listed)
        if rising and len(listed) > 1:
            return IntDistribution(0, len(listed) - 1)
        return CategoricalDistribution([*range(len(listed))])
    assert axis.low is not None
    assert axis.high is not None
    if axis.integer:
        return IntDistribution(round(axis.low), round(axis.high), log=axis.scale == "log")
    return FloatDistribution(axis.low, axis.high, log=axis.scale == "log")
