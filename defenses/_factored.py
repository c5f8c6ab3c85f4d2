"""Per-example gradients: their norms, their weighted sum, and two factors in the place of one.

The gradient of a matrix of weights is a sum over positions of output gradient times input. Where
there are few positions, both together are much smaller than the gradient of every example.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

SMALL = 2**13  # weights of a layer, below which nothing is gained
FEW_DIGITS = 1e-2  # of a squared norm, in units of what it would be if nothing cancelled


class Factored(Tensor):
    """Gradients (n, *shape) of a layer's weights, kept as two factors until somebody reads them.

    To whoever computes with it, it is a tensor like any other: it is multiplied out. Its norms and
    weighted sums are taken from the factors, by `squared_norms` and `weighted_sum`.

    Args:
        inputs: (n, T, P) float, what the weights were multiplied with at each of T positions.
        gradients: (n, T, O) float, of the outputs there.
        kernel: the weights' last dimensions; they are (O, P) without any, else (O, C, *kernel) with
            P = prod(kernel) * C, in which C runs fastest.
    """

    inputs: Tensor
    gradients: Tensor
    kernel: tuple[int, ...]

    @staticmethod
    def __new__(cls, inputs: Tensor, gradients: Tensor, kernel: tuple[int, ...] = ()) -> "Factored":
        channels = inputs.shape[2] // math.prod(kernel)
        shape = (len(inputs), gradients.shape[2], channels, *kernel)
        return Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls, shape, dtype=gradients.dtype, device=gradients.device
        )

    def __init__(self, inputs: Tensor, gradients: Tensor, kernel: tuple[int, ...] = ()) -> None:
        self.inputs, self.gradients, self.kernel = inputs, gradients, kernel

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = tree_map_only(Factored, Factored.whole, (args, kwargs or {}))
        return func(*args, **kwargs)

    def whole(self) -> Tensor:
        """Return the gradients themselves, (n, *shape)."""
        product = torch.bmm(self.gradients.transpose(1, 2), self.inputs)
        return with_kernel(product, self.kernel)

    def plus(self, other: "Factored") -> "Factored":
        """Return the sum with other gradients of the same weights: those of more positions."""
        inputs = torch.cat([self.inputs, other.inputs], 1)
        return Factored(inputs, torch.cat([self.gradients, other.gradients], 1), self.kernel)


def is_worth_factoring(positions: int, inputs: int, outputs: int) -> bool:
    """Return whether factors cost less than the gradients, (inputs, outputs) of each example.

    To write and read a number costs as much as 75 to 100 multiplications on a core (measured on an
    EPYC with AVX-512, 8x8 to 4x4 positions of 64 to 512 channels), so the gradients' numbers stand
    against the products of all pairs of positions and against the inputs' numbers.
    """
    size = inputs * outputs
    factors = positions * positions * (inputs + outputs) + 100 * positions * inputs
    return size >= SMALL and factors < 75 * size


def squared_norms(gradients: Tensor) -> Tensor:
    """Return each example's squared l2 norm, (n,), of gradients (n, *shape)."""
    if not isinstance(gradients, Factored):
        rows, _ = _rows(gradients)
        return torch.linalg.vector_norm(rows, dim=1).square()
    a, b = gradients.inputs, gradients.gradients
    if a.shape[1] == 1:  # one product: nothing can cancel
        return a.square().sum((1, 2)) * b.square().sum((1, 2))
    squared = (torch.bmm(a, a.transpose(1, 2)) * torch.bmm(b, b.transpose(1, 2))).sum((1, 2))
    bound = a.square().sum((1, 2)) * b.square().sum((1, 2))
    lost = squared < FEW_DIGITS * bound  # rounding is of the bound's size: those are multiplied out
    if lost.any():
        few = Factored(a[lost], b[lost], gradients.kernel).whole()
        squared[lost] = squared_norms(few)
    return squared


def weighted_sum(gradients: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of weight times gradient over examples, of gradients (n, *shape), (n,)."""
    if isinstance(gradients, Factored):
        scaled = gradients.gradients * weights[:, None, None]
        product = scaled.flatten(0, 1).T @ gradients.inputs.flatten(0, 1)
        return with_kernel(product, gradients.kernel)
    rows, order = _rows(gradients)
    summed = (weights @ rows).view([gradients.shape[1 + d] for d in order])
    return summed.permute([order.index(d) for d in range(len(order))])


def with_kernel(product: Tensor, kernel: tuple[int, ...]) -> Tensor:
    """Return (..., O, prod(kernel) * C) as (..., O, C, *kernel), the layout of weights."""
    if not kernel:
        return product
    return product.unflatten(-1, (*kernel, -1)).movedim(-1, -1 - len(kernel))


def _rows(gradients: Tensor) -> tuple[Tensor, list[int]]:
    """Gradients (n, numbers) as they lie in memory, and which dimensions of one run slowest."""
    order = sorted(range(gradients.ndim - 1), key=lambda d: -gradients.stride(1 + d))
    laid = gradients.permute(0, *(1 + d for d in order))
    return laid.reshape(len(gradients), math.prod(gradients.shape[1:])), order
