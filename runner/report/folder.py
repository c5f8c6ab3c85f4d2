"""The files of a report in its folder."""

from pathlib import Path


def fill(folder: Path, files: dict[str, bytes | None]) -> None:
    """Write files by name; one that is None is removed where an earlier report left it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_bytes(content)
