"""The two ways to per-example gradients, by name; imported late, for both need Opacus."""

from opacus.optimizers import DPOptimizer
from torch import nn

from defenses._per_example import PerExampleGradients
from defenses._taps import ClippingOptimizer, TappedGradients, has_formulas


def recording(network: nn.Module, engine: str, copies: int = 1) -> nn.Module:
    """Return the network in a wrapper that leaves every example's gradients in `grad_sample`.

    Of an example that is shown in several copies, which follow each other in the batch, that is the
    mean of theirs.

    Opacus' hooks know any layer, slowly. They also take a network in which "taps" has no formula
    for a layer: two ways within one network would have to agree on which calls count.
    """
    if engine == "taps" and has_formulas(network):
        return TappedGradients(network, copies)
    return PerExampleGradients(network, copies)


def clipping(engine: str) -> type[DPOptimizer]:
    """Return the optimizer that clips, adds Opacus' noise and steps."""
    return ClippingOptimizer if engine == "taps" else DPOptimizer
