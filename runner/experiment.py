"""The schema of an experiment's YAML."""

from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self

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

from attacks.by_name import ByName, Keys
from attacks.evasion.pgd import PGD
from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from defenses import Defense, Wrapper
from runner.axes import Rate, Sweep
from runner.data import Data
from runner.describe import one_line
from runner.metrics import Rule
from runner.models import ImageShape, Model
from runner.questions import Answers, Checkpoint, Evasion, Name, Questions, Robustness


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


class Canaries(Keys):
    """Examples planted in the pool, which tell how much a training gives away of one example.

    mislabelled: images of the pool, taken out of it, under a wrong label. blank: images of one
    colour. noise: every pixel uniformly random. The last two have labels drawn at random.
    """

    kind: Literal["mislabelled", "blank", "noise"] = "mislabelled"
    num: Annotated[int, Field(ge=20)] = 1000  # fewer could be all in, or all out
    copies: PositiveInt = 1  # each goes in or out so many times at once


class Design(Keys):
    """How the member matrix is drawn.

    pairs: complementary halves of the pool for two models at a time, as in LiRA.
    quarters: the pool is halved at random, a half for each model of the pair, and each is trained
    on half of its half and judged on all of it. Each is the other's shadow model: the protocol of
    residual perturbation's paper, section IV-A, and of Salem et al. (2018).
    canaries: every model is trained on the whole pool, and on each canary by a coin of its own; it
    is judged on the canaries alone. The audit of Steinke et al. (2023).
    """

    name: Literal["pairs", "quarters", "canaries"] = "pairs"
    num_models: PositiveInt = 16
    canaries: Canaries | None = None  # what `canaries` plants


class Arm(Keys):
    """One defended recipe. `model` and `training` override single keys of the experiment's.

    Two arms that differ in `checkpoint` alone judge two epochs of the same Runs.
    """

    defense: Annotated[Defense, ByName("defenses")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training
    checkpoint: Checkpoint = "last"

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


class Selection(Keys):
    """Keep, beside the last weights, those of the epoch that is most accurate on some images.

    held_out: images drawn from the pool, on which no model is trained and none is judged.
    non_members: images of the pool that the model is not trained on, which are also what it is
    judged on: such a choice has seen the answers. DeMem's official code does it.
    """

    on: Literal["held_out", "non_members"] = "held_out"
    num_examples: PositiveInt = 1000  # of each Run; no more than there are
    attack: Evasion | None = PGD()  # None: natural accuracy chooses

    @property
    def remark(self) -> str:
        """What a reader of a best checkpoint's figures must know."""
        by = f"accuracy under {one_line(self.attack)}" if self.attack else "natural accuracy"
        if self.on == "held_out":
            return (
                f"the best epoch by {by} on {self.num_examples} images held out of the pool, on "
                "which no model is trained or judged"
            )
        return (
            f"the best epoch by {by} on {self.num_examples} of the model's own non-members, on "
            "which it is judged too, so its accuracies are flattered, and its answers to them are "
            "not those of a model that never met them; DeMem's official code chooses so"
        )


class Membership(Keys):
    """Membership attacks on every model as target, and the false positive rates to report at."""

    attacks: dict[Name, Annotated[MembershipAttack, ByName("attacks.membership")]] = Field(
        default={"lira_online": Lira()}, min_length=1
    )
    false_positive_rates: tuple[Rate, ...] = Field(
        default=(0.1, 0.01, 0.001, 0.00001), min_length=1
    )
    tpr_rule: Rule = "step_le"  # how a TPR at an FPR is read off the curve; public codes differ
    prior: Rate = 0.01  # share of members among those an attacker looks at, for predictive values
    num_resamples: Annotated[int, Field(ge=2)] = 200  # of the examples, for intervals
    thresholds: tuple[Rate, ...] = (0.5, 0.6, 0.7, 0.8)  # precision and recall of probabilities


class Memorization(Keys):
    """Leakage and accuracy of examples by how much they are memorized.

    Scores are those of an arm's own models (Feldman and Zhang, 2020), from the first half of its
    pairs, and the leakage of all arms is then that of the other half. Or they are read from a
    published file that covers the first so many examples of the pool; the others are not judged.
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

    guesses: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(0.1, 0.5, 0.9), min_length=1
    )  # shares of the canaries that are named at all
    confidence: Rate = 0.95


class Report(Keys):
    """What figures are drawn against: a number of the defenses, such as gamma. Moves no figure."""

    against: str | None = None
    by: str | None = None  # a line for each value of this number of the defenses
    baseline: Name | None = None  # the arm that stands at 0 of every line


class Fleet(Keys):
    """What one worker gets, and how many workers train one model together. Moves no figure."""

    num_cpus: PositiveInt = 1
    num_gpus: NonNegativeFloat | Literal["auto"] = 0.0  # 1/k of a GPU, or whole ones
    workers_per_run: PositiveInt = 1
    max_workers: PositiveInt | None = None  # per node; None: as many as have room
    accelerator: str | None = None  # only nodes with this kind of GPU, as Ray names it: "A100"
    label_selector: dict[str, str] = {}  # only nodes with these labels, in Ray's words
    checkpoint_every_s: NonNegativeFloat = 10.0
    hang_after_s: PositiveFloat = 3600.0  # without a word from a Run, its process is ended
    wait_for_nodes_s: NonNegativeFloat = 300.0  # as long a cluster may be without a node with room

    @model_validator(mode="after")
    def _room_for_a_run(self) -> Self:
        if self.max_workers and self.max_workers < self.workers_per_run:
            raise ValueError("`max_workers` is below `workers_per_run`, so no Run could start")
        return self

    @field_validator("num_gpus")
    @classmethod
    def _whole_shares(cls, num_gpus: float | Literal["auto"]) -> float | Literal["auto"]:
        if num_gpus == "auto":
            return num_gpus
        if 0 < num_gpus < 1 and abs(1 / num_gpus - round(1 / num_gpus)) > 0.01:
            raise ValueError(f"a share of a GPU is 1/k (0.5, 0.25, ...), got {num_gpus}")
        if num_gpus > 1 and num_gpus != int(num_gpus):
            raise ValueError(f"more than one GPU means whole GPUs, got {num_gpus}")
        return num_gpus

    @property
    def gpus(self) -> float:
        """Of one worker; a whole one as long as `auto` is not settled."""
        return 1.0 if self.num_gpus == "auto" else self.num_gpus


class Audited(Protocol):
    """What judging scores takes of an experiment; an audit of given answers has the same."""

    @property
    def seed(self) -> int: ...

    @property
    def membership(self) -> Membership: ...

    @property
    def vulnerable(self) -> Vulnerable: ...

    @property
    def averages(self) -> Averages: ...

    @property
    def guarantee(self) -> Stated: ...


class Experiment(Keys):
    """One YAML."""

    name: Name
    description: str = ""  # printed at the top of the report
    seed: NonNegativeInt = 0
    data: Annotated[Data, ByName("runner.data")]
    model: Annotated[Model, ByName("runner.models")]
    training: Training
    design: Design = Design()
    selection: Selection | None = None
    arms: dict[Name, Arm] = Field(min_length=1)
    answers: Answers = Answers()
    robustness: Robustness = Robustness()
    membership: Membership = Membership()
    memorization: Memorization | None = None
    vulnerable: Vulnerable = Vulnerable()
    comparisons: tuple[tuple[Name, Name], ...] | None = None  # of two arms; None: the obvious ones
    averages: Averages = Averages()
    guarantee: Stated = Stated()
    epsilon: LowerBounds = LowerBounds()
    report: Report = Report()
    sweep: Sweep | None = None
    fleet: Fleet = Fleet()

    def questions(self, arm: str) -> Questions:
        """Return what a model of this arm is asked, and how it is attacked."""
        randomized = self.arms[arm].defense.randomized
        answers, robustness = self.answers.settled(randomized), self.robustness.settled(randomized)
        return Questions(answers, robustness, self.arms[arm].checkpoint)

    def remarks(self, arm: str, shape: ImageShape) -> tuple[str, ...]:
        """Return what a reader of an arm's figures must know."""
        found = self.arms[arm].remarks(shape)
        if self.selection and self.arms[arm].checkpoint == "best":
            return (*found, self.selection.remark)
        return found

    @model_validator(mode="before")
    @classmethod
    def _fill_arms(cls, data: Any) -> Any:
        """Give each arm the experiment's model and training, its own keys on top."""
        if not isinstance(data, dict) or not isinstance(data.get("arms"), dict):
            return data
        shared = {key: data[key] for key in ("model", "training") if key in data}
        arms = {
            name: {
                **arm,
                **{key: _merged(_keys(shared[key]), _keys(arm.get(key, {}))) for key in shared},
            }
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


def _keys(given: Any) -> Any:
    """A bare name as the mapping that it stands for."""
    return {"name": given} if isinstance(given, str) else given


def _merged(shared: Any, own: Any) -> Any:
    """The shared keys with an arm's own on top; null removes one, another `name` starts afresh."""
    if not isinstance(shared, dict) or not isinstance(own, dict):
        return own
    if "name" in shared and own.get("name", shared["name"]) != shared["name"]:
        return own
    merged = {**shared, **{key: _merged(shared.get(key), value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}
