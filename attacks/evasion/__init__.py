"""Evasion attacks: move an image in an L-infinity ball so that the model errs. One file each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from attacks.by_name import Keys


def _fraction(value: object) -> object:
    """Read "8/255" as a number, since radii are stated so everywhere."""
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
    """Return the model inside a DistributedDataParallel wrapper, or the model itself.

    Attacks run on it, so that crafting triggers no gradient exchange between workers.
    """
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


@contextmanager
def mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Put every submodule in train or eval mode, and put each back as it was."""
    before = [(m, m.training) for m in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for m, flag in before:
            m.training = flag


def input_gradient(loss: Tensor, images: Tensor) -> Tensor:
    """Return d loss / d images, computing no parameter gradients on the way.

    `loss.backward()` would compute every weight gradient as well: about 1.3 times the time.
    """
    return torch.autograd.grad(loss, images)[0]
