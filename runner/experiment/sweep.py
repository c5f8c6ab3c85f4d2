"""The schema of a sweep: which keys of the experiment are varied, how, and what is looked for."""

import itertools
import json
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from attacks.by_name import Keys

Rate = Annotated[float, Field(gt=0, lt=1)]
Within = Annotated[float, Field(ge=0, le=1)]
Setting = dict[str, Any]  # value by axis, a dotted key


class Axis(Keys):
    """The values of one dotted key: a list, a grid (`num` of them), or a distribution.

    In YAML a plain list is short for `{values: [...]}`. A value may also be a whole mapping, such
    as another `base`. `also: [key]` moves other keys along; `also: {key: 0.25}` in proportion.
    """

    values: tuple[Any, ...] | None = Field(default=None, min_length=1)
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    num: Annotated[int, Field(ge=2)] | None = None  # low and high included; None: a distribution
    integer: bool = False
    also: dict[str, float | str] = {}  # other dotted keys: so many times the value, as 5/12

    @model_validator(mode="before")
    @classmethod
    def _list_is_short_for_values(cls, data: Any) -> Any:
        return {"values": data} if isinstance(data, list | tuple) else data

    @field_validator("also", mode="before")
    @classmethod
    def _list_is_short_for_once(cls, also: Any) -> Any:
        keys = also if isinstance(also, list | tuple | dict) else [None]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError(f"expected dotted keys, or a factor for each, got {also!r}")
        return also if isinstance(also, dict) else dict.fromkeys(also, 1)

    @field_validator("low", "high", mode="before")
    @classmethod
    def _fractions_are_numbers(cls, value: Any) -> Any:
        return times(value, 1) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _either_values_or_a_range(self) -> Self:
        if (self.values is None) == (self.low is None or self.high is None) or (
            self.values is not None and (self.low is not None or self.high is not None)
        ):
            raise ValueError("give either a list of values, or both `low` and `high`")
        if self.integer and any(end is not None and end % 1 for end in (self.low, self.high)):
            raise ValueError("whole numbers have whole ends: `low` and `high`")
        if self.values is not None and (self.num or self.integer or self.scale != "linear"):
            raise ValueError("`scale`, `num` and `integer` belong to `low` and `high`")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"`low` must be below `high`, got {self.low:g} and {self.high:g}")
        if self.low is not None and not self.integer and f"{self.low:.6g}" == f"{self.high:.6g}":
            raise ValueError(
                f"`low` {self.low} and `high` {self.high} are the same to six digits, which "
                "settings have; give `values`"
            )
        if self.values is not None:
            for one, other in itertools.combinations(self.values, 2):
                if _same(one, other):
                    raise ValueError(
                        f"{json.dumps(one)} stands twice among the values; keep one of them"
                    )
        if self.scale == "log" and self.low is not None and self.low <= 0:
            raise ValueError(f"a logarithmic scale begins above 0, got low: {self.low:g}")
        for factor in (f for f in self.also.values() if f != 1):
            for value in self.values or (1,):
                times(value, factor)
        return self

    @property
    def listed(self) -> tuple[Any, ...] | None:
        """The values of a list or a grid; None of a distribution."""
        if self.values is not None or self.num is None:
            return self.values
        assert self.low is not None
        assert self.high is not None
        steps = [i / (self.num - 1) for i in range(self.num)]
        if self.scale == "log":
            found = [self.low * (self.high / self.low) ** step for step in steps]
        else:
            found = [self.low + (self.high - self.low) * step for step in steps]
        found = [self.low, *found[1:-1], self.high]
        rounded = [round(v) if self.integer else float(f"{v:.6g}") for v in found]
        return tuple(dict.fromkeys(rounded))


class Search(Keys):
    """Who chooses the settings.

    grid: every combination. random: drawn independently. optuna: its multi-objective TPE, on what
    the first rung shows of natural accuracy, robust accuracy and leakage.
    """

    name: Literal["grid", "random", "optuna"] = "grid"
    num_trials: PositiveInt | None = None  # random and optuna
    at_once: PositiveInt = 4  # settings in work together; they are compared with each other
    seed: NonNegativeInt = 0

    @model_validator(mode="after")
    def _trials_are_counted(self) -> Self:
        if (self.name == "grid") == (self.num_trials is not None):
            raise ValueError("`num_trials` goes with random and optuna, and they need it")
        return self


class Objectives(Keys):
    """What settings are compared by, beside natural accuracy. None: the experiment's first."""

    robustness: str | None = None  # an evasion attack
    membership: str | None = None  # a membership attack
    false_positive_rate: Rate | None = 0.001  # of the true positive rate; None: the AUC instead


class Constraint(Keys):
    """How far below the base a recommended setting's accuracies may lie; None: anywhere."""

    robust_within: Within | None = 0.01
    natural_within: Within | None = None


class Sweep(Keys):
    """A search over settings of one arm. `runner sweep` does it; `run` leaves it alone.

    Rungs are numbers of models: a setting that is no worse than another beyond the intervals goes
    on to the next one, and keeps the models that it has. Where settings are asked differently none
    is compared with another: all go on, and none is recommended.
    """

    arm: str  # whose figures are compared
    base: str | None = None  # the arm that the constraint measures from
    axes: dict[str, Axis] = Field(min_length=1)
    search: Search = Search()
    rungs: tuple[Annotated[int, Field(ge=6, multiple_of=2)], ...] = (8, 16)
    objectives: Objectives = Objectives()
    constraint: Constraint = Constraint()

    @property
    def alike(self) -> bool:
        """Whether all settings are asked the same, so that one can be better than another.

        A sweep over the radius of the evaluation, say, draws curves, and has no best setting.
        """
        keys = [key for axis, own in self.axes.items() for key in (axis, *own.also)]
        return not any(key.split(".")[0] in ("answers", "robustness", "membership") for key in keys)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"rungs: expected growing numbers of models, got {list(self.rungs)}")
        endless = [key for key, axis in self.axes.items() if axis.listed is None]
        if self.search.name == "grid" and endless:
            raise ValueError(
                f"axes.{endless[0]}: a grid needs values, or `num` of them; or use search: random"
            )
        return self


def grid(sweep: Sweep) -> list[Setting]:
    """Return every combination of the axes' values, the last axis running fastest."""
    values = [axis.listed or () for axis in sweep.axes.values()]
    return [dict(zip(sweep.axes, each, strict=True)) for each in itertools.product(*values)]


def num_asked(sweep: Sweep) -> int:
    """Return how many settings a search asks for; some of them may be the same."""
    return sweep.search.num_trials or len(grid(sweep))


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one: 1 and 1.0 are, 1 and true are not."""
    numbers = [type(value) in (int, float) for value in (one, other)]
    return one == other if all(numbers) else json.dumps(one) == json.dumps(other)


def times(value: Any, factor: Any) -> float:
    """Return a multiple of a number; both may be written as fractions, and nothing is rounded.

    Raises:
        ValueError: one of them is no number.
    """
    try:
        return float(Fraction(str(value)) * Fraction(str(factor)))
    except (ValueError, ZeroDivisionError):
        why = f"`also` takes multiples of numbers, got {value!r} times {factor!r}"
        raise ValueError(why) from None
