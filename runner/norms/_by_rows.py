"""Group normalisation of channels_last features on a CPU, in their own layout."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 2**18  # values at a time and thread: in float32 1 MB, which is about a cache of one core
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
    copied to float32 stays in the cache. Measured in benchmarks/results/group_norm.md.
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
        mean, rstd = _moments(_rows(features), groups, eps)
        scale = rstd if weight is None else rstd * _by_group(weight, groups)
        shift = -mean * scale if bias is None else _by_group(bias, groups) - mean * scale
        ctx.save_for_backward(features, weight, bias, mean, rstd)
        ctx.groups, ctx.eps = groups, eps
        return _combined([features], [scale], shift)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, mean, rstd = ctx.saved_tensors
        (gradient,) = gradients
        of_features, _, of_weight, of_bias, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # what comes back is to be differentiated again
            return _by_autograd(ctx, gradient)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        total, along = _sums(_rows(gradient), _rows(features))
        total, along = (sums.view(len(sums), ctx.groups, -1) for sums in (total, along))
        along = along.addcmul_(mean, total, value=-1).mul_(rstd)  # with the normalised features
        d_weight = _like(weight, along) if of_weight else None
        d_bias = _like(bias, total) if of_bias else None
        if not of_features:
            return None, None, d_weight, d_bias, None
        scale = rstd
        if weight is not None:
            gamma = _by_group(weight, ctx.groups)
            total, along, scale = total * gamma, along * gamma, rstd * gamma
        share = rstd * (-ctx.groups / features[0].numel())  # of one value in its group's mean
        slope = share * rstd * _over_group(along)
        shift = share * _over_group(total) - slope * mean
        d_features = _combined([gradient, features], [scale, slope], shift)
        return d_features, None, d_weight, d_bias, None


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


def _moments(rows: Tensor, groups: int, eps: float) -> tuple[Tensor, Tensor]:
    """Mean and 1 / sqrt(variance + eps) of each group, (N, groups, 1) float32."""

    def of_groups(centre: Tensor | None) -> tuple[Tensor, Tensor]:
        sums = _sums(rows, rows, centre)
        mean, square = (_over_group(s.view(len(s), groups, -1)).div_(num_values) for s in sums)
        variance = square.addcmul_(mean, mean, value=-1).clamp_min_(0)
        return mean, variance.add_(eps).rsqrt_()

    num_values = rows[0].numel() // groups
    mean, rstd = of_groups(None)
    if (mean * rstd).abs().max() > FAR:
        rest, rstd = of_groups(mean)
        mean = mean + rest
    return mean, rstd


def _sums(first: Tensor, second: Tensor, centre: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Each image's column sums of the first rows and of their products with the second's.

    Args:
        first: (N, H W, channels) float32 or bf16.
        second: of the same shape; the first itself for its squares.
        centre: (N, groups, 1) float32, taken away from each value; then the two are the same.

    Returns:
        Two of (N, channels) float32.
    """
    n, positions, channels = first.shape
    per = _images_at_once(first)
    total, along = (torch.empty(n, channels) for _ in range(2))
    buffers = [torch.empty(min(n, per), positions, channels) for _ in range(2)]
    moved = None if centre is None else _per_channel(centre, channels).split(per)
    parts = (t.split(per) for t in (first, second, total, along))
    for i, (a, b, sums, products) in enumerate(zip(*parts, strict=True)):
        x, y = (buffer[: len(a)] for buffer in buffers)
        left = _in_float32(a, x) if moved is None else torch.sub(a, moved[i], out=x)
        right = left if second is first else _in_float32(b, y)
        torch.sum(left, 1, out=sums)
        torch.sum(torch.mul(left, right, out=x), 1, out=products)
    return total, along


def _combined(terms: Sequence[Tensor], scales: Sequence[Tensor], shift: Tensor) -> Tensor:
    """The sum of terms, each value times its channel's scale, and the channel's shift.

    Args:
        terms: one or two of (N, channels, H, W) in channels_last, float32 or bf16.
        scales: for each (N, groups, channels / groups or 1) float32.
        shift: likewise.

    Returns:
        Of the shape, dtype and layout of the first term.
    """
    out = torch.empty_like(terms[0])
    n, positions, channels = _rows(out).shape
    most = max(1, TILE // channels)
    tile = max(t for t in range(1, most + 1) if positions % t == 0)

    def tiled(features: Tensor) -> Sequence[Tensor]:
        return _rows(features).view(n, positions // tile, tile * channels).split(per)

    def repeated(coefficients: Tensor) -> Sequence[Tensor]:
        of_channels = _per_channel(coefficients, channels)
        return of_channels.expand(n, tile, channels).reshape(n, 1, tile * channels).split(per)

    per = _images_at_once(_rows(out))
    buffers = [torch.empty(min(n, per), positions // tile, tile * channels) for _ in terms]
    parts = [(tiled(term), repeated(scale)) for term, scale in zip(terms, scales, strict=True)]
    for i, (made, moved) in enumerate(zip(tiled(out), repeated(shift), strict=True)):
        spare = [buffer[: len(made)] for buffer in buffers]
        found = made if made.dtype == torch.float32 else spare[0]
        for j, (values, factors) in enumerate(parts):
            value = _in_float32(values[i], spare[j])
            torch.addcmul(found if j else moved, value, factors[i], out=found)
        if found is not made:
            made.copy_(found)
    return out


def _in_float32(values: Tensor, buffer: Tensor) -> Tensor:
    """The values themselves, or their copy in the buffer."""
    return values if values.dtype == torch.float32 else buffer.copy_(values)


def _by_group(parameter: Tensor, groups: int) -> Tensor:
    """(channels,) or (N, channels) -> (groups, channels / groups) or (N, groups, ...)."""
    return parameter.unflatten(-1, (groups, -1))


def _like(parameter: Tensor, sums: Tensor) -> Tensor:
    """Each image's sums (N, groups, channels / groups) as the gradient of a parameter."""
    return sums.flatten(1) if parameter.ndim == 2 else sums.sum(0).flatten()


def _over_group(values: Tensor) -> Tensor:
    """The sums over a group's channels, (N, groups, channels / groups) -> (N, groups, 1)."""
    return values if values.shape[2] == 1 else values.sum(2, keepdim=True)


def _per_channel(values: Tensor, channels: int) -> Tensor:
    """(N, groups, channels / groups or 1) -> (N, 1, channels)."""
    n, groups, _ = values.shape
    return values.expand(n, groups, channels // groups).reshape(n, 1, channels)


def _rows(features: Tensor) -> Tensor:
    """Channels_last features (N, channels, H, W) as a view (N, H W, channels)."""
    n, channels, height, width = features.shape
    return features.permute(0, 2, 3, 1).view(n, height * width, channels)


def _images_at_once(rows: Tensor) -> int:
    return max(1, CHUNK * torch.get_num_threads() // rows[0].numel())
