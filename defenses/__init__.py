"""Training defenses. One defense is one file with one frozen class whose fields are its YAML keys.

A defense changes what a model is trained on (`losses`), how a step is made (`protect`), or the
model itself (`build`). Everything else, from data to checkpoints, is the runner's.
"""

from collections.abc import Callable, Iterable
from typing import Annotated, Literal, NamedTuple

import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from attacks.by_name import ByName, Keys

Term = Literal["total", "natural", "adversarial"]


class Losses(NamedTuple):
    """Per-example losses of one forward pass, each (N,); the loop takes the mean of `total`."""

    total: Tensor
    natural: Tensor | None = None  # cross-entropy at the images as given
    adversarial: Tensor | None = None  # cross-entropy at the adversarial images


class Kit(NamedTuple):
    """What a training step is made with; a defense that changes the step replaces parts of it."""

    model: nn.Module
    optimizer: Optimizer
    batches: Callable[[int], Iterable[Tensor]]  # epoch -> example numbers, (n,) int64 each


class Guarantee(NamedTuple):
    """A differential-privacy statement about the trained model, or about one query to it."""

    epsilon: float
    delta: float
    status: Literal["proved", "claimed"]
    why: str


class Facts(NamedTuple):
    """What a guarantee may depend on beside the defense's own fields."""

    num_members: int
    batch_size: int
    epochs: int
    delta: float


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

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        """Return the model to train; a maker is given, so that an ensemble can call it k times."""
        return make_model()

    def protect(self, kit: Kit) -> Kit:
        """Return the kit that training steps are made with."""
        return kit

    def losses(self, model: nn.Module, images: Tensor, labels: Tensor) -> Losses:
        """Return per-example losses of one training step.

        Args:
            model: in train mode; (N, channels, H, W) float in [0, 1] -> (N, C) logits. It may be
                wrapped in DistributedDataParallel: craft on `attacks.evasion.plain(model)`.
            images: (N, channels, H, W) float in [0, 1], already augmented.
            labels: (N,) int64 in [0, C).
        """
        raise NotImplementedError

    def guarantee(self, facts: Facts) -> Guarantee | None:
        """Return the privacy guarantee of a model trained so, or None."""
        return None


class Wrapper(Defense):
    """A defense over any other one; what it does not override is its base's."""

    base: Annotated[Defense, ByName("defenses")]

    @property
    def terms(self) -> frozenset[Term]:
        return self.base.terms

    @property
    def couples_examples(self) -> bool:
        return self.base.couples_examples

    @property
    def randomized(self) -> bool:
        return self.base.randomized

    def build(self, make_model: Callable[[], nn.Module]) -> nn.Module:
        return self.base.build(make_model)

    def protect(self, kit: Kit) -> Kit:
        return self.base.protect(kit)

    def losses(self, model: nn.Module, images: Tensor, labels: Tensor) -> Losses:
        return self.base.losses(model, images, labels)

    def guarantee(self, facts: Facts) -> Guarantee | None:
        return self.base.guarantee(facts)


def over_batch(values: Tensor, model: nn.Module) -> tuple[Tensor, int]:
    """Return the mean of per-example values over the global batch, and that batch's size.

    The global batch is what all workers of one Run hold together. The mean carries no gradient.

    Args:
        values: (n,) float, this worker's share.
        model: a DistributedDataParallel model names the workers; any other model is alone.
    """
    total = values.detach().double().sum()
    count = total.new_tensor(float(len(values)))
    if isinstance(model, nn.parallel.DistributedDataParallel):
        dist.all_reduce(total, group=model.process_group)
        dist.all_reduce(count, group=model.process_group)
    return (total / count).to(values.dtype), int(count)
