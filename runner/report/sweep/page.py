"""The report of a sweep: one HTML page that needs nothing beside itself, its figures and tables."""

from typing import Any

import matplotlib

from runner.report.blocks.events import events_html, events_markdown
from runner.report.blocks.provenance import provenance_html
from runner.report.blocks.verdict import verdict_section
from runner.report.contents import with_contents
from runner.report.html import inline, policy, rendered, script, sheet
from runner.report.style import RC, forms
from runner.report.sweep import tables
from runner.report.sweep.axis_figure import axis_caption, axis_figure
from runner.report.sweep.came_out import texts
from runner.report.sweep.pareto_figure import pareto_caption, pareto_figure
from runner.report.sweep.pareto_live import pareto_live
from runner.report.sweep.readings import axis_names, most_models, quantities, trials
from runner.storage.cloud import Folder
from runner.storage.store import fill


def write_sweep_report(results: dict[str, Any], folder: Folder) -> Folder:
    """Write the tables, the figures and the page of a sweep; return the path of index.html.

    The same results give the same bytes. A figure that has nothing to show is not written, and is
    removed where an earlier report left it.

    Args:
        results: what sweep.json holds.
        folder: made if it is not there.
    """
    with matplotlib.rc_context(RC):
        drawn = {"pareto": pareto_figure(results), "axes": axis_figure(results)}
    events = events_markdown(results)
    files: dict[str, bytes | None] = {
        "trials.md": tables.trials_markdown(results).encode(),
        "pareto.md": tables.pareto_markdown(results, texts(results)).encode(),
        "events.md": events.encode() if events else None,
    }
    files |= forms(drawn)
    svgs = {name: (files[f"{name}.svg"] or b"").decode() for name in drawn}
    files["index.html"] = sweep_html(results, svgs).encode()
    fill(folder, files)
    return folder / "index.html"


def sweep_html(results: dict[str, Any], svgs: dict[str, str]) -> str:
    """Return the page.

    Args:
        results: what sweep.json holds.
        svgs: each figure by name, as the text of an SVG file; "" leaves the figure out.
    """
    states = [trial["state"] for trial in results["trials"]]
    captions = {"pareto": pareto_caption(results), "axes": axis_caption(results)}
    code, live = script(), {"pareto": pareto_live(results)}
    page = rendered(
        "sweep/page.html.j2",
        results=results,
        style=sheet(),
        script=code,
        policy=policy(code),
        counts={state: states.count(state) for state in dict.fromkeys(states)},
        axes=axis_names(results),
        quantities=quantities(results),
        recommended=tables.recommended_rows(results),
        verdict=verdict_section(texts(results)),
        front=tables.lines(results, front=True),
        lines=tables.lines(results),
        most=most_models(results),
        happened=events_html(results, {}),
        provenance=provenance_html(results, {}),
        rungs=sorted({trial.num_models for trial in trials(results)}),
        figures={
            name: (inline(name, svg), captions[name], live.get(name))
            for name, svg in svgs.items()
            if svg
        },
    )
    return with_contents(page)
