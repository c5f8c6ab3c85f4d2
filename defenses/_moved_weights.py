"""A network at weights that a step of ascent has moved, for adversarial weight perturbation."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

TINY = 1e-20  # keeps a tensor without gradient where it is, as in the official code


class With(nn.Module):
    """A network that is run with some of its tensors replaced, and is itself left as it is."""

    def __init__(self, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.tensors = dict(tensors)

    def forward(self, images: Tensor) -> Tensor:
        return functional_call(self.network, self.tensors, (images,))


def moved_along(network: nn.Module, loss: Tensor, gamma: float) -> dict[str, Tensor]:
    """Return w + v of each tensor that moves; v is a constant, so a gradient at w + v flows to w.

    Args:
        loss: scalar, of the network at w.
        gamma: the length of v, in units of that of w.
    """
    weights = {
        name: p
        for name, p in network.named_parameters()
        if p.ndim > 1 and "weight" in name and p.requires_grad
    }
    gradients = torch.autograd.grad(loss, [*weights.values()], materialize_grads=True)
    return {
        name: w + gamma * w.detach().norm() / (g.norm() + TINY) * g
        for (name, w), g in zip(weights.items(), gradients, strict=True)
    }
