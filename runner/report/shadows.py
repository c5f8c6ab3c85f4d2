"""Whose models a membership attack learned from: its shadows."""

from typing import Any

from runner.report.readings import membership


def with_shadows(results: dict[str, Any], attack: str) -> str:
    """Return an attack's name, and whose models it learned from where that is one arm's."""
    whose = _whose(results, attack)
    if not whose:
        return attack
    return f"{attack} (shadows: {'own arm' if _own(whose) else ', '.join(_arms(whose))})"


def shadows_told(results: dict[str, Any], attack: str) -> str:
    """Return a sentence on whose models an attack's shadows are.

    An attack that names none has those of the arm that it judges.
    """
    whose = _whose(results, attack)
    if _own(whose):
        return "Its shadows are other models of the arm that it judges."
    return f"Its shadows are models of {', '.join(_arms(whose))}, whichever arm it judges."


def _whose(results: dict[str, Any], attack: str) -> dict[str, str]:
    """The arm of the shadows by the arm that is judged, where that is known."""
    known = {
        name: membership(arm, attack).get("shadow_arm") for name, arm in results["arms"].items()
    }
    return {arm: shadows for arm, shadows in known.items() if shadows}


def _own(whose: dict[str, str]) -> bool:
    return all(arm == shadows for arm, shadows in whose.items())


def _arms(whose: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(whose.values()))
