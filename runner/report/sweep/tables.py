"""The tables of a sweep: every setting, the front, and the recommended one measured afresh."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from runner.report.readings import measured
from runner.report.sweep.readings import Three, axis_names, overlap, quantities, read, told
from runner.report.text import DASH, Printed, headed, in_markdown, titled

CELLS = "Mean over models with its 95 % interval."


class Line(NamedTuple):
    """One setting as text."""

    id: str
    values: list[str]  # by axis
    num_models: str
    cells: list[Printed]
    state: str
    remarks: str


def head(results: dict[str, Any]) -> list[str]:
    """Return the titles of the columns of `lines`."""
    found = [quantity.header for quantity in quantities(results).values()]
    return ["setting", *axis_names(results).values(), "models", *found, "state", "remarks"]


def lines(results: dict[str, Any], front: bool = False) -> list[Line]:
    """Return every setting by the most models that it reached; of the front alone, least leaky
    first, if `front`."""
    chosen = [trial for trial in results["trials"] if trial["on_front"] or not front]
    if front:
        chosen.sort(key=lambda trial: _leakage(results, trial))
    return [_line(results, trial) for trial in chosen]


def trials_markdown(results: dict[str, Any]) -> str:
    """Return the table of all settings."""
    return f"{titled(results, 'settings')}\n\n{_table(results, lines(results))}\n\n{CELLS}\n"


def pareto_markdown(results: dict[str, Any], came_out: Sequence[str] = ()) -> str:
    """Return the front, and the recommended setting by old and fresh models beside the base.

    Args:
        came_out: sentences that stand first.
    """
    front, parts = lines(results, front=True), [titled(results, "the front")]
    parts += ["\n".join(f"- {in_markdown(text)}" for text in came_out)] if came_out else []
    parts.append(_table(results, front) if front else "No setting is on the front.")
    parts.append("## The recommended setting")
    if afresh := recommended_rows(results):
        titles = [quantity.header for quantity in quantities(results).values()]
        rows = [[what, *map(str, cells)] for what, cells in afresh]
        parts.append(headed(["", *titles], rows))
    if not came_out:
        parts.append(in_markdown(verdict(results)))
    return "\n\n".join([*parts, CELLS]) + "\n"


def recommended_rows(results: dict[str, Any]) -> list[tuple[str, list[Printed]]]:
    """Return rows of the recommended setting and the base: as it was chosen, and afresh."""
    chosen, base = results["recommended"], results["base"]
    if not chosen:
        return []
    label = told(results, chosen["labels"]) or chosen["id"]
    fresh = f"fresh seed {chosen['seed']}, {chosen['num_models']} models"
    rows = [
        (f"{label}: as it was chosen", chosen.get("flattered")),
        (f"{label}: {fresh}", chosen.get("fresh")),
        (f"{base}: as it was chosen against", chosen.get("flattered_base")),
        (f"{base}: {fresh}", chosen.get("fresh_base")),
    ]
    return [(what, _cells(results, figures)) for what, figures in rows if figures]


def verdict(results: dict[str, Any]) -> str:
    """Return whether the recommended setting leaks less than the base, by models of a fresh seed.

    By the models that it was chosen by it nearly always does, since it was chosen for that.
    """
    chosen, base, leakage = results["recommended"], results["base"], quantities(results)["leakage"]
    why = (results.get("recommended_why") or "").rstrip(".")
    if not chosen:
        return f"No setting is recommended{f': {why}' if why else ''}."
    label = told(results, chosen["labels"]) or chosen["id"]
    ours, theirs = (read(chosen.get(key), leakage) for key in ("fresh", "fresh_base"))
    begin = f"Recommended: {label}{f' ({why})' if why else ''}."
    if not ours:
        return f"{begin} It was not measured afresh, so its figures are those it was chosen by."
    if not theirs:
        return f"{begin} There is no base that was measured afresh to compare it with."
    shown = [str(leakage.printed(f, f["num_models"])) for f in (ours, theirs)]
    figures = f"{leakage.header}: {shown[0]} against {shown[1]}"
    both = overlap(ours, theirs)
    if both is None:
        end = f"without intervals, this sweep does not show that it leaks less than {base}"
    elif both:
        end = f"the intervals overlap: this sweep does not show that it leaks less than {base}"
    else:
        less = "less" if ours["mean"] < theirs["mean"] else "more"
        end = f"it leaks {less} than {base}, beyond the intervals"
    missed = chosen.get("fresh_meets_constraint") is False
    told_so = " It misses the constraint there." if missed else ""
    return f"{begin} By models of a fresh seed {end}. {figures}.{told_so}"


def _line(results: dict[str, Any], trial: dict[str, Any]) -> Line:
    """One setting as text."""
    rungs = trial.get("by_rung") or {}
    most = max(map(int, rungs), default=0)
    chosen = results["recommended"] or {}
    remarks = {
        "front": trial["on_front"],
        "outside the constraint": rungs and results["base"] and not trial["meets_constraint"],
        "recommended": trial["id"] == chosen.get("id"),
    }
    return Line(
        trial["id"],
        [trial["labels"].get(axis, DASH) for axis in results["axes"]],
        str(most) if rungs else DASH,
        _cells(results, rungs.get(str(most))),
        f"{trial['state']}: {trial['why']}" if trial.get("why") else trial["state"],
        ", ".join(remark for remark, holds in remarks.items() if holds),
    )


def _cells(results: dict[str, Any], figures: Three | None) -> list[Printed]:
    """The three of a setting, without numbers of models that are all the same."""
    found = [read(figures, quantity) for quantity in quantities(results).values()]
    most = max((figure["num_models"] for figure in found if figure), default=0)
    return [
        quantity.printed(figure, most)
        for figure, quantity in zip(found, quantities(results).values(), strict=True)
    ]


def _leakage(results: dict[str, Any], trial: dict[str, Any]) -> float:
    rungs = trial.get("by_rung") or {}
    figure = rungs[max(rungs, key=int)].get("leakage") if rungs else None
    return figure["mean"] if measured(figure) else float("inf")


def _table(results: dict[str, Any], shown: list[Line]) -> str:
    rows = [
        [line.id, *line.values, line.num_models, *map(str, line.cells), line.state, line.remarks]
        for line in shown
    ]
    return headed(head(results), rows)
