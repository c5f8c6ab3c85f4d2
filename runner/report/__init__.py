"""The report of one experiment, written from its results and from nothing else.

`results` is what results.json holds: plain dicts, lists, strings and numbers.
"""

from typing import Any

from runner.storage.cloud import Folder
from runner.storage.store import fill


def write_report(
    results: dict[str, Any],
    folder: Folder,
    samples: bytes | None = None,
    examples: dict[str, bytes | None] | None = None,
    listed: bool = False,
) -> Folder:
    """Write the tables, the figures and the page; return the path of index.html.

    The same results give the same bytes. What has nothing to show is not written, and is removed
    where an earlier report left it.

    Args:
        results: what results.json holds.
        folder: made if it is not there.
        samples: a PNG file of images that were judged, as `samples.sample_png` makes it.
        examples: files about single examples, by name: `examples.png` as `vulnerable_sheet` makes
            it, and a table.
        listed: whether the page itself may list single examples.
    """
    # matplotlib takes half a second to import
    from runner.report import blocks, page, style, table

    files: dict[str, bytes | None] = {
        "table.md": table.markdown(results).encode(),
        "table.csv": table.table_csv(results).encode(),
        "table.tex": table.latex(results).encode(),
        "samples.png": samples,
        **(examples or {}),
        **{name: text.encode() if text else None for name, text in blocks.files(results).items()},
    }
    drawn = blocks.draw(results)
    files |= style.forms(drawn)
    svgs = {name: (files[f"{name}.svg"] or b"").decode() for name in drawn}
    files["index.html"] = page.html(results, svgs, samples, examples, listed).encode()
    fill(folder, files)
    return folder / "index.html"
