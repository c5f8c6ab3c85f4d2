"""What a demonstration writes: figures as PNG and SVG, and its figures in numbers as JSON."""

import io
import os
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from runner.faults import Unfinished
from runner.report.style import RC, save
from runner.standalone.inputs import expect
from runner.storage import store


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before anything is computed.

    Raises:
        BadInput: it, or a folder above it, is a file.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    expect(there.is_dir(), "--out to be a folder", f"{folder}, and {there} is a file")
    expect(
        os.access(there, os.W_OK | os.X_OK),
        "--out to be a folder that can be written",
        f"{folder}, and {there} cannot",
    )


def write(folder: Path, figures: dict[str, Figure], facts: dict[str, Any]) -> None:
    """Write <name>.png and <name>.svg of each figure, and results.json; the same facts, same bytes.

    Raises:
        Unfinished: the folder cannot be made or written any more.
    """
    content = {f"{name}.svg": save(figure, "svg") for name, figure in figures.items()}
    content |= {f"{name}.png": as_png(figure) for name, figure in figures.items()}
    try:
        for name, data in content.items():
            store.write(folder / name, data)
        store.write_json(folder / "results.json", facts)
    except OSError as error:
        raise Unfinished(
            f"{folder}: {error.strerror or error}; make room, or name another folder with --out"
        ) from None


def as_png(figure: Figure) -> bytes:
    """Return the figure with 160 dots an inch, without the name of what made it."""
    out = io.BytesIO()
    with matplotlib.rc_context(RC):
        figure.savefig(out, format="png", dpi=160, metadata={"Software": None})
    return out.getvalue()
