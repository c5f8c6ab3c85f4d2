"""The schema of an experiment's YAML."""

from typing import Annotated, Any, Literal, Self

import torch
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)
from pydantic import ValidationError as Invalid
from pydantic_core import InitErrorDetails, PydanticCustomError
from torch import nn

from attacks.by_name import ByName, Keys, unknown
from attacks.evasion import EvasionAttack
from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from defenses import Defense, Wrapper
from runner.augment import VIEWS
from runner.data import Data
from runner.ids import digest
from runner.metrics import Rule
from runner.models import ImageShape, Model

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=60)]  # names a folder
Rate = Annotated[float, Field(gt=0, lt=1)]


class Schedule(Keys):
    """How the learning rate moves from `lr` with the epochs done, fractions of them included."""

    name: Literal["constant", "cosine", "step"] = "cosine"
    warmup_epochs: NonNegativeFloat = 0.0  # linear, from 0
    milestones: tuple[PositiveFloat, ...] = ()  # step only: epochs at which lr is multiplied
    factor: PositiveFloat = 0.1  # step only

    @model_validator(mode="after")
    def _steps_have_milestones(self) -> Self:
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("`milestones` go with `name: step`, and `step` needs them")
        return self


class Training(Keys):
    """The recipe, shared by all arms; an arm may override keys of it."""

    epochs: PositiveInt
    batch_size: PositiveInt = 128  # over all workers of one Run
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: PositiveFloat = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NonNegativeFloat = 5e-4
    schedule: Schedule = Schedule()
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto looks at the hardware

    @model_validator(mode="after")
    def _can_train(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a momentum above 0")
        if self.schedule.warmup_epochs > self.epochs:
            raise ValueError(
                f"schedule.warmup_epochs: {self.schedule.warmup_epochs:g} is longer than the "
                f"{self.epochs} epochs of training"
            )
        return self


class Design(Keys):
    """How the member matrix is drawn, two models at a time.

    pairs: complementary halves of the pool, as in LiRA.
    quarters: the pool is halved at random, a half for each model of the pair, and each is trained
    on half of its half and judged on all of it. Each is the other's shadow model: the protocol of
    residual perturbation's paper, section IV-A, and of Salem et al. (2018).
    """

    name: Literal["pairs", "quarters"] = "pairs"
    num_models: PositiveInt = 16


class Arm(Keys):
    """One defended recipe. `model` and `training` override single keys of the experiment's."""

    defense: Annotated[Defense, ByName("defenses")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training

    def network(self, shape: ImageShape) -> nn.Module:
        """Return the network as it is trained, on the meta device: its shape, without numbers.

        Raises:
            ValueError: the defense cannot be built into this model.
        """
        with torch.device("meta"):
            return self.defense.build(lambda: self.model.build(shape))

    def remarks(self, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of this arm's figures must know."""
        with torch.device("meta"):
            return self.defense.remarks(self.model.build(shape))


class Answers(Keys):
    """What every model is asked about every example of the pool.

    A randomized model is asked for one draw of its noise, which is what one query shows, and for
    the mean of the class probabilities over `draws` of them, which is what a patient attacker or
    user has. Every figure of such a model stands for both.
    """

    views: tuple[str, ...] = Field(default=("identity",), min_length=1)
    draws: PositiveInt = 10  # of a randomized model; others answer the same each time

    def settled(self, randomized: bool) -> Self:
        """Return what a model is asked: one draw, unless it is randomized."""
        return self if randomized else self.model_copy(update={"draws": 1})

    @property
    def id(self) -> str:
        """The folder name of this question: another one never overwrites its answers."""
        facts = self.model_dump(mode="json", exclude={"draws"} if self.draws == 1 else None)
        return f"views{len(self.views)}-{digest(facts)}"

    @field_validator("views")
    @classmethod
    def _known_once(cls, views: tuple[str, ...]) -> tuple[str, ...]:
        strange = [view for view in views if view not in VIEWS]
        if strange:
            raise ValueError("; ".join(unknown("view", view, VIEWS) for view in strange))
        if len(set(views)) < len(views):
            raise ValueError("a view stands here twice; it would count twice in every score")
        return views


class Robustness(Keys):
    """Evasion attacks on every model, and on which images: the test split, or its non-members."""

    on: Literal["test", "non_members"] = "test"
    num_examples: PositiveInt | None = None  # the first so many of them; None: all
    attacks: dict[Name, Annotated[EvasionAttack, ByName("attacks.evasion")]] = {}

    def settled(self, randomized: bool) -> Self:
        """Return the attacks as they are run on a model."""
        attacks = {name: attack.settled(randomized) for name, attack in self.attacks.items()}
        return self.model_copy(update={"attacks": attacks})

    def id(self, attack: str | None, draws: int) -> str:
        """Return the folder name of one attack's outcome; attack None is the natural images.

        Args:
            draws: of the model's noise, over which its answers are averaged.
        """
        chosen = self.attacks[attack] if attack else None
        facts: dict[str, Any] = {"draws": draws} if draws > 1 else {}
        facts |= {
            "on": self.on,
            "num_examples": self.num_examples,
            "attack": chosen.model_dump(mode="json") if chosen else None,
        }
        return f"{chosen.name if chosen else 'natural'}-{self.on}-{digest(facts)}"


class Membership(Keys):
    """Membership attacks on every model as target, and the false positive rates to report at."""

    attacks: dict[Name, Annotated[MembershipAttack, ByName("attacks.membership")]] = Field(
        default={"lira_online": Lira()}, min_length=1
    )
    false_positive_rates: tuple[Rate, ...] = Field(
        default=(0.1, 0.01, 0.001, 0.00001), min_length=1
    )
    tpr_rule: Rule = "step_le"  # how a TPR at an FPR is read off the curve; public codes differ
    thresholds: tuple[Rate, ...] = (0.5, 0.6, 0.7, 0.8)  # precision and recall of probabilities


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


class Report(Keys):
    """What figures are drawn against: a number of the defenses, such as gamma. Moves no figure."""

    against: str | None = None
    by: str | None = None  # a line for each value of this number of the defenses
    baseline: Name | None = None  # the arm that stands at 0 of every line


class Fleet(Keys):
    """What one worker gets, and how many workers train one model together. Moves no figure."""

    num_cpus: PositiveInt = 1
    num_gpus: NonNegativeFloat = 0.0  # 1/k of a GPU, or whole ones
    workers_per_run: PositiveInt = 1
    max_workers: PositiveInt | None = None  # per node; None: as many as have room
    checkpoint_every_s: NonNegativeFloat = 10.0

    @model_validator(mode="after")
    def _room_for_a_run(self) -> Self:
        if self.max_workers and self.max_workers < self.workers_per_run:
            raise ValueError("`max_workers` is below `workers_per_run`, so no Run could start")
        return self

    @field_validator("num_gpus")
    @classmethod
    def _whole_shares(cls, num_gpus: float) -> float:
        if 0 < num_gpus < 1 and abs(1 / num_gpus - round(1 / num_gpus)) > 0.01:
            raise ValueError(f"a share of a GPU is 1/k (0.5, 0.25, ...), got {num_gpus}")
        if num_gpus > 1 and num_gpus != int(num_gpus):
            raise ValueError(f"more than one GPU means whole GPUs, got {num_gpus}")
        return num_gpus


class Experiment(Keys):
    """One YAML."""

    name: Name
    description: str = ""  # printed at the top of the report
    seed: NonNegativeInt = 0
    data: Annotated[Data, ByName("runner.data")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training
    design: Design = Design()
    arms: dict[Name, Arm] = Field(min_length=1)
    answers: Answers = Answers()
    robustness: Robustness = Robustness()
    membership: Membership = Membership()
    guarantee: Stated = Stated()
    report: Report = Report()
    fleet: Fleet = Fleet()

    def questions(self, defense: Defense) -> tuple[Answers, Robustness]:
        """Return what a model of this defense is asked, and how it is attacked."""
        randomized = defense.randomized
        return self.answers.settled(randomized), self.robustness.settled(randomized)

    @model_validator(mode="before")
    @classmethod
    def _fill_arms(cls, data: Any) -> Any:
        """Give each arm the experiment's model and training, its own keys on top."""
        if not isinstance(data, dict) or not isinstance(data.get("arms"), dict):
            return data
        shared = {key: data[key] for key in ("model", "training") if key in data}
        arms = {
            name: {**arm, **{key: _merged(shared[key], arm.get(key, {})) for key in shared}}
            if isinstance(arm, dict)
            else arm
            for name, arm in data["arms"].items()
        }
        return {**data, "arms": arms}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        from runner.refusals import faults_of  # it reads the classes above

        faults = [
            InitErrorDetails(
                type=PydanticCustomError("fault", "{why}", {"why": why}), loc=at, input=0
            )
            for at, why in faults_of(self)
        ]
        if faults:
            raise Invalid.from_exception_data("Experiment", faults)
        return self


def dials(defense: Defense) -> dict[str, float]:
    """Return every number among a defense's fields, and its base's where the names differ."""
    found = dials(defense.base) if isinstance(defense, Wrapper) else {}
    own = {key: getattr(defense, key) for key in type(defense).model_fields}
    numbers = {k: v for k, v in own.items() if isinstance(v, int | float)}
    return found | {k: float(v) for k, v in numbers.items() if not isinstance(v, bool)}


def _merged(shared: Any, own: Any) -> Any:
    """The shared keys with an arm's own on top; null removes one, another `name` starts afresh."""
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    if "name" in shared and own.get("name", shared["name"]) != shared["name"]:
        return own
    merged = {**shared, **{key: _merged(shared.get(key), value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}
