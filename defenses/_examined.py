"""Whether a network's per-example gradients are those of its examples; imported late, for Opacus.

They are taken from what each layer is given and gives back. Where a network uses a weight
outside its layer, or gives a layer other rows than one an example, they are wrong without an error.
"""

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from defenses._engines import recording

# Of the largest gradient of a layer's weight. Also a network in float64 may cast to float32 inside,
# as many do for a norm or a softmax, and its gradients are then right to 1e-7.
ALIKE = {torch.float64: 1e-5, torch.float32: 1e-3}

LossesOf = Callable[[nn.Module, Tensor], Tensor]  # of a network at images, (n,)


def wrong_gradients(
    network: nn.Module, losses: LossesOf, images: Tensor, engine: str, copies: int = 1
) -> str | None:
    """Return why per-example gradients of a network would be wrong, or None.

    They are compared with autograd's of each example's own loss, in float64 where the network bears
    it, under the same random numbers. The network and the random generators stay as they are.

    Args:
        network: as it is trained.
        losses: each example's loss, which depends on no other example.
        images: (n, channels, H, W) float in [0, 1], n >= 2, no two alike.
        engine: what takes per-example gradients, by its name.
        copies: that it takes the mean gradient of, of each example.
    """
    told = ""
    with torch.random.fork_rng([images.device] if images.is_cuda else []):
        for dtype in ALIKE:
            trial = copy.deepcopy(network).train().to(dtype)
            shown = images.to(dtype)
            try:
                expected = _by_autograd(trial, losses, shown.repeat_interleave(copies, 0), copies)
            except Exception as error:
                told = _told(error)
                continue
            return _first_wrong(trial, losses, shown, expected, engine, copies)
        return f"it cannot be trained on a batch of {len(images)} images: {told}"


def _first_wrong(
    network: nn.Module,
    losses: LossesOf,
    images: Tensor,
    expected: dict[str, Tensor | None],
    engine: str,
    copies: int,
) -> str | None:
    """The first thing that is wrong, in a sentence that names the layer."""
    try:
        if _coupled(network, losses, images):
            return "an example's loss depends on which others are in the batch; keep them apart"
    except Exception as error:  # such as a squeeze that drops the axis of a single example
        return f"a batch that one example is drawn for cannot be trained on: {_told(error)}"
    idle = [m for m in network.modules() if not m.training and _is_trained(m)]
    if idle:
        return f"{_named(network, idle[0])} is trained, but stays in eval mode; freeze it"
    try:
        found = _by_engine(network, losses, images.repeat_interleave(copies, 0), engine, copies)
    except Exception as error:
        return _why_none(network, error)
    for name, slow in expected.items():
        if why := _difference(found[name], slow, len(images), ALIKE[images.dtype]):
            layer = network.get_submodule(name.rpartition(".")[0])
            return f"{_named(network, layer)}: {why}"
    return None


def _difference(found: object, slow: Tensor | None, num: int, alike: float) -> str | None:
    """What sets per-example gradients of one parameter apart from autograd's."""
    if slow is None:
        return (
            "a parameter takes no part in the loss, so there is no gradient to clip; leave it out "
            "or freeze it with requires_grad=False"
        )
    by_itself = "call the layer itself, once a pass, on inputs whose first axis is the batch"
    if not isinstance(found, Tensor):
        return f"its weights are used outside of it, where no gradients are taken; {by_itself}"
    if len(found) != num:
        return f"it is given {len(found)} rows for {num} examples; {by_itself}"
    error, most = (found - slow).abs().max().item(), slow.abs().max().item()
    if error <= alike * max(most, 1e-3):
        return None
    return (
        f"its per-example gradients are off by {error:.2g} where the largest is {most:.2g}, as "
        f"those of weights that are also used outside of their layer are; {by_itself}"
    )


def _by_autograd(
    network: nn.Module, losses: LossesOf, images: Tensor, copies: int
) -> dict[str, Tensor | None]:
    """Each example's gradients, (n, *shape) of each parameter; None: the losses do without it."""
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    torch.manual_seed(0)
    rows = [
        torch.autograd.grad(loss, [*trained.values()], retain_graph=True, allow_unused=True)
        for loss in losses(network, images)
    ]
    return {
        name: None
        if all(g is None for g in column)
        else torch.stack([*map(_or_zeros(p), column)]).unflatten(0, (-1, copies)).mean(1)
        for (name, p), column in zip(trained.items(), zip(*rows, strict=True), strict=True)
    }


def _or_zeros(p: Tensor) -> Callable[[Tensor | None], Tensor]:
    return lambda gradient: torch.zeros_like(p) if gradient is None else gradient


def _by_engine(
    network: nn.Module, losses: LossesOf, images: Tensor, engine: str, copies: int
) -> dict[str, object]:
    """What DP-SGD would clip, of each parameter."""
    recorded = recording(network, engine, copies)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an embedding, whose numbers carry no gradient
        losses(recorded, images).mean().backward()
    return {n: getattr(p, "grad_sample", None) for n, p in network.named_parameters()}


@torch.no_grad()
def _coupled(network: nn.Module, losses: LossesOf, images: Tensor) -> bool:
    """Whether the first examples' losses change with the last image; and one alone has a loss."""
    others = torch.cat([images[:-1], 1 - images[-1:]])
    values = []
    for shown in (images, others):
        torch.manual_seed(0)
        values.append(losses(network, shown)[:-1])
    alone = network(images[:1])
    if alone.shape != network(images)[:1].shape:
        raise ValueError(f"one image has an answer of shape {(*alone.shape,)}; keep the first axis")
    return not torch.allclose(*values, rtol=ALIKE[images.dtype], atol=ALIKE[images.dtype])


def _why_none(network: nn.Module, error: Exception) -> str:
    """A sentence for what the engine, or autograd, raises."""
    in_place = [m for m in network.modules() if getattr(m, "inplace", False) is True]
    if "inplace" in str(error) or "in-place" in str(error):
        what = _named(network, in_place[0]) if in_place else "an operation such as relu_ or +="
        return f"{what} changes a layer's output in place; use inplace=False, or a new tensor"
    if type(error).__name__ == "CheckpointError":
        return (
            "torch.utils.checkpoint runs layers again on the way back, where no gradients are "
            "taken; call them without it, and set physical_batch_size if memory is short"
        )
    if "functorch" in str(error):
        return "it calls a layer under a transform such as torch.vmap; call the layer itself"
    return f"per-example gradients cannot be taken of it: {_told(error)}"


def _is_trained(layer: nn.Module) -> bool:
    return any(p.requires_grad for p in layer.parameters(recurse=False))


def _named(network: nn.Module, layer: nn.Module) -> str:
    """A layer by its name and kind."""
    name = next(name for name, m in network.named_modules() if m is layer)
    return f"{name} ({type(layer).__name__})" if name else f"the {type(layer).__name__} itself"


def _told(error: Exception) -> str:
    """An error's kind and its first line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"
