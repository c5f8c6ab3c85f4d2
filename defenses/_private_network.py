"""Networks that DP-SGD can train: without BatchNorm, and of layers with per-example gradients."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import ParametrizationList

from runner.norms import GroupNorm


def without_batch_norm(network: nn.Module) -> None:
    """Put GroupNorm in the place of each BatchNorm, the same one wherever that is the same.

    One that stays in eval mode and trains nothing is a fixed scale and shift, and is kept.
    """
    replaced: dict[nn.Module, GroupNorm] = {}
    for parent in list(network.modules()):
        for name, norm in list(parent._modules.items()):
            if not isinstance(norm, _BatchNorm) or _is_fixed(norm):
                continue
            if norm not in replaced:
                group = replaced[norm] = GroupNorm(norm.num_features, norm.eps, norm.affine)
                group.weight, group.bias = norm.weight, norm.bias
            setattr(parent, name, replaced[norm])


def has_batch_norm(network: nn.Module) -> bool:
    """Return whether `without_batch_norm` would replace a layer."""
    return any(isinstance(m, _BatchNorm) and not _is_fixed(m) for m in network.modules())


def refused_layers(network: nn.Module) -> Iterator[str]:
    """Yield the layers that Opacus takes no per-example gradients of, by name and kind, and why."""
    from opacus.grad_sample import GradSampleModule
    from opacus.validators import ModuleValidator

    for name, layer in network.named_modules():
        trained = {n for n, p in layer.named_parameters(recurse=False) if p.requires_grad}
        if not trained:
            continue
        kind, known = type(layer), type(layer) in GradSampleModule.GRAD_SAMPLERS
        where = f"{name} ({kind.__name__})" if name else f"the {kind.__name__} itself"
        if kind in ModuleValidator.VALIDATORS and ModuleValidator.VALIDATORS[kind](layer):
            yield f"Opacus takes no per-example gradients of {where}"
        elif [*layer.buffers()]:
            yield f"{where} has weights to train and buffers, in itself or in a layer within"
        elif known and not trained <= {"weight", "bias"}:
            yield f"a hook computes the weight of {where} from {', '.join(sorted(trained))}"
        elif isinstance(layer, ParametrizationList) and not _is_trained_itself(network, name):
            yield f"{name} gives its weight to a layer without a bias, which Opacus passes over"


def _is_fixed(norm: _BatchNorm) -> bool:
    """Whether a BatchNorm does the same to every example whatever is trained."""
    trained = any(p.requires_grad for p in norm.parameters())
    return not norm.training and norm.running_mean is not None and not trained


def _is_trained_itself(network: nn.Module, parametrization: str) -> bool:
    """Whether the layer that a parametrization is of has weights of its own beside it."""
    layer = network.get_submodule(parametrization.rpartition(".parametrizations.")[0])
    return any(p.requires_grad for p in layer.parameters(recurse=False))
