"""A stored model as a network: by its recipe, and the shape of images beside its weights."""

import difflib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import nn

from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm
from runner.experiment.questions import Checkpoint
from runner.models import ImageShape, built, image_shape
from runner.storage import store
from runner.storage.cloud import Folder, StorageError, folder_at
from runner.storage.store import Corrupt, Store
from runner.train.weights import put_weights, shape_in
from runner.train.workplace import weights_file


class Stored(NamedTuple):
    """A finished Run."""

    recipe: Mapping[str, Any]  # run.json
    network: nn.Module  # in eval mode
    shape: ImageShape  # of its images


def load_stored(storage: Folder | str, run: str, checkpoint: Checkpoint = "last") -> nn.Module:
    """Return the network of a finished Run in eval mode, on the CPU.

    Raises:
        StorageError, Corrupt: as of `read_stored`.
    """
    return read_stored(storage, run, checkpoint).network


def read_stored(storage: Folder | str, run: str, checkpoint: Checkpoint = "last") -> Stored:
    """Return a finished Run: how it was trained, and its network.

    Weights that were stored without their shape take it from the data of an experiment that has
    the Run, which are read for it.

    Raises:
        StorageError: no such Run is finished, or the shape of its images cannot be found.
        Corrupt: its weights are not, byte for byte, those that were written.
    """
    at = Store(folder_at(storage))
    folder = at.run(run)
    if store.facts(folder) is None:
        raise StorageError(_not_there(at, run))
    name = weights_file(checkpoint)
    if not (folder / name).is_file():
        raise StorageError(f'{run}: it has no {name}; give checkpoint="last"')
    recipe, content = json.loads(store.read(folder, "run.json")), store.read(folder, name)
    shape = shape_in(content) or _shape_of_data(at, run)
    arm = Arm.model_validate({key: recipe[key] for key in ("defense", "model", "training")})
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and replaced
        network = arm.defense.build(lambda: built(arm.model, shape))
    try:
        put_weights(network, content)
    except (RuntimeError, SafetensorError) as error:
        raise Corrupt(str(folder / name), str(error)) from None
    return Stored(recipe, network.eval(), shape)


def _shape_of_data(at: Store, run: str) -> ImageShape:
    """The shape of a Run's images, by the data of the first experiment that has it."""
    sweeps = at.root / "sweeps"
    rooms = [at.root / "experiments", *sweeps.glob("*"), *sweeps.glob("*/trials/*")]
    for described in (path for room in rooms for path in room.glob(f"*/{store.DESCRIBED}")):
        told = store.results_in(described)
        if any(run in of_arm for of_arm in told["runs"].values()):
            try:
                experiment = Experiment.model_validate(told["experiment"])
                return image_shape(experiment.data.load())
            except (ValueError, OSError) as error:
                raise StorageError(
                    f"{run}: the mean and the std of its images lie with its data, which cannot be "
                    f"read: {error}"
                ) from None
    raise StorageError(f"{run}: no experiment of this storage has it, so its data are not known")


def _not_there(at: Store, run: str) -> str:
    """What to say of a Run that is not there, or not finished."""
    names = sorted(path.name for path in (at.root / "runs").glob("*"))
    near = difflib.get_close_matches(run, names, n=3)
    hint = f"; near it: {', '.join(near)}" if near else f"; it has {len(names)} Runs"
    return f"{at.root} has no finished Run {run!r}{hint}; storage=... names another storage"
