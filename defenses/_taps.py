"""Per-example gradients from one backward pass that takes no other gradient of a weight."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from opacus.optimizers import DPOptimizer
from opacus.optimizers.optimizer import _check_processed_flag, _mark_as_processed
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from defenses._factored import Factored, squared_norms, weighted_sum
from defenses._layer_gradients import added_up, formula_of
from runner.norms import GroupNorm

Run = Callable[..., Tensor]  # what takes the place of a layer's forward


class TappedGradients(nn.Module):
    """Leaves every parameter's gradients of each example, (n, *shape), in its `grad_sample`.

    Of an example that is shown in several copies, which follow each other in the batch, it is the
    mean of theirs. The loss is a mean over all that is shown, as for Opacus' GradSampleModule.

    In a pass in train mode each layer runs with constant weights, so that autograd goes through its
    input alone, and a tap on its output takes what flows back: with the input, that gives each
    example's own gradients. The sums over the batch, which DP-SGD has no use for, are never
    computed. Outside of such a pass the network is as it was: attacks that craft on it leave no
    trace, and a copy of it has no tap.
    """

    def __init__(self, network: nn.Module, copies: int = 1) -> None:
        super().__init__()
        self._module, self.copies = network, copies
        tapped = _tapped_layers(network, copies)
        assert tapped is not None, "a layer has no formula here: ask `has_formulas` first"
        self.tapped = tapped

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images (n, channels, H, W)."""
        if not (self.training and torch.is_grad_enabled()):
            return self._module(images)
        with self._tapped():
            logits = self._module(images)
        return _TimesExamples.apply(logits, self.copies)  # pyright: ignore[reportReturnType]

    @contextmanager
    def _tapped(self) -> Iterator[None]:
        """Put a tap on every trained layer, for one pass."""
        for layer, run in self.tapped.items():
            layer.forward = run
        try:
            yield
        finally:
            for layer in self.tapped:
                del layer.forward


class ClippingOptimizer(DPOptimizer):
    """Opacus' optimizer, with its noise and its steps, that clips from norms and a weighted sum."""

    def clip_and_accumulate(self) -> None:
        """Add the sum of clipped gradients to each parameter's `summed_grad`."""
        parameters: list[Any] = self.params
        each = [self._get_flat_grad_sample(p) for p in parameters]
        norms = torch.stack([squared_norms(g) for g in each]).sum(0).sqrt()
        weights = (self.max_grad_norm / (norms + 1e-6)).clamp(max=1)  # 1e-6 as in Opacus
        for p, gradients in zip(parameters, each, strict=True):
            _check_processed_flag(p.grad_sample)
            summed = weighted_sum(gradients, weights)
            p.summed_grad = summed if p.summed_grad is None else p.summed_grad + summed
            _mark_as_processed(p.grad_sample)


def has_formulas(network: nn.Module) -> bool:
    """Return whether every layer that is trained has a formula here."""
    return _tapped_layers(network, 1) is not None


def _tapped_layers(network: nn.Module, copies: int) -> dict[nn.Module, Run] | None:
    """The layers with weights to train and how each is run; None: one is unknown."""
    found: dict[nn.Module, Run] = {}
    for layer in network.modules():
        trained = {n for n, p in layer.named_parameters(recurse=False) if p.requires_grad}
        if not trained:
            continue
        run = _run_of(layer, copies)
        if run is None or not trained <= {"weight", "bias"}:
            return None
        found[layer] = run
    return found


def _run_of(layer: nn.Module, copies: int) -> Run | None:
    """How a layer is run so that it leaves its gradients."""
    if type(layer) is GroupNorm and "forward" not in vars(layer):
        return partial(_normed, layer, copies)
    formula = formula_of(layer)
    return None if formula is None else partial(_tap, layer, formula, copies)


def _normed(layer: GroupNorm, copies: int, input: Tensor) -> Tensor:
    """A norm's output by a scale and shift of each example, whose gradients are each example's.

    Its own backward pass has them on its way to the sums over the batch.
    """
    each: dict[str, Any] = {}
    for name, p in layer._parameters.items():
        assert p is not None
        each[name] = p.detach().expand(len(input), -1).requires_grad_(p.requires_grad)
        if p.requires_grad:
            each[name].register_hook(partial(_keep_added_up, p, copies))
    return _with_parameters(layer, each, input)


def _tap(
    layer: nn.Module, formula: Callable[..., Any], copies: int, *given: Any, **named: Any
) -> Tensor:
    """A layer's output, from which its parameters' gradients of each example will come."""
    (images,) = (*given, *named.values())
    held = layer._parameters
    constant = {name: None if p is None else p.detach() for name, p in held.items()}
    answer = _with_parameters(layer, constant, images)
    trained = [p for p in held.values() if p is not None and p.requires_grad]
    held_back = images.detach()
    return _Tap.apply(partial(formula, layer), copies, answer, held_back, *trained)  # pyright: ignore[reportReturnType]


def _with_parameters(layer: nn.Module, parameters: Any, *given: Tensor) -> Tensor:
    """What a layer answers with others in its parameters' place."""
    held = layer._parameters
    layer._parameters = parameters
    try:
        return layer.__class__.forward(layer, *given)
    finally:
        layer._parameters = held


def _keep_added_up(parameter: Any, copies: int, found: Tensor) -> None:
    """Add the gradients of each example's copies."""
    _keep(parameter, added_up(found, copies))


def _keep(parameter: Any, found: Tensor) -> None:
    """Add the gradients of each example that come from one call of a parameter's layer."""
    held = getattr(parameter, "grad_sample", None)
    parameter.grad_sample = found if held is None else _added(held, found)


def _added(held: Tensor, found: Tensor) -> Tensor:
    """The sum of what two calls of a layer give, or of two layers with the same weights."""
    _check_processed_flag(held)
    if isinstance(held, Factored) and isinstance(found, Factored):
        return held.plus(found)
    return held + found


class _TimesExamples(torch.autograd.Function):
    """The logits; on the way back, gradients of the mean become those of each example's loss.

    That is the mean over its copies, whose gradients are then added up.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, copies: int) -> Tensor:
        ctx.copies = copies
        return logits.view_as(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradients,) = grad_outputs
        return gradients * (len(gradients) / ctx.copies), None


class _Tap(torch.autograd.Function):
    """The same numbers forward and backward; on the way back, a formula's gradients are kept.

    Not where only images' gradients are asked for, as by an attack: those passes stop short of the
    weights.
    """

    @staticmethod
    def forward(
        ctx: Any, formula: Any, copies: int, answer: Tensor, images: Tensor, *trained: Tensor
    ) -> Tensor:
        """`trained` only says that gradients are wanted, also where the images carry none."""
        ctx.formula, ctx.copies = formula, copies
        ctx.unused, ctx.dtype = len(trained), trained[0].dtype
        ctx.save_for_backward(images)
        return answer.view_as(answer)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradients,) = grad_outputs
        weights = [node for node, _ in ctx.next_functions[-ctx.unused :]]
        if any(map(torch._C._will_engine_execute_node, weights)):
            given = (*ctx.saved_tensors, gradients)  # of which a network under autocast has bf16
            seen = (t.to(ctx.dtype) if t.is_floating_point() else t for t in given)
            for p, found in ctx.formula(*seen, ctx.copies).items():
                _keep(p, found)
        return None, None, gradients, None, *[None] * ctx.unused
