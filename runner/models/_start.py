"""The weights that a network begins with, from a file of somebody's; nothing is unpickled."""

import hashlib
import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

INSIDE = ("state_dict", "model_state_dict", "model", "net", "network")  # where checkpoints have it
BEFORE = ("module.", "_orig_mod.", "_module.", "network.", "model.")  # what wrappers put before it
MOST_NAMED = 3  # tensors in one sentence
COUNTER = "num_batches_tracked"  # of BatchNorm; it changes no answer, and old files lack it


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, by name: of safetensors, or of what `torch.save` wrote.

    The latter may be a checkpoint that has them under one of the usual keys.

    Raises:
        ValueError: it cannot be read without unpickling more than tensors, or holds none.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f"weights '{path}': it holds more than tensors and plain values, and nothing else is "
            "unpickled here; save `model.state_dict()` alone, by torch.save or as .safetensors"
        ) from None
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error).strip().partition("\n")[0]
        raise ValueError(f"weights '{path}': it cannot be read ({why})") from None
    for key in INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"weights '{path}': it holds no state_dict, a mapping of names to tensors")
    strange = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise ValueError(
            f"weights '{path}': {_some(strange)} is no tensor; save `model.state_dict()` alone"
        )
    return dict(content)


def put(
    network: nn.Module, given: Mapping[str, Tensor], other: Callable[[], nn.Module]
) -> tuple[str, ...]:
    """Put weights into a network; return the layers that keep their initial ones: its heads.

    Args:
        network: its weights are overwritten.
        given: by the names of its `state_dict`, which may all have a wrapper's name before them.
        other: makes it with one class more; its heads are the layers that are of another size then.

    Raises:
        ValueError: anything but a head is lacking, is of another size, or is not the network's.
    """
    own = network.state_dict()
    state = _named_as(own, given)
    lacking = [name for name in own if name not in state and not name.endswith(COUNTER)]
    strange = [name for name in state if name not in own]
    unlike = [n for n, value in state.items() if n in own and value.shape != own[n].shape]
    fresh: set[str] = set()
    if lacking or unlike:
        sized = other().state_dict()
        heads = {name for name in own if sized[name].shape != own[name].shape}
        fresh = {name for name in heads if name in lacking or name in unlike}
        # A layer is begun anew whole: a bias of the file's is of another head's classes.
        fresh |= {n for n in own if n.rpartition(".")[0] in {h.rpartition(".")[0] for h in fresh}}
    wrong = [
        *(f"{n} is lacking" for n in lacking if n not in fresh),
        *(
            f"{n} has the shape {tuple(state[n].shape)} in place of {tuple(own[n].shape)}"
            for n in unlike
            if n not in fresh
        ),
        *(f"{n} is none of its own" for n in strange),
    ]
    if wrong:
        raise ValueError(
            f"the weights are those of another network: {_some(wrong)}; give the file of this one"
        )
    network.load_state_dict({n: v for n, v in state.items() if n not in fresh}, strict=False)
    return tuple(sorted({name.rpartition(".")[0] for name in fresh}))


@lru_cache(maxsize=64)
def digest(path: Path, seen: tuple[int, int]) -> str:
    """Return the first digits of a file's SHA-256; `seen` are its size and time, of this look."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _named_as(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without the name that a wrapper put before all of theirs."""
    state = dict(given)
    while state and not own.keys() & state.keys():
        before = [b for b in BEFORE if all(name.startswith(b) for name in state)]
        if not before:
            break
        state = {name.removeprefix(before[0]): value for name, value in state.items()}
    return state


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
