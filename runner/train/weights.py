"""A network's weights as the bytes that last, and back."""

import json
from collections.abc import Mapping

import safetensors.torch
from torch import Tensor, nn

from runner.models import ImageShape

SHAPE = "image_shape"  # of the images, in the header of the file


def weights_to_bytes(state: Mapping[str, Tensor], shape: ImageShape | None = None) -> bytes:
    """Return a network's `state_dict` as a safetensors file.

    Tensors that share memory, such as tied weights, are each written whole, since the format knows
    no sharing: a network that ties its weights when it is built gets the same numbers under each
    of their names.

    Args:
        shape: of its images, with the mean and std that they are normalised by; kept beside.
    """
    told = {SHAPE: json.dumps(shape._asdict())} if shape else None
    return safetensors.torch.save({name: _alone(t) for name, t in state.items()}, told)


def shape_in(content: bytes) -> ImageShape | None:
    """Return the shape that `weights_to_bytes` was given; None of a file from before it was."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    told = header.get("__metadata__", {}).get(SHAPE)
    if told is None:
        return None
    shape = ImageShape(**json.loads(told))
    return shape._replace(mean=tuple(shape.mean), std=tuple(shape.std))


def put_weights(model: nn.Module, content: bytes) -> None:
    """Put what `weights_to_bytes` gave into a network that was built in the same way.

    Raises:
        RuntimeError, safetensors.SafetensorError: they are not the weights of such a network.
    """
    model.load_state_dict(safetensors.torch.load(content))


def _alone(t: Tensor) -> Tensor:
    """A copy on the CPU, row by row, that shares its memory with no other tensor."""
    return t.detach().cpu().contiguous().clone()
