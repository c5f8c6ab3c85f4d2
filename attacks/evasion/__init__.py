"""Evasion attacks: move an image in an L-infinity ball so that the model errs. One file each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field

from attacks.by_name import Keys

if TYPE_CHECKING:  # keys are read and refused without waiting for it
    from torch import Tensor, nn


def _fraction(value: object) -> object:
    """Read "8/255" as a number, since radii are stated so everywhere; 8 is meant as 8/255."""
    if isinstance(value, int | float) and 1 < value <= 255:
        why = f"expected a number from 0 to 1, as pixels are here, got {value:g}"
        raise ValueError(f"{why}; did you mean {value:g}/255?")
    if isinstance(value, str) and value.count("/") == 1:
        above, below = value.split("/")
        try:
            return float(above) / float(below)
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"expected a number or a fraction like 8/255, got {value!r}") from None
    return value


Radius = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]  # in [0, 1] pixel units


class EvasionAttack(Keys):
    """The contract: one attack is one file with one subclass, whose fields are its YAML keys."""

    name: str
    # Images attacked at once, and lost when it is interrupted. Another number moves random draws.
    portion: ClassVar[int] = 500

    @property
    def averages_draws(self) -> bool:
        """Whether it averages over a randomized model's draws; else it overstates robustness."""
        return False

    @property
    def remark(self) -> str:
        """What a reader of its figure must know, where its name does not say; else ""."""
        return ""

    def settled(self, randomized: bool) -> Self:
        """Return the attack as it is run on a model; without noise there is nothing to average."""
        return self

    def in_short(self) -> Self:
        """Return the attack with so few steps that a try on a few images takes no time.

        By it is seen, before anything starts, whether the attack can be made on such images and
        such a network; what it finds does not matter.
        """
        least = {"num_steps": 1, "num_queries": 3, "num_draws": 2, "draws": 2, "restarts": 2}
        fewer = {k: min(getattr(self, k), n) for k, n in least.items() if hasattr(self, k)}
        return self.model_copy(update=fewer)

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return adversarial images.

        The model's train or eval mode is left as it was found; no parameter gets a gradient.

        Args:
            model: maps (N, channels, H, W) float images in [0, 1] to (N, C) logits.
            images: (N, channels, H, W) float in [0, 1].
            labels: (N,) int64 in [0, C).

        Returns:
            Images of the same shape and dtype, in [0, 1], within `eps` of the originals.
        """
        raise NotImplementedError


def plain(model: nn.Module) -> nn.Module:
    """Return the network inside the wrappers of training, or the model itself.

    DistributedDataParallel keeps it in `module`, Opacus's GradSampleModule in `_module`.
    """
    from torch.nn.parallel import DistributedDataParallel

    if isinstance(model, DistributedDataParallel):
        return plain(model.module)
    wrapped = dict(model.named_children()).get("_module")
    return model if wrapped is None else plain(wrapped)


@contextmanager
def crafting(model: nn.Module, training: bool = False) -> Iterator[nn.Module]:
    """Give the network to craft on, in eval or train mode; put everything back afterwards.

    It is the plain one, so that crafting exchanges no gradients between workers. Hooks that record
    per-example gradients (Opacus) are off: they would take the crafting for a part of the step.
    """
    network = plain(model)
    before = [(m, m.training) for m in network.modules()]
    hooked: Any = model if hasattr(model, "disable_hooks") else None
    if hooked is not None:
        hooked.disable_hooks()
    network.train(training)
    try:
        yield network
    finally:
        for m, flag in before:
            m.training = flag
        if hooked is not None:
            hooked.enable_hooks()


def input_gradient(loss: Tensor, images: Tensor) -> Tensor:
    """Return d loss / d images, computing no parameter gradients on the way.

    `loss.backward()` would compute every weight gradient as well: about 1.3 times the time.
    """
    from torch.autograd import grad

    return grad(loss, images)[0]
