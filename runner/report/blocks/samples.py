"""Some of the images that were judged."""

import base64
from typing import Any

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered


def samples_html(results: dict[str, Any], files: Files) -> str:
    """Return the picture `samples.png`, which `sample_png` makes, and what its classes are."""
    picture = files.get("samples.png")
    if not picture:
        return ""
    return rendered(
        "blocks/samples.html.j2", data=results["data"], samples=base64.b64encode(picture).decode()
    )


BLOCK = Block("samples", html=samples_html)
