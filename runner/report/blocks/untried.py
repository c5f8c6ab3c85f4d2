"""What was not tried, of which the page therefore says nothing."""

from collections.abc import Iterator
from typing import Any

from runner.report.blocks._block import Block, Files
from runner.report.html import rendered


def untried_html(results: dict[str, Any], files: Files) -> str:
    """Return a list of what was not tried."""
    return rendered("blocks/untried.html.j2", sentences=list(untried(results)))


def untried(results: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each thing that a reader might take for tried."""
    attacks = results["attacks"]
    against = attacks.get("robustness") or {}
    sane = [str(arm.get("sanity")) for arm in results["arms"].values()]
    if not against:
        yield "Adversarial images: nothing is said of robustness."
    elif not any("autoattack" in text.lower() for text in (*against, *against.values(), *sane)):
        yield "AutoAttack: an accuracy under other attacks is an upper bound of that under it."
    if not attacks.get("membership"):
        yield "Attacks on membership: nothing is said of privacy."
    yield (
        "Attacks on privacy other than membership inference: reconstruction of training data, "
        "inference of attributes, theft of the model; and an attacker who poisons the data."
    )
    yield "Other data, networks and recipes than those named under what was trained."


BLOCK = Block("untried", html=untried_html)
