"""Training defenses. One defense is one file with one frozen class whose fields are its YAML keys.

A defense changes the images that a model is trained on (`craft`), the loss there (`losses_at`), how
a step is made (`protect`), or the model itself (`build`). Everything else, from data to
checkpoints, is the runner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Self

from pydantic import model_validator

from attacks.by_name import ByName, Keys

if TYPE_CHECKING:  # keys are read and refused without waiting for it
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from defenses._trade_off import Neighbours, TradeOff

Term = Literal["total", "natural", "adversarial"]


class Losses(NamedTuple):
    """Per-example losses of one forward pass, each (N,); the loop takes the mean of `total`."""

    total: Tensor
    natural: Tensor | None = None  # cross-entropy at the images as given
    adversarial: Tensor | None = None  # cross-entropy at the adversarial images


class Kit(NamedTuple):
    """What an epoch is made with; a defense that changes the step replaces parts of it.

    An epoch is steps, and a step is parts: the examples whose gradients are in memory at once,
    usually all of them. The loop calls `optimizer.step()` after each part; a defense that makes
    several parts of a step also makes its optimizer wait for the last one. An example that stands
    in a part several times is augmented anew for each.
    """

    model: nn.Module
    optimizer: Optimizer
    steps: Callable[[int], Iterable[Iterable[Tensor]]]  # epoch -> parts of example numbers (n,)
    members: Tensor  # (n,) int64, the examples that the model may be trained on
    batch_size: int
    seed: int  # for draws of the defense's own


class Guarantee(NamedTuple):
    """A differential-privacy statement, or why there is none."""

    epsilon: float | None  # None: no guarantee
    delta: float
    status: Literal["proved", "claimed", "none"]
    of: Literal["the weights", "one answer"]
    why: str

    def alarm(self, lower_bound: float) -> str | None:
        """Return what is wrong when trials refute what is said to be proved, else None.

        A guarantee of a single answer does not bound what many answers tell.

        Args:
            lower_bound: on epsilon, certified, at this delta: from independent trials or from a
                one-run audit; no estimate.
        """
        proved = self.status == "proved" and self.of == "the weights"
        if not proved or self.epsilon is None or lower_bound <= self.epsilon:
            return None
        return (
            f"epsilon is at least {lower_bound:.4g} by the trials and at most {self.epsilon:.4g} "
            f"by a guarantee that is said to be proved, both at delta {self.delta:g} "
            f"({self.why}): the training is not the one that the proof is of"
        )


class Facts(NamedTuple):
    """What a guarantee depends on beside the defense's own fields."""

    network: nn.Module  # as it is trained; its weights may be on the meta device
    num_members: int
    batch_size: int
    epochs: int  # done so far
    delta: float
    assumed: Mapping[str, float] = {}  # bounds that the user takes for granted, by their letter
    quickly: bool = False  # a larger bound that takes milliseconds will do


class Defense(Keys):
    """The contract. `tests/defenses/test_contract.py` holds every file of this folder to it."""

    name: str

    @property
    def terms(self) -> frozenset[Term]:
        """Which of the `Losses` this defense fills."""
        return frozenset({"total"})

    @property
    def couples_examples(self) -> bool:
        """Whether an example's loss or step depends on its batch-mates (BatchNorm aside)."""
        return False

    @property
    def randomized(self) -> bool:
        """Whether the trained model answers with noise."""
        return False

    @property
    def copies(self) -> int:
        """How many times a step shows each of its examples, each time augmented anew."""
        return 1

    @property
    def per_example_steps(self) -> bool:
        """Whether the step treats each example's gradient by itself, as DP-SGD's clipping does.

        Such a step needs one worker, fp32, and losses that do not couple examples.
        """
        return False

    @property
    def one_worker(self) -> bool:
        """Whether a batch must be whole in one worker."""
        return self.per_example_steps

    @property
    def own_batches(self) -> bool:
        """Whether it decides which examples a step is of, so that none can be put over it."""
        return False

    @property
    def num_watched(self) -> int:
        """How many training examples `watch` looks at after each epoch."""
        return 0

    def phases(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs of each part of the training; in each the schedule runs anew."""
        return (epochs,)

    def in_epoch(self, epoch: int) -> Self:
        """Return the defense as it is in an epoch, counted from 0."""
        return self

    def resolved(self, num_members: int, batch_size: int, epochs: int) -> Self:
        """Return the defense with what follows from the training put in its place.

        A Run is trained with this one and its id is of this one.

        Raises:
            ValueError: the defense cannot be had with this training.
        """
        return self

    def in_short(self) -> Self:
        """Return the defense with so few networks that a try on a few images takes little.

        By it is seen, before anything starts, whether such a network can be trained so.
        """
        return self

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        """Return the model to train; a maker is given, so that an ensemble can call it k times.

        Raises:
            ValueError: the network is not one that this defense can be built into. It is built
                once on the meta device when the configuration is checked.
        """
        return make_model()

    def examine(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Look at a network before it is trained, and leave it and the random generators alone.

        Args:
            network: what `build` gave, with weights.
            images: (n, channels, H, W) float in [0, 1], n >= 2, of the data's shape.
            labels: (n,) int64 in [0, C).

        Raises:
            ValueError: a step would not be what the defense says that it is.
        """

    def protect(self, kit: Kit) -> Kit:
        """Return the kit that training steps are made with."""
        return kit

    def losses(self, model: nn.Module, images: Tensor, labels: Tensor) -> Losses:
        """Return per-example losses of one training step: `losses_at` at what `craft` gives.

        Two methods, so that a wrapper can come in between; override those and not this one.

        Args:
            model: in train mode; (N, channels, H, W) float in [0, 1] -> (N, C) logits, float32
                where it computes in bf16 too. It may be wrapped for training.
            images: (N, channels, H, W) float in [0, 1], already augmented.
            labels: (N,) int64 in [0, C).
        """
        return self.losses_at(model, images, self.craft(model, images, labels), labels)

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return the images to train at, of the same shape; by default the ones that are given.

        Craft inside `attacks.evasion.crafting(model)`. Arguments as for `losses`.
        """
        return images

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return per-example losses at images that are already crafted.

        Args:
            model: as for `losses`; its weights may be others than those crafted at.
            images: as for `losses`.
            adversarial: (N, channels, H, W) float in [0, 1], what `craft` gave for them.
            labels: (N,) int64 in [0, C).
        """
        raise NotImplementedError

    def watch(self, model: nn.Module, images: Tensor, labels: Tensor) -> Mapping[str, float]:
        """Return figures of a look at the network after an epoch; they are logged.

        Args:
            model: as for `losses`, in train mode, which is left as it was: look at the network that
                `attacks.evasion.crafting(model)` gives.
            images: (num_watched, channels, H, W) float in [0, 1], training examples as they are.
            labels: (num_watched,) int64 in [0, C).
        """
        return {}

    def warning(self, history: Sequence[Mapping[str, float]]) -> str:
        """Return what went wrong in training by what was logged after each epoch; "" if nothing."""
        return ""

    def released(self, model: nn.Module, images: Tensor, logits: Tensor) -> Tensor:
        """Return the logits that are let out in place of a trained model's own.

        Whoever asks the model sees these; whoever holds its weights, as an evasion attack does,
        sees its own. The same image is answered alike in any batch, and with the same class.

        Args:
            model: in eval mode.
            images: (N, channels, H, W) float in [0, 1].
            logits: (N, C) float32, its answers to them.
        """
        return logits

    def guarantee(self, facts: Facts) -> Guarantee | None:
        """Return the privacy guarantee of a model trained so, or None if it claims nothing."""
        return None

    def trade_off(
        self, facts: Facts, neighbours: Neighbours = "added", copies: int = 1
    ) -> TradeOff | None:
        """Return the proved ceiling of any attack on one example's membership; None: there is none.

        Args:
            facts: as for `guarantee`; delta has no part in it.
            neighbours: what is there in place of a member that is left out: nothing, or another
                example ("replaced"), as where the number of members is fixed.
            copies: of the example, which are all in or all out.
        """
        return None

    def advice(self, num_members: int, batch_size: int, epochs: int) -> tuple[str, ...]:
        """Return sentences on what might be asked for instead, told before anything starts.

        Arguments as for `resolved`, of a defense that is not. It takes a second at the most.
        """
        return ()

    def remarks(self, network: nn.Module) -> tuple[str, ...]:
        """Return sentences that a reader of the figures must know, printed in the report.

        Args:
            network: what the maker gives, before `build`; its weights may be on the meta device.
        """
        return ()


class Wrapper(Defense):
    """A defense over any other one; what it does not override is its base's."""

    base: Annotated[Defense, ByName("defenses")]

    @model_validator(mode="after")
    def _steps_can_be_taken(self) -> Self:
        if self.per_example_steps and self.couples_examples:
            raise ValueError(
                f"{self.name} over {self.base.name} couples examples: one example's loss depends "
                "on its batch-mates, so clipping per-example gradients (dp_sgd) bounds nothing and "
                "there is no guarantee; leave out one of the two"
            )
        if self.base.own_batches:
            raise ValueError(
                f"{self.name} changes a step, and {self.base.name} decides itself which examples "
                "and which of its networks a step is of; leave out one of the two"
            )
        return self

    @property
    def terms(self) -> frozenset[Term]:
        return self.base.terms

    @property
    def couples_examples(self) -> bool:
        return self.base.couples_examples

    @property
    def randomized(self) -> bool:
        return self.base.randomized

    @property
    def copies(self) -> int:
        return self.base.copies

    @property
    def per_example_steps(self) -> bool:
        return self.base.per_example_steps

    @property
    def one_worker(self) -> bool:
        return self.base.one_worker

    @property
    def num_watched(self) -> int:
        return self.base.num_watched

    def phases(self, epochs: int) -> tuple[int, ...]:
        return self.base.phases(epochs)

    def in_epoch(self, epoch: int) -> Self:
        base = self.base.in_epoch(epoch)
        return self if base is self.base else self.model_copy(update={"base": base})

    def resolved(self, num_members: int, batch_size: int, epochs: int) -> Self:
        base = self.base.resolved(num_members, batch_size, epochs)
        return self.model_copy(update={"base": base})

    def advice(self, num_members: int, batch_size: int, epochs: int) -> tuple[str, ...]:
        return self.base.advice(num_members, batch_size, epochs)

    def in_short(self) -> Self:
        return self.model_copy(update={"base": self.base.in_short()})

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        return self.base.build(make_model)

    def examine(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        self.base.examine(network, images, labels)

    def protect(self, kit: Kit) -> Kit:
        return self.base.protect(kit)

    def craft(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return self.base.craft(model, images, labels)

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        return self.base.losses_at(model, images, adversarial, labels)

    def watch(self, model: nn.Module, images: Tensor, labels: Tensor) -> Mapping[str, float]:
        return self.base.watch(model, images, labels)

    def warning(self, history: Sequence[Mapping[str, float]]) -> str:
        return self.base.warning(history)

    def released(self, model: nn.Module, images: Tensor, logits: Tensor) -> Tensor:
        return self.base.released(model, images, logits)

    def guarantee(self, facts: Facts) -> Guarantee | None:
        return self.base.guarantee(facts)

    def trade_off(
        self, facts: Facts, neighbours: Neighbours = "added", copies: int = 1
    ) -> TradeOff | None:
        return self.base.trade_off(facts, neighbours, copies)

    def remarks(self, network: nn.Module) -> tuple[str, ...]:
        return self.base.remarks(network)


def over_batch(values: Tensor, model: nn.Module) -> tuple[Tensor, int]:
    """Return the mean of per-example values over the global batch, and that batch's size.

    The global batch is what all workers of one Run hold together. The mean carries no gradient.

    Args:
        values: (n,) float, this worker's share.
        model: a DistributedDataParallel model names the workers; any other model is alone.
    """
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    total = values.detach().double().sum()
    count = total.new_tensor(float(len(values)))
    if isinstance(model, DistributedDataParallel):
        dist.all_reduce(total, group=model.process_group)
        dist.all_reduce(count, group=model.process_group)
    return (total / count).to(values.dtype), int(count)
