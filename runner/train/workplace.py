"""Where a worker works: the data on its device, the store, and whom to tell of progress."""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import torch
import torch.distributed as dist
from torch import Tensor, nn

from runner.data import Dataset
from runner.experiment.questions import Checkpoint
from runner.models import ImageShape, image_shape
from runner.plan.plan import Run
from runner.storage import store
from runner.storage.store import Corrupt, Store
from runner.train.fit import Group, build_model
from runner.train.memory import keep_freed
from runner.train.weights import put_weights


class Workplace(NamedTuple):
    """What every step of a Run is given beside the Run."""

    store: Store
    pool_images: Tensor  # (N, channels, H, W) uint8, on the device
    pool_labels: Tensor  # (N,) int64
    test_images: Tensor
    test_labels: Tensor
    shape: ImageShape
    group: Group = None  # the workers that train a Run together
    checkpoint_every_s: float = 10.0
    # A word on the Run in work, and its part done; what is true in return asks to leave it.
    tell: Callable[[str, float], object] = print
    note: Callable[[str], object] = print  # what a person should know of afterwards

    @property
    def device(self) -> torch.device:
        return self.pool_images.device

    @property
    def leads(self) -> bool:
        """Whether this worker writes what its group made."""
        return self.group is None or dist.get_rank(self.group) == 0

    def trained(self, run: Run, checkpoint: Checkpoint = "last") -> nn.Module:
        """Return the finished Run's network in eval mode, as it was after its last or best epoch.

        Raises:
            Corrupt: its weights are not the ones that were written.
        """
        folder = self.store.run(run.id)
        name = weights_file(checkpoint)
        content = store.read(folder, name)
        model = build_model(run, self.shape, self.device)
        try:
            put_weights(model, content)
        except (RuntimeError, safetensors.SafetensorError) as error:
            raise Corrupt(str(folder / name), str(error)) from None
        return model.eval()

    def copied(self, run: Run, model: nn.Module) -> nn.Module:
        """Return a copy of a network in training, in eval mode.

        A copy is asked, so that training goes on as if nobody had looked: its mode, its hooks
        (Opacus) and its BatchNorm averages stay as they are.
        """
        asked = build_model(run, self.shape, self.device)
        asked.load_state_dict(model.state_dict())
        return asked.eval()


def device_name(device: torch.device) -> str:
    """Return what a device is called, so that times on one are not taken for another's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} thread(s)"


def weights_file(checkpoint: Checkpoint) -> str:
    """Return the file name of a checkpoint's weights, in the folder of its Run."""
    return "model.safetensors" if checkpoint == "last" else "best.safetensors"


def make_workplace(dataset: Dataset, device: torch.device, at: Store, **rest: Any) -> Workplace:
    """Return a workplace with the data set copied to the device; `rest` are its other fields.

    This process keeps what memory it frees from then on, for its next step.
    """
    keep_freed()
    return Workplace(
        at,
        torch.tensor(dataset.pool_images, device=device),
        torch.tensor(dataset.pool_labels, device=device),
        torch.tensor(dataset.test_images, device=device),
        torch.tensor(dataset.test_labels, device=device),
        image_shape(dataset),
        **rest,
    )
