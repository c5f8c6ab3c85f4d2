"""Norms and how many values they see: GroupNorm that has enough, and the look at any network's.

A norm over one value leaves its bias alone, and one over two leaves a sign, whose gradient is zero:
a network behind it answers at random, and nothing says why.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import (
    TorchFunctionMode,
    handle_torch_function,
    has_torch_function_unary,
)

from runner.norms._by_rows import GroupNormByRows, by_pytorch, takes

WANTED = 8  # values normalised together; with fewer a network is measurably worse
NEEDED = 4  # with fewer it is worse by 7 points and more, and with two or one it answers at random


class GroupNorm(nn.GroupNorm):
    """Group normalisation with 8 values or more in each group, where the features have so many.

    Source: Wu and He (2018), https://arxiv.org/abs/1803.08494; gcd(32, channels) groups, as Opacus
    chooses them when it replaces BatchNorm. On a map so small that a group would see fewer than 8
    values, groups are joined two by two: 64 channels of 1x1 pixels have 8 groups and not 32.

    Why 8: accuracy (%) on the digits' test split by the values a group, means of 20 models (an MLP
    of two layers of 16 units, or 12, of which 10), and of 8 (resnet18 of width 8, whose last maps
    have 1x1 pixels; digits have 8x8); standard deviations of 0.4 to 2, of 4.6 at 3 values.

        values a group      1     2     3     4     6     8    12    16    32   BatchNorm
        MLP of 12 units  10.0  10.1  83.7  90.4  93.3          93.8
        MLP of 16 units  10.0  10.0        93.5        94.8        95.1              95.8
        resnet18         10.0  10.0        94.0        95.8        95.4  95.8        96.4
    """

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(math.gcd(32, channels), channels, eps, affine)

    def groups_of(self, features: Tensor) -> int:
        """Return the number of groups for features of shape (N, channels, *)."""
        positions, groups = math.prod(features.shape[2:]), self.num_groups
        while groups > 1 and self.num_channels * positions < WANTED * groups:
            groups //= 2
        return groups

    def forward(self, input: Tensor) -> Tensor:
        """(N, channels, *) -> the same shape."""
        return group_norm(input, self.groups_of(input), self.weight, self.bias, self.eps)


def group_norm(
    features: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return what `F.group_norm` does, as fast in channels_last as in a contiguous layout.

    Scale and shift may also be of each image its own, (N, channels) both: their gradients are then
    each image's own too, at no cost, since the sums over the batch come last.
    """
    if has_torch_function_unary(features):
        arguments = (features, num_groups, weight, bias, eps)
        return handle_torch_function(group_norm, (features,), *arguments)
    if takes(features, weight, bias):
        return GroupNormByRows.apply(features, num_groups, weight, bias, eps)
    return by_pytorch(features, num_groups, weight, bias, eps)


def narrow_norms(network: nn.Module, images: Tensor, batch_size: int) -> list[str]:
    """Return what is wrong with a network's norms: each sees too few values, or batch-mates.

    For `check` and `plan`, where an arm's network is tried on images before anything is trained. It
    takes a pass in train mode and one in eval mode, which move running statistics and draw random
    numbers: give a network that is thrown away.

    Args:
        network: as a defense builds it, on any device, also on the meta device.
        images: (n, channels, H, W) float in [0, 1], n >= 2, on the network's device.
        batch_size: how many examples BatchNorm sees at once in training: at most the members.

    Returns:
        Sentences, each about all layers of one kind: which, how many values, and the way out.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for training in (True, False):
        for layer, kind, values, over_batch in _norms_in(network.train(training), images):
            if over_batch and not training:
                wrong = (
                    "keeps no running statistics, so that answers depend on which images are asked "
                    "together; use track_running_stats=True or GroupNorm"
                )
            else:
                values = values * batch_size // len(images) if over_batch else values
                wrong = _too_few(kind, values)
            if wrong:
                layers = found.setdefault((kind, wrong), [])
                layers += [layer] if layer not in layers else []
    return [_sentence(kind, wrong, layers) for (kind, wrong), layers in found.items()]


def least_batch(network: nn.Module, images: Tensor) -> int:
    """Return how many examples a batch needs, so that each BatchNorm sees 8 values a channel.

    1 without BatchNorm. An epoch's last batch may be smaller, and one of two images at 1x1 pixels
    costs a network its accuracy: on digits, resnet18 of width 8 (4 models each) has 96.7 % without
    such a batch, 64.0 % with one of 2 images in each epoch, 88.3 % with 3 and 95.7 % with 8.

    Args:
        network: left as it is.
        images: (n, channels, H, W) float in [0, 1], n >= 2, on the network's device.
    """
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices):
        seen = _norms_in(copy.deepcopy(network).train(), images)
    over = [values / len(images) for _, _, values, over_batch in seen if over_batch]
    return math.ceil(WANTED / min(over)) if over else 1


def _too_few(kind: str, values: int) -> str:
    """What is wrong with so many values, and the way out; nothing if they are enough."""
    if values >= NEEDED - (kind == "RMSNorm"):  # which takes no mean away
        return ""
    out = "more channels in a group, larger images or no norm there"
    if kind == "BatchNorm":
        out = "a larger batch_size, larger images or another norm"
    number = f"{values} value{'s' * (values != 1)}"
    return f"normalises {number} at a time, which leaves too little to learn from; use {out}"


def _sentence(kind: str, wrong: str, layers: list[str]) -> str:
    """One sentence about all layers that are wrong in the same way."""
    first, more = layers[0], len(layers) - 1
    where = f" in {first}" if first else ""
    others = f" (like {more} other{'s' * (more > 1)})" if more else ""
    return f"the {kind}{where}{others} {wrong}"


class _Norm(NamedTuple):
    """A norm that ran."""

    layer: str  # the module's name that called it, "" if that is the network itself
    kind: str
    values: int  # normalised together
    over_batch: bool  # whether of all examples of the batch


def _norms_in(network: nn.Module, images: Tensor) -> list[_Norm]:
    """Every norm that runs in one pass, whether a module or a function calls it."""
    with torch.no_grad(), _names(network) as inside, _Watch(inside) as watch:
        network(images)
    return watch.seen


@contextmanager
def _names(network: nn.Module) -> Iterator[list[str]]:
    """The names of the modules that are being called, the innermost last."""
    inside = [""]

    def leave(*_: Any) -> None:
        inside.pop()

    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield inside
    finally:
        for handle in handles:
            handle.remove()


class _Watch(TorchFunctionMode):
    """Notes the norms among the functions that are called."""

    def __init__(self, inside: list[str]) -> None:
        super().__init__()
        self.inside = inside
        self.seen: list[_Norm] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _NORMS:
            kind, measure = _NORMS[func]
            values, over_batch = measure(*args, **kwargs)
            if values:
                self.seen.append(_Norm(self.inside[-1], kind, values, over_batch))
            if values == 1:
                return args[0]  # PyTorch refuses some of these; here only the shape counts
        return func(*args, **kwargs)


_Measured = tuple[int, bool]  # values normalised together, 0 by fixed statistics; over the batch?


def _by_batch(
    features: Tensor,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    *_: Any,
    **__: Any,
) -> _Measured:
    return (features.numel() // features.shape[1] if training else 0), True


def _by_instance(
    features: Tensor,
    mean: Any = None,
    var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    *_: Any,
    **__: Any,
) -> _Measured:
    return (math.prod(features.shape[2:]) if use_input_stats else 0), False


def _by_group(features: Tensor, num_groups: int, *_: Any, **__: Any) -> _Measured:
    return features[:1].numel() // num_groups, False


def _by_layer(_: Tensor, normalized_shape: tuple[int, ...], *__: Any, **___: Any) -> _Measured:
    return math.prod(normalized_shape), False


_NORMS: dict[Any, tuple[str, Callable[..., _Measured]]] = {
    function: (kind, measure)
    for kind, measure, *functions in (
        ("BatchNorm", _by_batch, F.batch_norm, torch.batch_norm),
        ("InstanceNorm", _by_instance, F.instance_norm, torch.instance_norm),
        ("GroupNorm", _by_group, F.group_norm, torch.group_norm, group_norm),
        ("LayerNorm", _by_layer, F.layer_norm, torch.layer_norm),
        ("RMSNorm", _by_layer, F.rms_norm, torch.rms_norm),
    )
    for function in functions
}
