"""A Run's scalars for TensorBoard: beside the Run where it is a folder, else in copies."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.storage import store
from runner.storage.cloud import CloudPath, Folder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Curves:
    """Where the scalars of each epoch go."""

    def __init__(self, writer: "SummaryWriter", local: Path, folder: Folder) -> None:
        self._writer, self._local, self._folder = writer, local, folder

    def add(self, metrics: Mapping[str, float], epoch: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, epoch)

    def keep(self) -> None:
        """Copy what there is so far to where no file can grow; elsewhere it has been seen to."""
        if isinstance(self._folder, CloudPath):
            self._writer.flush()
            store.write_folder(self._local, self._folder)


@contextmanager
def open_curves(folder: Folder, first_epoch: int) -> Iterator[Curves]:
    """Give the curves of a Run that goes on from an epoch; what was told of later ones is void."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second, and only trainers need it

    store.check_there(folder / "events")
    with tempfile.TemporaryDirectory(prefix="board-") as aside:
        local = Path(aside) if isinstance(folder, CloudPath) else folder
        writer = SummaryWriter(str(local), purge_step=first_epoch)
        try:
            yield Curves(writer, local, folder)
        finally:
            writer.close()
