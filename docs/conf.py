"""How the documentation site is made of docs/: `python -m sphinx -W -b html docs build/site`.

Pages keep links that work where they lie in the repository; here they are made to work in the site.
"""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import _reference  # noqa: E402

project = "Defended"
author = copyright = "its contributors"
extensions = ["myst_parser"]
exclude_patterns = ["_*"]
myst_heading_anchors = 4  # a heading is linked to as on GitHub
html_theme = "furo"
html_title = "Defended"
html_copy_source = False
html_show_sphinx = False


def setup(app: Sphinx) -> None:
    """Make the reference before pages are looked for, and mend links while they are read."""
    app.connect("config-inited", lambda *_: _reference.write(HERE / "made"))
    app.connect("source-read", _mended)


def _mended(app: Sphinx, page: str, source: list[str]) -> None:
    """Links to files of the repository as downloads, and pages without a place in the contents."""
    source[0] = re.sub(r"\]\(\.\./([^)#]+)(#[^)]*)?\)", r"](<path:../\1>)", source[0])
    if page == "index":
        named = set(re.findall(r"^([\w/]+)$", source[0], re.M))
        every = {path.stem for path in HERE.glob("*.md")} - {"index"}
        source[0] = source[0].replace("without_a_place", "\n".join(sorted(every - named)))
