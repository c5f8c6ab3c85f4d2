"""What came out of a search, in sentences that stand first on every form.

Two settings are told apart where their intervals share no value, which is stricter than a paired
difference of them: of that sweep.json has none.
"""

from typing import Any

from runner.report.readings import Figure
from runner.report.sweep.readings import overlap, quantities, read
from runner.report.sweep.tables import verdict


def came_out(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `came_out` of sweep.json: of each sentence its `rule`, `text` and `figures`."""
    made = (_recommended(results), _cost(results), _searched(results))
    return [sentence for sentence in made if sentence]


def texts(results: dict[str, Any]) -> list[str]:
    """Return the sentences, made anew for a sweep.json that was written before there were any."""
    return [one["text"] for one in results.get("came_out") or came_out(results)]


def _recommended(results: dict[str, Any]) -> dict[str, Any]:
    """Which setting is recommended, and whether fresh models bear out that it leaks less."""
    return _sentence(results, "recommended", verdict(results), ("leakage",))


def _cost(results: dict[str, Any]) -> dict[str, Any] | None:
    """What the recommended setting costs in both accuracies, by fresh models."""
    chosen, base = results["recommended"] or {}, results["base"]
    parts, keys = [], []
    for key in ("natural", "robust"):
        quantity = quantities(results).get(key)
        ours, theirs = (
            read(chosen.get(which), quantity) if quantity else None
            for which in ("fresh", "fresh_base")
        )
        if quantity and ours and theirs:
            shown = [str(quantity.printed(one, one["num_models"])) for one in (ours, theirs)]
            how = _order(ours, theirs)
            parts.append(f"{quantity.header} {how}: {shown[0]} against {shown[1]}")
            keys.append(key)
    if not parts:
        return None
    text = f"By the same fresh models, beside {base}: {'; '.join(parts)}."
    return _sentence(results, "cost", text, keys)


def _searched(results: dict[str, Any]) -> dict[str, Any]:
    """What the choice rests on, and what it does not show."""
    trials = results["trials"]
    failed = sum(trial["state"] == "failed" for trial in trials)
    without = f", of which {failed} failed," if failed else ""
    front = sum(bool(trial["on_front"]) for trial in trials)
    text = (
        f"Of {len(trials)} settings{without} {front} {'is' if front == 1 else 'are'} on the "
        "front, by their means alone: intervals of neighbours on it may overlap, and the best of "
        "many looks better than it is."
    )
    return _sentence(results, "searched", text, ())


def _order(ours: Figure, theirs: Figure) -> str:
    """Whether one is above the other, beyond the intervals."""
    if overlap(ours, theirs) is False:
        return "is lower" if ours["mean"] < theirs["mean"] else "is higher"
    return "is not shown to differ"


def _sentence(results: dict[str, Any], rule: str, text: str, keys: Any) -> dict[str, Any]:
    """A sentence with the fresh figures that it is about."""
    chosen = results["recommended"] or {}
    figures = [
        {"of": of, "quantity": key, **figure}
        for key in keys
        for of in ("fresh", "fresh_base")
        if (figure := (chosen.get(of) or {}).get(key))
    ]
    return {"rule": rule, "text": text, "figures": figures}
