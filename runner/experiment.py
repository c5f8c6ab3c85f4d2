"""The schema of an experiment's YAML, and every refusal that concerns more than one field."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

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

from attacks.by_name import ByName, Keys, unknown
from attacks.evasion import EvasionAttack
from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from defenses import Defense
from runner.augment import VIEWS
from runner.data import Data
from runner.ids import digest
from runner.metrics import Rule
from runner.models import Model

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
    """How the member matrix is drawn: `pairs` are complementary halves of the pool, as in LiRA."""

    name: Literal["pairs"] = "pairs"
    num_models: PositiveInt = 16

    @field_validator("num_models")
    @classmethod
    def _whole_pairs(cls, num_models: int) -> int:
        if num_models % 2:
            raise ValueError(f"`pairs` trains models two by two: {num_models} is odd")
        if num_models < 6:
            raise ValueError(
                f"{num_models} models leave fewer than two others in each class once a target and "
                "its partner are left out; use 6 or more"
            )
        return num_models


class Arm(Keys):
    """One defended recipe. `model` and `training` override single keys of the experiment's."""

    defense: Annotated[Defense, ByName("defenses")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training


class Answers(Keys):
    """What every model is asked about every example of the pool."""

    views: tuple[str, ...] = Field(default=("identity",), min_length=1)

    @property
    def id(self) -> str:
        """The folder name of this question: another one never overwrites its answers."""
        return f"views{len(self.views)}-{digest(self.model_dump(mode='json'))}"

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

    def id(self, attack: str | None) -> str:
        """Return the folder name of one attack's outcome; attack None is the natural images."""
        chosen = self.attacks[attack] if attack else None
        facts = {
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
    fleet: Fleet = Fleet()

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
        faults = [
            InitErrorDetails(
                type=PydanticCustomError("fault", "{why}", {"why": why}), loc=at, input=0
            )
            for at, why in self._faults()
        ]
        if faults:
            raise Invalid.from_exception_data("Experiment", faults)
        return self

    def _faults(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """What does not fit together: where, and why."""
        if self.robustness.on == "test" and self.data.pool == "train+test":
            yield (
                ("robustness", "on"),
                "with data.pool: train+test no test split is left; use `on: non_members`, as the "
                "DeMem protocol does",
            )
        workers = self.fleet.workers_per_run
        models = {("model",): self.model} | {
            ("arms", name, "model"): arm.model
            for name, arm in self.arms.items()
            if arm.model != self.model
        }
        for at, model in models.items():
            if workers > 1 and not self.fleet.num_gpus and getattr(model, "norm", "") == "batch":
                yield (
                    (*at, "norm"),
                    "on CPUs each worker of a Run would keep BatchNorm statistics of its own; use "
                    "`norm: group`, or fleet.workers_per_run: 1",
                )
        trainings = {("training",): self.training} | {
            ("arms", name, "training"): arm.training
            for name, arm in self.arms.items()
            if arm.training != self.training
        }
        for at, training in trainings.items():
            if training.batch_size < 2 * workers:
                yield (
                    (*at, "batch_size"),
                    f"a batch of {training.batch_size} leaves fewer than two examples to each of "
                    f"the {workers} workers of a Run",
                )


def _merged(shared: Any, own: Any) -> Any:
    """The shared keys with an arm's own on top; null removes one, another `name` starts afresh."""
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    if "name" in shared and own.get("name", shared["name"]) != shared["name"]:
        return own
    merged = {**shared, **{key: _merged(shared.get(key), value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}
