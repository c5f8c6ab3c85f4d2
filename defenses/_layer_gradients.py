"""The gradients of each example in a layer's weights, from what it was given and gave back.

Each function takes a layer, its input (n * K, ...), the gradients of its output, whose first axis
is the batch as well, and K, and returns (n, *shape) for each parameter that is trained. K rows that
follow each other are one example's copies, whose gradients are added up: to a matrix of weights
they are more positions of the one example, so that no copy's own gradient is ever written down.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defenses._factored import Factored, is_worth_factoring, with_kernel

Each = dict[nn.Parameter, Tensor]
Formula = Callable[..., Each]  # of a layer, its input, its output's gradients and K

CACHED = 2**18  # numbers of unfolded images at once and core: 1 MB, about its cache
AT_ONCE = 2**27  # on a GPU: 512 MB
TOGETHER = 16  # examples and core in one grouped convolution; all of them at once are slower


def formula_of(layer: nn.Module) -> Formula | None:
    """Return how a layer's gradients are taken; None: here it is not known.

    It goes by the very class, and by what the layer's own `forward` is: a subclass may do anything.
    """
    if "forward" in vars(layer) or any(layer.children()):
        return None
    return FORMULAS.get(type(layer))


def of_linear(layer: nn.Linear, given: Tensor, gradients: Tensor, copies: int = 1) -> Each:
    """Of y = W x + b at any number of positions."""
    n = len(given) // copies
    inputs = given.reshape(n, -1, layer.in_features)
    outputs = gradients.reshape(n, -1, layer.out_features)
    found = {}
    if layer.weight.requires_grad:
        found[layer.weight] = _product(inputs, outputs)
    return found | _of_bias(layer, outputs.transpose(1, 2), 1)


def of_convolution(layer: Any, given: Tensor, gradients: Tensor, copies: int = 1) -> Each:
    """Of a convolution of one, two or three dimensions.

    Groups of channels are oneDNN's and cuDNN's own way to keep sums apart: with n examples as n
    groups, one convolution's gradient is that of each. It is fast where its kernels are, for 16, 32
    ... channels. Elsewhere images are unfolded to rows, (positions, kernel * channels), a few at a
    time so that they stay in the cache, and it is one matrix product an example.
    """
    found = {}
    if layer.weight.requires_grad:
        found[layer.weight] = _of_kernel(layer, given, gradients, copies)
    return found | _of_bias(layer, gradients, copies)


def of_channel_norm(layer: Any, given: Tensor, gradients: Tensor, copies: int = 1) -> Each:
    """Of a norm's scale and shift of each channel."""
    found = {}
    if layer.weight.requires_grad:
        each = _over_positions(_without_affine(layer, given).mul_(gradients))
        found[layer.weight] = added_up(each, copies)
    return found | _of_bias(layer, gradients, copies)


def of_feature_norm(layer: Any, given: Tensor, gradients: Tensor, copies: int = 1) -> Each:
    """Of a norm's scale and shift of each place in the last dimensions."""
    num = len(layer.normalized_shape)
    middle = (*range(1, given.ndim - num),)
    found = {}
    if layer.weight.requires_grad:
        each = _summed(_without_affine(layer, given).mul_(gradients), middle)
        found[layer.weight] = added_up(each, copies)
    bias = getattr(layer, "bias", None)
    if bias is not None and bias.requires_grad:
        found[bias] = added_up(_summed(gradients, middle), copies)
    return found


def of_embedding(layer: nn.Embedding, given: Tensor, gradients: Tensor, copies: int = 1) -> Each:
    """Of a table of vectors, by the numbers that look them up."""
    n, width = len(given) // copies, layer.embedding_dim
    numbers = given.reshape(n, -1)
    found = gradients.new_zeros(n, *layer.weight.shape)
    places = numbers[..., None].expand(*numbers.shape, width)
    found.scatter_add_(1, places, gradients.reshape(places.shape))
    if layer.padding_idx is not None:
        found[:, layer.padding_idx] = 0
    table: Any = layer.weight
    return {table: found}


def added_up(each: Tensor, copies: int) -> Tensor:
    """Return (n, *shape) of (n * copies, *shape), the sum over each example's copies."""
    return each if copies == 1 else each.unflatten(0, (len(each) // copies, copies)).sum(1)


FORMULAS: dict[type, Formula] = {
    nn.Linear: of_linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), of_convolution),
    nn.GroupNorm: of_channel_norm,
    **dict.fromkeys((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), of_channel_norm),
    **dict.fromkeys((nn.LayerNorm, nn.RMSNorm), of_feature_norm),
    nn.Embedding: of_embedding,
}


def _of_kernel(layer: Any, given: Tensor, gradients: Tensor, copies: int) -> Tensor:
    """The gradients of a convolution's weights, (n, *shape), by the way that its sizes ask for."""
    size, positions = layer.weight[0].numel(), math.prod(gradients.shape[2:])
    if layer.groups > 1 or given.ndim != 4:
        return _by_groups(layer, given, gradients, copies)
    if is_worth_factoring(copies * positions, size, layer.out_channels):
        inputs = _together(_unfolded(layer, _padded(layer, given), gradients), copies)
        return Factored(inputs, _together(_positions_first(gradients), copies), layer.kernel_size)
    fast = layer.in_channels % 16 == 0 and layer.out_channels % 16 == 0 and not given.is_cuda
    if fast and math.prod(layer.kernel_size) > 1:
        return _by_groups(layer, given, gradients, copies)
    return _by_rows(layer, _padded(layer, given), gradients, copies)


def _product(inputs: Tensor, outputs: Tensor) -> Tensor:
    """A matrix of weights' gradients from (n, T, P) and (n, T, O), in factors where it pays."""
    _, positions, width = inputs.shape
    if is_worth_factoring(positions, width, outputs.shape[2]):
        return Factored(inputs, outputs)
    return torch.bmm(outputs.transpose(1, 2), inputs)


def _of_bias(layer: Any, gradients: Tensor, copies: int) -> Each:
    """The gradients of one number a channel, from (n * copies, channels, *)."""
    if layer.bias is None or not layer.bias.requires_grad:
        return {}
    return {layer.bias: added_up(_over_positions(gradients), copies)}


def _over_positions(t: Tensor) -> Tensor:
    """(n, channels, *) -> (n, channels)."""
    return _summed(t, (*range(2, t.ndim),))


def _summed(t: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The sum over some dimensions, which may be none."""
    return t.sum(dims) if dims else t


def _without_affine(layer: nn.Module, given: Tensor) -> Tensor:
    """What a norm makes of its input before it scales and shifts."""
    kept = layer._parameters
    layer._parameters = dict.fromkeys(kept)
    try:
        return layer.__class__.forward(layer, given)
    finally:
        layer._parameters = kept


def _padded(layer: Any, given: Tensor) -> Tensor:
    """A convolution's input with its padding around it."""
    pads = layer._reversed_padding_repeated_twice
    if not any(pads):
        return given
    if layer.padding_mode == "zeros":
        return F.pad(given, pads)
    return F.pad(given, pads, mode=layer.padding_mode)


def _by_groups(layer: Any, given: Tensor, gradients: Tensor, copies: int) -> Tensor:
    """The gradients of a convolution's weights, an example a group, as (n, *shape).

    Copies are the batch of that one convolution.
    """
    shape, pads = layer.weight.shape, layer.padding
    if isinstance(pads, str) or layer.padding_mode != "zeros":
        given, pads = _padded(layer, given), [0] * len(layer.stride)
    total = len(given) // copies
    found = gradients.new_empty(total, *shape)
    each = total if given.is_cuda else TOGETHER * torch.get_num_threads()
    for part in _slices(total, each):
        n, rows = len(found[part]), slice(copies * part.start, copies * part.stop)
        x, g = _side_by_side(given[rows], copies), _side_by_side(gradients[rows], copies)
        one = torch.ops.aten.convolution_backward(
            g,
            x,
            layer.weight.new_empty(1).expand(n * shape[0], *shape[1:]),
            None,
            layer.stride,
            pads,
            layer.dilation,
            False,
            [0] * len(layer.stride),
            n * layer.groups,
            [False, True, False],
        )[1]
        found[part] = one.view(n, *shape)
    return found


def _side_by_side(t: Tensor, copies: int) -> Tensor:
    """(n * copies, channels, *) -> (copies, n * channels, *)."""
    if copies == 1:
        return t.reshape(1, -1, *t.shape[2:])
    apart = t.unflatten(0, (len(t) // copies, copies)).transpose(0, 1)
    return apart.reshape(copies, -1, *t.shape[2:])


def _together(rows: Tensor, copies: int) -> Tensor:
    """(n * copies, T, numbers) -> (n, copies * T, numbers)."""
    return rows.reshape(len(rows) // copies, -1, rows.shape[2])


def _by_rows(layer: nn.Conv2d, padded: Tensor, gradients: Tensor, copies: int) -> Tensor:
    """The gradients of a convolution's weights, a matrix product each, as (n, *shape)."""
    n, size = len(padded) // copies, layer.weight[0].numel()
    outputs = _together(_positions_first(gradients), copies)
    found = gradients.new_empty(n, layer.out_channels, size)
    most = AT_ONCE if padded.is_cuda else CACHED * torch.get_num_threads()
    each = max(1, most // (outputs.shape[1] * size))
    for part in _slices(n, each):
        rows = slice(copies * part.start, copies * part.stop)
        inputs = _together(_unfolded(layer, padded[rows], gradients[rows]), copies)
        torch.bmm(outputs[part].transpose(1, 2), inputs, out=found[part])
    return with_kernel(found, layer.kernel_size)


def _unfolded(layer: nn.Conv2d, padded: Tensor, gradients: Tensor) -> Tensor:
    """What the kernel sees at each position, (n, T, kernel * channels)."""
    x = padded.permute(0, 2, 3, 1).contiguous()
    (n, down, right, one), (stride_y, stride_x) = x.stride(), layer.stride
    (step_y, step_x), (height, width) = layer.dilation, gradients.shape[2:]
    seen = x.as_strided(
        (len(x), height, width, *layer.kernel_size, x.shape[3]),
        (n, stride_y * down, stride_x * right, step_y * down, step_x * right, one),
        x.storage_offset(),
    )
    return seen.reshape(len(x), height * width, -1)


def _positions_first(t: Tensor) -> Tensor:
    """(n, channels, H, W) -> (n, H * W, channels)."""
    return t.flatten(2).transpose(1, 2)


def _slices(num: int, each: int) -> Iterator[slice]:
    """Which examples are taken at once."""
    return (slice(i, i + each) for i in range(0, num, each))
