"""How the page's figures are to be read, for who has never seen one of them."""

from typing import Any

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered
from runner.report.readings import (
    COMBINED,
    STRONGEST,
    attacks_of,
    by_draws,
    readings,
    shadows_told,
)
from runner.report.text import percent


def how_to_read(results: dict[str, Any], files: Files) -> str:
    """Return what each kind of figure is, what its interval speaks of, and the attacks in words."""
    several = [reading.draws for reading in readings(results) if reading.averaged]
    attacks = results["attacks"].get("membership", {})
    return rendered(
        "blocks/how_to_read.html.j2",
        results=results,
        draws=by_draws(several[0]) if several else "",
        strongest=STRONGEST in attacks_of(results),
        combined=COMBINED in attacks,
        seen=_seen_besides(results),
        shadows={name: shadows_told(results, name) for name in attacks},
        smallest=percent(float(f"{1 / max(results['data']['num_negatives'], 1):.2g}")),
    )


def _seen_besides(results: dict[str, Any]) -> list[str]:
    """What attacks see that an answer does not show: losses of the training, moved images."""
    attacks, lines = results["attacks"], (results["attacks"].get("membership") or {}).items()
    traces = [name for name, line in lines if line.startswith("loss_trace")]
    found = [f"{name}, which saw the losses of the training" for name in traces]
    if moved := attacks.get("adversarial"):
        found.append(f"queries of images that were moved against the model ({', '.join(moved)})")
    return found


BLOCK = Block("how_to_read", html=how_to_read)
