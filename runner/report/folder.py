"""The files of a report in its folder."""

from runner import store
from runner.cloud import Folder


def fill(folder: Folder, files: dict[str, bytes | None]) -> None:
    """Write files by name; one that is None is removed where an earlier report left it."""
    for name, content in files.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            store.write(folder / name, content)
