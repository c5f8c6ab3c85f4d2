"""What stands inside a page, so that it needs nothing beside itself: its style, its figures."""

import base64
import hashlib
import re
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

SCRIPTS = ("page", "table", "chart", "examples", "start")  # in this order


@cache
def page_environment() -> jinja2.Environment:
    """Return what renders the templates of the report, by their paths from this folder.

    Text that users wrote is escaped, and a name that nobody gave is an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rendered(template: str, **given: Any) -> str:
    """Return a template of this folder as HTML, with what is given to it."""
    return page_environment().get_template(template).render(**given)


def sheet() -> str:
    """Return the style sheet that all pages share."""
    return Path(__file__).with_name("page.css").read_text("utf-8")


def script() -> str:
    """Return the script that all pages share, as one text in one scope."""
    parts = [Path(__file__).with_name("scripts") / f"{name}.js" for name in SCRIPTS]
    text = "\n".join(part.read_text("utf-8") for part in parts)
    return f'"use strict";\n(() => {{\n{text}}})();\n'


def policy(script: str) -> str:
    """Return a page's Content-Security-Policy: this script may run, and nothing may be fetched.

    So what slipped through the escaping of users' text would neither run nor tell anyone.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def inline(name: str, svg: str) -> str:
    """Return an SVG to stand in the page: its ids its own, its ink and paper those of the page.

    Shorter by a third: by tenths of a pixel, and by short ids, since each letter of a text has one.
    """
    from runner.report import style  # matplotlib: who shows tables alone does not wait for it

    own = f"f{zlib.crc32(name.encode()) % 0xFFFF:x}-"
    svg = svg[svg.index("<svg") :].replace("DejaVuSans-", "d").replace("xlink:href", "href")
    svg = re.sub(r'\bid="', f'id="{own}', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{own}", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<= d=")[^"]*|(?<=translate\()[^)]*', _rounded, svg)
    svg = re.sub(r'(?<= style=")[^"]*', lambda told: told[0].replace("; ", ";"), svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)  # it follows the width
    for ink, variable in ((style.INK, "ink"), (style.FAINT, "faint"), (style.PAPER, "paper")):
        svg = svg.replace(ink, f"var(--{variable})")
    return svg


def _rounded(places: re.Match[str]) -> str:
    """Numbers by tenths, on one line."""
    return re.sub(r"(\.\d)\d+", r"\1", " ".join(places[0].split()))
