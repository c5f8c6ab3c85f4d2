"""The list of contents that stands at the top of a page."""

import re

PLACE = "<!-- contents -->"  # in a template, where the list is to stand
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')


def with_contents(page: str) -> str:
    """Return a page with links to all its second headings in `PLACE`, in their order.

    They are read off the page itself, since which blocks have something to show hangs on what was
    measured.
    """
    links = [f'<a href="#{at}">{title}</a>' for at, title in HEADING.findall(page)]
    listed = "\n".join(f"<li>{link}</li>" for link in links)
    return page.replace(
        PLACE, f'<nav class="contents" aria-label="Contents">\n<ul>\n{listed}\n</ul>\n</nav>', 1
    )
