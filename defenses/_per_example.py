"""Per-example gradients by Opacus in any memory layout; imported late, for it needs Opacus."""

from typing import Any

import torch
from opacus import GradSampleModule
from torch import Tensor


class PerExampleGradients(GradSampleModule):
    """Leaves every parameter's gradients of each example, (n, *shape), in its `grad_sample`.

    Opacus 1.6 reads a convolution's input as if it lay in memory as NCHW. In channels_last, which
    training uses, it takes wrong numbers and other examples' too, without an error.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits. The images carry a gradient: PyTorch warns of the first layer's hook
        at each backward pass otherwise."""
        if not images.requires_grad:
            images = images.detach().requires_grad_()
        return super().forward(images)

    def rearrange_grad_samples(self, **given: Any) -> tuple[Any, Tensor]:
        """Return a layer's inputs and output gradients, the inputs laid out as Opacus reads them.

        `contiguous()` would leave images of one channel or one pixel as they are: any strides are
        contiguous there, but padding them gives channels_last again.
        """
        inputs, gradients = super().rearrange_grad_samples(**given)
        return [_row_by_row(t) for t in inputs], gradients


def _row_by_row(t: Tensor) -> Tensor:
    """A copy whose last dimension runs fastest."""
    return torch.empty(t.shape, dtype=t.dtype, device=t.device).copy_(t)
