"""Group normalisation of channels_last features on a CPU, in their own layout."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 2**19  # values at a time and thread; with half or twice as many it is slower
TILE = 256  # values of a row that coefficients are repeated to, so that inner loops are long
FAR = 4  # standard deviations from 0 to the mean, beyond which E[x^2] - E[x]^2 loses digits


def takes(features: Tensor, weight: Tensor | None, bias: Tensor | None) -> bool:
    """Return whether `GroupNormByRows` is for these; all else is PyTorch's own.

    So are features under a transform of `torch.func`, which could not look into it.
    """
    return (
        type(features) is Tensor
        and features.device.type == "cpu"
        and features.dtype in (torch.float32, torch.bfloat16)
        and features.ndim == 4
        and features.numel() > 0
        and not features.is_contiguous()
        and features.is_contiguous(memory_format=torch.channels_last)
        and (weight is None) == (bias is None)
        and all(p is None or p.dtype == torch.float32 for p in (weight, bias))
        and not torch._C._are_functorch_transforms_active()
    )


class GroupNormByRows(torch.autograd.Function):
    """`F.group_norm` of channels_last features; statistics and all arithmetic are in float32.

    Scale and shift are of all images, (channels,), or of each its own, (N, channels).

    PyTorch's kernels walk through groups, whose values lie apart in this layout: in bf16 they take
    10 to 45 times as long as in a contiguous one
    (`findings/torch_group_norm_bf16_channels_last.sh`). Here an image is a matrix of H W rows: its
    columns are summed, and its rows scaled and shifted, a few images at a time, so that what is
    copied to float32 serves both and stays in the cache. Measured in
    benchmarks/results/group_norm.md.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        groups: int,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        out, found = torch.empty_like(features), []
        for (values,), spare, made, gamma, beta in _parts([features], out, weight, bias):
            mean, rstd = _moments(values, spare, groups, eps)
            scale = rstd if gamma is None else rstd * gamma
            shift = -mean * scale if beta is None else beta - mean * scale
            _combine(made, [values], [scale], shift, spare)
            found.append((mean, rstd))
        mean, rstd = map(torch.cat, zip(*found, strict=True))
        ctx.save_for_backward(features, weight, bias, mean, rstd)
        ctx.groups, ctx.eps = groups, eps
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, mean, rstd = ctx.saved_tensors
        (gradient,) = gradients
        of_features, _, of_weight, of_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # what comes back is to be differentiated again
            return _by_autograd(ctx, gradient)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        d_features, found = torch.empty_like(features), []
        share = rstd * (-ctx.groups / features[0].numel())  # of one value in its group's mean
        each = (d_features, mean, rstd, share, weight)
        for (g, x), spare, made, m, r, part, gamma in _parts([gradient, features], *each):
            total, along = _sums(g, x, spare)
            along.addcmul_(m, total, value=-1).mul_(r)  # with the normalised features
            found.append((total, along))
            if of_features:
                scale = r
                if gamma is not None:
                    total, along, scale = total * gamma, along * gamma, r * gamma
                slope = part * r * _over_group(along, ctx.groups)
                shift = part * _over_group(total, ctx.groups) - slope * m
                _combine(made, [g, x], [scale, slope], shift, spare)
        total, along = map(torch.cat, zip(*found, strict=True))
        d_weight = _like(weight, along) if of_weight else None
        d_bias = _like(bias, total) if of_bias else None
        return d_features if of_features else None, None, d_weight, d_bias, None


def by_pytorch(
    features: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Return the same by PyTorch's kernels, of features in any layout."""
    if weight is None or bias is None or weight.ndim == 1:
        return F.group_norm(features, groups, weight, bias, eps)
    shape = (*weight.shape, *[1] * (features.ndim - 2))
    return F.group_norm(features, groups, eps=eps) * weight.view(shape) + bias.view(shape)


def _by_autograd(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients by PyTorch's own formulas, which can be differentiated again."""
    features, weight, bias, *_ = ctx.saved_tensors
    given = (features, None, weight, bias, None)
    asked = zip(given, ctx.needs_input_grad, strict=True)
    wanted = [t for t, needs in asked if needs and t is not None]
    out = by_pytorch(features, ctx.groups, weight, bias, ctx.eps)
    found = iter(torch.autograd.grad(out, wanted, gradient, create_graph=True))
    return tuple(next(found) if needs else None for needs in ctx.needs_input_grad)


def _parts(terms: Sequence[Tensor], *each: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """A few images at a time: the terms in float32, a spare tensor like them, and parts of each.

    Of features they are rows, (n, H W, channels). What is None or of all images stays as it is.
    """
    n, channels, height, width = terms[0].shape
    per = min(n, max(1, CHUNK * torch.get_num_threads() // terms[0][0].numel()))
    spare = torch.empty(per, height * width, channels)
    copies = [None if t.dtype == torch.float32 else torch.empty_like(spare) for t in terms]
    rows = [_rows(t) if t is not None and t.ndim == 4 else t for t in each]
    apart = [repeat(t) if t is None or t.ndim == 1 else iter(t.split(per)) for t in rows]
    for given in zip(*(_rows(t).split(per) for t in terms), strict=True):
        size = len(given[0])
        pairs = zip(given, copies, strict=True)
        values = [x if copy is None else copy[:size].copy_(x) for x, copy in pairs]
        yield values, spare[:size], *map(next, apart)


def _moments(values: Tensor, spare: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and 1 / sqrt(variance + eps) of each channel's group, (n, channels) float32."""

    def around(moved: Tensor) -> tuple[Tensor, Tensor]:
        sums = _sums(moved, moved, spare)
        mean, square = (_over_group(each, groups) / num_values for each in sums)
        variance = square.addcmul_(mean, mean, value=-1).clamp_min_(0)
        return mean, variance.add_(eps).rsqrt_()

    num_values = values[0].numel() // groups
    mean, rstd = around(values)
    if (mean * rstd).abs_().max() > FAR:
        rest, rstd = around(torch.sub(values, mean.unsqueeze(1), out=spare))
        mean = mean + rest
    return mean, rstd


def _sums(first: Tensor, second: Tensor, spare: Tensor) -> tuple[Tensor, Tensor]:
    """Each image's column sums of the first and of its products with the second, (n, channels).

    All are (n, H W, channels) float32; the spare one is overwritten, and may be the first.
    """
    return first.sum(1), torch.mul(first, second, out=spare).sum(1)


def _combine(
    made: Tensor, terms: Sequence[Tensor], scales: Sequence[Tensor], shift: Tensor, spare: Tensor
) -> None:
    """Write the sum of terms, each value times its channel's scale, and the channel's shift.

    Args:
        made: (n, H W, channels) float32 or bf16.
        terms: one or two of its shape, float32.
        scales: for each (n, channels) float32.
        shift: likewise.
        spare: as a term, overwritten.
    """
    n, positions, channels = made.shape
    tile = _tile(positions, channels)

    def repeated(coefficients: Tensor) -> Tensor:
        wide = coefficients.view(n, 1, channels).expand(n, tile, channels)
        return wide.reshape(n, 1, tile * channels)

    found = made if made.dtype == torch.float32 else spare
    result, so_far = found.view(n, positions // tile, tile * channels), repeated(shift)
    for term, scale in zip(terms, scales, strict=True):
        so_far = torch.addcmul(so_far, term.view(result.shape), repeated(scale), out=result)
    if found is not made:
        made.copy_(found)


@cache
def _tile(positions: int, channels: int) -> int:
    """How many rows are taken as one: a divisor of their number."""
    most = max(1, TILE // channels)
    return max(t for t in range(1, most + 1) if positions % t == 0)


def _like(parameter: Tensor, sums: Tensor) -> Tensor:
    """Each image's sums (N, channels) as the gradient of a parameter."""
    return sums if parameter.ndim == 2 else sums.sum(0)


def _over_group(values: Tensor, groups: int) -> Tensor:
    """The sums over each channel's group, (n, channels) -> the same shape."""
    n, channels = values.shape
    if groups == channels:
        return values
    sums = values.view(n, groups, -1).sum(2, keepdim=True)
    return sums.expand(n, groups, channels // groups).reshape(n, channels)


def _rows(features: Tensor) -> Tensor:
    """Channels_last features (N, channels, H, W) as a view (N, H W, channels)."""
    n, channels, height, width = features.shape
    return features.permute(0, 2, 3, 1).view(n, height * width, channels)
