"""A network's weights as the bytes that last, and back."""

from collections.abc import Mapping

import safetensors.torch
from torch import Tensor, nn


def weights_to_bytes(state: Mapping[str, Tensor]) -> bytes:
    """Return a network's `state_dict` as a safetensors file.

    Tensors that share memory, such as tied weights, are each written whole, since the format knows
    no sharing: a network that ties its weights when it is built gets the same numbers under each
    of their names.
    """
    return safetensors.torch.save({name: _alone(t) for name, t in state.items()})


def put_weights(model: nn.Module, content: bytes) -> None:
    """Put what `weights_to_bytes` gave into a network that was built in the same way.

    Raises:
        RuntimeError, safetensors.SafetensorError: they are not the weights of such a network.
    """
    model.load_state_dict(safetensors.torch.load(content))


def _alone(t: Tensor) -> Tensor:
    """A copy on the CPU, row by row, that shares its memory with no other tensor."""
    return t.detach().cpu().contiguous().clone()
