"""How answers are judged, and what is told of them: blocks of an experiment's YAML."""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from attacks.by_name import ByName, Keys
from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from attacks.membership.rmia import RMIA
from runner.experiment.questions import Name
from runner.experiment.sweep import Rate
from runner.statistics.averages import Averaging
from runner.statistics.metrics import Rule
from runner.storage.ids import generator_of


def _apart(numbers: tuple[float, ...]) -> tuple[float, ...]:
    """The numbers, which name the figures at them by six digits."""
    for one, other in combinations(numbers, 2):
        if f"{one:g}" == f"{other:g}":
            raise ValueError(
                f"{one!r} and {other!r} are the same to six digits, by which their figures are "
                "named; keep one of them"
            )
    return numbers


Rates = Annotated[tuple[Rate, ...], AfterValidator(_apart)]


MEAN_RANK, STRONGEST = "mean_rank", "strongest"  # what several attacks come to, by one name each
COMBINED = ("lira", "rmia")  # which attacks are combined where nobody chose


class Membership(Keys):
    """Membership attacks on every model as target, and the false positive rates to report at."""

    attacks: dict[Name, Annotated[MembershipAttack, ByName("attacks.membership")]] = Field(
        default={"lira_online": Lira(), "lira_offline": Lira(mode="offline"), "rmia": RMIA()},
        min_length=1,
    )
    combine: tuple[Name, ...] | None = None  # by their mean rank; None: the first LiRA and RMIA
    false_positive_rates: Rates = Field(default=(0.1, 0.01, 0.001, 0.00001), min_length=1)
    tpr_rule: Rule = "step_le"  # how a TPR at an FPR is read off the curve; public codes differ
    prior: Rate = 0.01  # share of members among those an attacker looks at, for predictive values
    num_resamples: Annotated[int, Field(ge=2)] = 200  # of the examples, for intervals
    thresholds: Rates = (0.5, 0.6, 0.7, 0.8)  # precision and recall of probabilities

    @model_validator(mode="after")
    def _names_apart(self) -> Self:
        if taken := {MEAN_RANK, STRONGEST} & self.attacks.keys():
            raise ValueError(
                f"{', '.join(sorted(taken))} is what several attacks come to together; give the "
                "attack another name"
            )
        if (named := self.combine) and not 1 < len(named) == len(set(named)):
            raise ValueError(
                f"`combine` names two attacks or more, each once, or none ([]), got {[*named]}"
            )
        return self

    @property
    def combined(self) -> tuple[str, ...]:
        """The attacks whose ranks are averaged, settled before any of them has been seen."""
        if self.combine is not None:
            return self.combine
        first = {attack.name: name for name, attack in reversed(self.attacks.items())}
        found = tuple(first[kind] for kind in COMBINED if kind in first)
        return found if len(found) == len(COMBINED) else ()

    @property
    def readings(self) -> dict[str, MembershipAttack | None]:
        """Every reading of the answers by its name; None: the combination."""
        return {**self.attacks, **({MEAN_RANK: None} if self.combined else {})}


class Memorization(Keys):
    """Leakage and accuracy of examples by how much they are memorized.

    Scores are those of an arm's own models (Feldman and Zhang, 2020), from the first half of its
    pairs, and the leakage of all arms is then that of the other half. Or they are read from a
    published file that covers the first so many rows of the data's file; the others are not judged.
    """

    arm: Name | None = None  # whose models give the scores
    file: Path | None = None  # .npz with `tr_mem` and `tr_labels`, as Feldman and Zhang's
    attack: Name | None = None  # a membership attack; None: the first
    false_positive_rate: Rate = 0.001  # at one threshold for all bins
    num_bins: PositiveInt = 20  # of (0, 1]; 0 has one of its own

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.arm is None) == (self.file is None):
            raise ValueError(
                "give either `arm`, whose own models are scored, or `file`, a published .npz"
            )
        return self


class Vulnerable(Keys):
    """Which examples an attack finds in nearly every model that was trained on them."""

    attack: Name | None = None  # a membership attack; None: the first
    false_positive_rate: Rate = 0.01  # at each target's own threshold
    at_least: Annotated[float, Field(gt=0, le=1)] = 0.9  # of the models trained on an example
    num_shown: NonNegativeInt = 24  # in the report, the most vulnerable ones


class Averages(Keys):
    """Over which models figures are averaged, and how wide their intervals are.

    bootstrap: of leakage, over pairs of models, which are not independent of each other, and over
    examples; of accuracies as `t`. t: Student's t over pairs of models, the examples as they are.
    normal: 1.96 standard errors over models, as if they were independent; DeMem's official code
    has it.
    """

    num_models: PositiveInt | None = None  # drawn by the experiment's seed; None: all
    interval: Literal["bootstrap", "t", "normal"] = "bootstrap"

    def over(self, partner: np.ndarray, seed: int) -> Averaging:
        """Return which models are averaged over, and how.

        Args:
            partner: (M,) int, as in the plan.
            seed: draws the models where not all count.
        """
        models = np.arange(len(partner))
        if self.num_models is not None and self.num_models < len(models):
            generator = generator_of(seed, "averages")
            models = np.sort(generator.choice(len(models), self.num_models, replace=False))
        return Averaging(models, partner, self.interval)


class Stated(Keys):
    """At which delta guarantees are stated, and the bounds that theorems take for granted.

    Nothing enforces the bounds. G: of a residual mapping's expected output; R: of the input; B: of
    a residual mapping's output; a: of the last layer's weights; all in l2 norm. Moves no figure.
    """

    delta: Rate = 1e-5
    G: PositiveFloat | None = None
    R: PositiveFloat | None = None
    B: PositiveFloat | None = None
    a: PositiveFloat | None = None

    @property
    def assumed(self) -> dict[str, float]:
        """The bounds that are given, by their letter."""
        return {k: v for k, v in self.model_dump(exclude={"delta"}).items() if v is not None}


class LowerBounds(Keys):
    """Lower bounds on epsilon, with `design.name: canaries`.

    The attacker names so many canaries as in, those that score highest, and as many as out. All
    shares are counted as tried, so a share that helps nobody costs a little of every bound.
    """

    guesses: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], AfterValidator(_apart)] = (
        Field(default=(0.1, 0.5, 0.9), min_length=1)
    )  # shares of the canaries that are named at all
    confidence: Rate = 0.95


class AuditSettings(NamedTuple):
    """How answers are judged, whoever trained the models that gave them."""

    name: str
    description: str
    seed: int
    membership: Membership
    averages: Averages
    vulnerable: Vulnerable
    guarantee: Stated

    @classmethod
    def of(cls, asked: Keys) -> Self:
        """Return the settings among the fields of a YAML, which have the same names."""
        return cls(*(getattr(asked, name) for name in cls._fields))

    def over(self, partner: np.ndarray) -> Averaging:
        """Return how figures are averaged over models, of which each has its partner (M,) int."""
        return self.averages.over(partner, self.seed)
