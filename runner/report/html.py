"""What stands inside a page, so that it needs nothing beside itself: its style, its figures."""

import base64
import hashlib
import re
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
    """Return an SVG to stand in the page: its ids its own, its ink and paper those of the page."""
    from runner.report import style  # matplotlib: who shows tables alone does not wait for it

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(?<= d=")[^"]*', _rounded, svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)  # it follows the width
    for ink, variable in ((style.INK, "ink"), (style.FAINT, "faint"), (style.PAPER, "paper")):
        svg = svg.replace(ink, f"var(--{variable})")
    return svg


def _rounded(path: re.Match[str]) -> str:
    """A path by hundredths of a pixel, on one line: a third less of a page."""
    return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path[0].split()))
