"""What stands inside a page, so that it needs nothing beside itself: its style, its figures."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from runner.report import style


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


def inline(name: str, svg: str) -> str:
    """Return an SVG to stand in the page: its ids its own, its ink and paper those of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)  # it follows the width
    for ink, variable in ((style.INK, "ink"), (style.FAINT, "faint"), (style.PAPER, "paper")):
        svg = svg.replace(ink, f"var(--{variable})")
    return svg
