"""How models are trained, and on which examples: blocks of an experiment's YAML."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from attacks.by_name import Keys
from attacks.evasion.pgd import PGD
from runner.experiment.describe import one_line
from runner.experiment.questions import Evasion

FACTOR = 0.1


class Schedule(Keys):
    """How the learning rate moves from `lr` with the epochs done, fractions of them included."""

    name: Literal["constant", "cosine", "step"] = "cosine"
    warmup_epochs: NonNegativeFloat = 0.0  # linear, the last of its steps at `lr`
    milestones: tuple[PositiveFloat, ...] = ()  # step only: epochs at which lr is multiplied
    factor: PositiveFloat = FACTOR  # step only

    @field_validator("milestones")
    @classmethod
    def _in_order(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if any(a >= b for a, b in pairwise(milestones)):
            wanted = ", ".join(f"{m:g}" for m in sorted({*milestones}))
            raise ValueError(f"expected each once, in order; did you mean [{wanted}]?")
        return milestones

    @model_validator(mode="after")
    def _steps_have_milestones(self) -> Self:
        if (self.name == "step") != bool(self.milestones):
            raise ValueError("`milestones` go with `name: step`, and `step` needs them")
        if self.name != "step" and self.factor != FACTOR:
            raise ValueError(
                f"`factor` goes with `name: step`, and {self.name} does not look at it; leave it "
                f"out, or set it to {FACTOR} where it is taken over from the experiment"
            )
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
    ema: Annotated[float | None, Field(gt=0, lt=1, exclude_if=lambda decay: decay is None)] = None
    schedule: Schedule = Schedule()
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto looks at the hardware
    loss_trace: bool = False  # keep each example's loss after each epoch; moves no weight

    @property
    def unsaid(self) -> set[str]:
        """The keys that are not said while they are off: Runs were stored without them."""
        return set() if self.loss_trace else {"loss_trace"}

    @model_validator(mode="after")
    def _can_train(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("`nesterov` needs a momentum above 0")
        if self.nesterov and self.optimizer != "sgd":
            raise ValueError(f"`nesterov` goes with sgd, and {self.optimizer} does not look at it")
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
