"""Gaussian noise inside a network: on the sums of its residual blocks, its input and its logits.

Every draw comes from torch's global generator, in training and in evaluation alike.
"""

import math
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defenses._theorems import Strategy


class NoisyJoin(nn.Module):
    """The end of a residual block: the sum, or without a skip connection the mapping, and noise.

    I: gamma n. II: gamma n x, with x the shortcut, held away from 0. enresnet: gamma n times the
    standard deviation of the whole batch's sum. At gamma 0 nothing is drawn.

    Under autocast the sum is made in float32: bf16 would round a noise that is small beside a
    feature away, all of it.
    """

    def __init__(self, strategy: Strategy, gamma: float, eta: float, skip: bool) -> None:
        super().__init__()
        self.strategy = strategy
        self.gamma = gamma
        self.eta = eta
        self.skip = skip

    def forward(self, shortcut: Tensor, mapping: Tensor) -> Tensor:
        # A projection without any gradient would stop DistributedDataParallel and DP-SGD: 0 times.
        if self.gamma > 0:
            shortcut, mapping = in_float32(shortcut), in_float32(mapping)
        joined = shortcut + mapping if self.skip else mapping + 0 * shortcut
        if self.gamma == 0:
            return joined
        noise = normal_like(joined)
        if self.strategy == "I":
            return torch.add(joined, noise, alpha=self.gamma)
        if self.strategy == "II":
            size = away_from_0(shortcut, self.eta) if self.eta > 0 else shortcut
            return torch.addcmul(joined, size, noise, value=self.gamma)
        return joined + self.gamma * joined.std() * noise

    def extra_repr(self) -> str:
        return f"{self.strategy}, gamma={self.gamma:g}, eta={self.eta:g}, skip={self.skip}"


class Ensemble(nn.Module):
    """The average answer of several networks, as logits: (N, channels, H, W) -> (N, C).

    logits: their mean. probabilities: the logarithm of the mean of their softmax.
    """

    def __init__(
        self, members: list[nn.Module], average: Literal["logits", "probabilities"]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.average = average

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.stack([in_float32(member(images)) for member in self.members])
        if self.average == "logits":
            return logits.mean(0)
        return logits.log_softmax(-1).logsumexp(0) - math.log(len(self.members))


def normal_like(values: Tensor) -> Tensor:
    """Return standard normal noise of the shape, dtype, device and memory layout of `values`.

    On a CPU, `torch.randn_like` of a channels_last tensor is 5 to 8 times slower than a contiguous
    buffer that is then viewed as channels_last.
    """
    like = {"dtype": values.dtype, "device": values.device}
    if values.dim() != 4 or not values.is_contiguous(memory_format=torch.channels_last):
        return torch.randn(values.shape, **like)
    n, channels, height, width = values.shape
    return torch.randn((n, height, width, channels), **like).permute(0, 3, 1, 2)


def in_float32(values: Tensor) -> Tensor:
    """Return what autocast left in bf16 as float32, and anything else as it is."""
    return values.float() if values.dtype == torch.bfloat16 else values


def away_from_0(values: Tensor, eta: float) -> Tensor:
    """Return sgn(x) max(|x|, eta) of each value x, with sgn(0) = +1.

    Written as sgn(x) (|x| - eta)_+ + sgn(x) eta, which is 4 times faster than clamping, forward and
    backward. The gradient is 1 beyond eta and 0 within.
    """
    floor = torch.full((), eta, dtype=values.dtype, device=values.device)
    return F.softshrink(values, eta) + torch.copysign(floor, values.detach())


def joins(network: nn.Module) -> list[str]:
    """Return the name of every sum that ends a residual block."""
    return [name for name, _ in network.named_modules() if name.rpartition(".")[2] == "join"]


def perturb_joins(
    network: nn.Module, strategy: Strategy, gamma: float, eta: float, skip: bool
) -> None:
    """Replace every sum of a residual block by a `NoisyJoin`."""
    found = joins(network)
    if not found:
        raise ValueError(
            "residual perturbation needs a network with residual blocks, whose sums are modules "
            f"named `join`; {type(network).__name__} has none: choose another model or defense"
        )
    for name in found:
        network.get_submodule(name.rpartition(".")[0]).join = NoisyJoin(strategy, gamma, eta, skip)


def perturb_input(network: nn.Module, std: float) -> None:
    """Add noise to what the first layer, `normalize`, gives: the network's input."""
    first = dict(network.named_children()).get("normalize")
    if first is None:
        raise ValueError(
            "input noise is added after a first layer named `normalize`, in units of the data "
            f"set's standard deviation; {type(network).__name__} has none: set pi to 0 or choose "
            "another model"
        )
    first.register_forward_hook(partial(_add_noise, std))


def perturb_logits(network: nn.Module, std: float) -> None:
    """Add noise to what the last linear layer gives, times the l2 norm of what it is given."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ValueError(
            f"last_layer_noise needs a linear layer; {type(network).__name__} has none: "
            "leave it out or choose another model"
        )
    linear[-1].register_forward_hook(partial(_add_noise_of_features, std))


def _add_noise(std: float, module: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> Tensor:
    """A forward hook, at module level so that the network can be copied and pickled."""
    outputs = in_float32(outputs)
    return torch.add(outputs, normal_like(outputs), alpha=std)


def _add_noise_of_features(
    std: float, module: nn.Module, inputs: tuple[Tensor], outputs: Tensor
) -> Tensor:
    """A forward hook: outputs + std ||x|| n, with the features x (N, channels) of each example."""
    outputs, features = in_float32(outputs), in_float32(inputs[0])
    size = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return outputs + std * size * normal_like(outputs)
