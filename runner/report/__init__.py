"""The report of one experiment, written from its results and from nothing else.

`results` is what results.json holds: plain dicts, lists, strings and numbers.
"""

import pathlib
from typing import Any


def write_report(results: dict[str, Any], folder: pathlib.Path) -> pathlib.Path:
    """Write the tables, the figures and the page; return the path of index.html.

    The same results give the same bytes. A figure that has nothing to show is not written, and is
    removed where an earlier report left it.

    Args:
        results: what results.json holds.
        folder: made if it is not there.
    """
    from runner.report import figures, page, tables  # matplotlib takes half a second to import

    drawn = figures.draw(results)
    files = {
        "table.md": tables.markdown(results).encode(),
        "table.csv": tables.csv_rows(results).encode(),
        "table.tex": tables.latex(results).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        for form in ("svg", "pdf"):
            if figure is None:
                (folder / f"{name}.{form}").unlink(missing_ok=True)
            else:
                files[f"{name}.{form}"] = figures.save(figure, form)
    svgs = {name: files.get(f"{name}.svg", b"").decode() for name in drawn}
    files["index.html"] = page.html(results, svgs).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / "index.html"
