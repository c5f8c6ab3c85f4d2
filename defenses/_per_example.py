"""Per-example gradients by Opacus in any memory layout; imported late, for it needs Opacus."""

from typing import Any

import torch
from opacus import GradSampleModule
from opacus.grad_sample.embedding import compute_embedding_grad_sample
from opacus.grad_sample.utils import register_grad_sampler
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from runner.norms import GroupNorm


class PerExampleGradients(GradSampleModule):
    """Leaves every parameter's gradients of each example, (n, *shape), in its `grad_sample`.

    Those of an example's copies, which follow each other in the batch, are averaged once Opacus has
    them all. The loss is a mean over all that is shown.

    Opacus 1.6 has a formula for most kinds of layers, and some are wrong of some layers, without
    an error: those layers are differentiated example by example. Its convolution's input is read as
    if it lay in memory as NCHW. In channels_last, which training uses, it takes wrong numbers and
    other examples' too. `defenses._examined` compares what comes out with autograd.
    """

    def __init__(self, network: nn.Module, copies: int = 1) -> None:
        super().__init__(network, loss_reduction="mean")
        self.copies = copies

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits. The images carry a gradient: PyTorch warns of the first layer's hook
        at each backward pass otherwise."""
        if not images.requires_grad:
            images = images.detach().requires_grad_()
        return super().forward(images)

    def capture_backprops_hook(self, module: nn.Module, *given: Any, **named: Any) -> None:
        """Take what a layer gives; of weights whose gradients are now whole, average the copies."""
        weights: list[Any] = [*module.parameters()]
        before = [getattr(p, "grad_sample", None) for p in weights]
        super().capture_backprops_hook(module, *given, **named)
        for p, held in zip(weights, before, strict=True):
            found = getattr(p, "grad_sample", None)
            if self.copies > 1 and isinstance(found, Tensor) and found is not held:
                apart = found.unflatten(0, (len(found) // self.copies, self.copies))
                p.grad_sample = apart.mean(1)

    def rearrange_grad_samples(self, **given: Any) -> tuple[Any, Tensor]:
        """Return a layer's inputs and output gradients, the inputs laid out as Opacus reads them.

        `contiguous()` would leave images of one channel or one pixel as they are: any strides are
        contiguous there, but padding them gives channels_last again.
        """
        inputs, gradients = super().rearrange_grad_samples(**given)
        return [_row_by_row(t) for t in inputs], gradients

    def _get_module_type(self, module: nn.Module) -> Any:
        """The type by which Opacus looks for its formula; of no type, where that is wrong."""
        return None if _has_a_wrong_formula(module) else super()._get_module_type(module)


def _has_a_wrong_formula(layer: nn.Module) -> bool:
    """Whether Opacus' formula passes over something that the layer does."""
    if isinstance(layer, _ConvNd):
        return layer.padding_mode != "zeros"
    return isinstance(layer, nn.LayerNorm) and layer.bias is None


@register_grad_sampler(GroupNorm)
def _of_group_norm(
    layer: GroupNorm, inputs: list[Tensor], gradients: Tensor
) -> dict[nn.Parameter, Tensor]:
    """The gradients of scale and shift, (n, channels) each."""
    (features,) = inputs
    plain = nn.functional.group_norm(features, layer.groups_of(features), eps=layer.eps)
    found = {layer.weight: plain * gradients, layer.bias: gradients}
    return {p: torch.einsum("nc...->nc", g) for p, g in found.items() if p.requires_grad}


@register_grad_sampler(nn.Embedding)
def _of_embedding(
    layer: nn.Embedding, inputs: list[Tensor], gradients: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Opacus' gradients, (n, numbers, width), without those of the row that is never trained."""
    found = compute_embedding_grad_sample(layer, inputs, gradients)  # pyright: ignore[reportArgumentType]
    if layer.padding_idx is not None:
        for each in found.values():
            each[:, layer.padding_idx] = 0
    return found


def _row_by_row(t: Tensor) -> Tensor:
    """A copy whose last dimension runs fastest."""
    return torch.empty(t.shape, dtype=t.dtype, device=t.device).copy_(t)
