"""What canaries certify of epsilon, beside what each arm states: a table of text, and CSV."""

from collections.abc import Iterator
from typing import Any

from runner.report.blocks._block import Block
from runner.report.readings import by_draws, label
from runner.report.text import (
    DASH,
    csv_of,
    headed,
    in_full,
    in_markdown,
    percent,
    significant,
    titled,
)

HEAD = ("arm", "attack", "one run: median", "largest", "the most it could show")
GAUSSIAN = ("if Gaussian: median", "largest", "the most it could show")
OVER_MODELS = ("over models", "(the most it could show)")
IF_GAUSSIAN = "certified if Gaussian"  # in the CSV
STATED = ("stated upper bound", "status")
KINDS = {
    "mislabelled": "images under a wrong label",
    "blank": "images of one colour",
    "noise": "images of uniform noise",
}


def epsilon_markdown(results: dict[str, Any]) -> str:
    """Return the table and its notes; "" where there were no canaries."""
    found = results.get("epsilon")
    if not found:
        return ""
    several = any(arm["over_models"] for arm in found["arms"].values())
    head = [*HEAD, *GAUSSIAN, *(OVER_MODELS if several else ()), *STATED]
    rows = [row for name, arm in found["arms"].items() for row in _rows(name, arm, several)]
    title = titled(results, "lower bounds on epsilon")
    alarms = [f"**Alarm**: {in_markdown(text)}" for text in _alarms(found)]
    notes = [in_markdown(note) for note in _notes(results, several)]
    return "\n\n".join([title, *alarms, headed(head, rows), *notes]) + "\n"


def epsilon_in_short(results: dict[str, Any]) -> list[str]:
    """Return a line for each arm: what is certified and what stated; none without canaries."""
    lines = []
    for name, arm in ((results.get("epsilon") or {}).get("arms") or {}).items():
        stated = arm["stated"]
        upper = (
            f"at most {significant(stated['epsilon'], 4)} ({stated['status']})"
            if stated
            else "nothing stated"
        )
        gaussian = significant(arm["gaussian"]["lower_bound"], 3)
        lines.append(
            f"epsilon of {name}: at least {significant(arm['lower_bound'], 3)} (if its trade-off "
            f"is Gaussian {gaussian}), {upper}"
        )
    return lines


def epsilon_csv(results: dict[str, Any]) -> str:
    """Return every bound in full precision, one a line; "" where there were no canaries.

    `model` is empty for a bound over models: the median, the largest, the first canary's.
    """
    found = results.get("epsilon")
    if not found:
        return ""
    head = ("arm", "draws", "attack", "bound", "model", "epsilon", "most", "delta", "status")
    return csv_of(head, _lines(found))


def _lines(found: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The lines of the CSV."""
    delta = found["delta"]
    for name, arm in found["arms"].items():
        for row in arm["one_run"]:
            own = (name, row["draws"], row["attack"])
            for test, kind, by in (
                (row, "", (arm["most"], delta, "certified")),
                (row["gaussian"], "gaussian_", (arm["gaussian"]["most"], delta, IF_GAUSSIAN)),
            ):
                values = {(kind + key, None): test[key] for key in ("median", "largest")}
                models = enumerate(test["by_model"])
                values |= {(f"{kind}one_run", m): value for m, value in models}
                for (bound, model), value in values.items():
                    yield (*own, bound, model, value, *by)
        better = (name, None, None, "gaussian_better", None, arm["gaussian"]["lower_bound"])
        yield (*better, None, delta, IF_GAUSSIAN)
        if over := arm["over_models"]:
            line = (name, None, None, "over_models", None, over["bound"], over["most"])
            yield (*line, delta, "certified")
        if stated := arm["stated"]:
            line = (name, None, None, "stated", None, stated["epsilon"], None, stated["delta"])
            yield (*line, stated["status"])


def _rows(name: str, arm: dict[str, Any], several: bool) -> list[list[str]]:
    """A row for each reading of an arm by an attack."""
    stated, over = arm["stated"] or {}, arm["over_models"] or {}
    upper = [significant(stated.get("epsilon"), 4), stated.get("status", "none stated")]
    both = [significant(over.get(key), 3) for key in ("bound", "most")] if several else []
    noisy = len({row["draws"] for row in arm["one_run"]}) > 1
    rows = []
    for row in arm["one_run"]:
        told = label(name, by_draws(row["draws"]) if noisy else "")
        bounds = [
            significant(value, 3)
            for test, most in ((row, arm["most"]), (row["gaussian"], arm["gaussian"]["most"]))
            for value in (test["median"], test["largest"], most)
        ]
        rows.append([told, row["attack"], *bounds, *both, *upper])
    return rows


def _notes(results: dict[str, Any], several: bool) -> list[str]:
    """What the table is of, what is certified, and with which probability."""
    found, design = results["epsilon"], results["design"]
    planted, num_models = design["canaries"], design["num_models"]
    copies = planted["copies"]
    of_one = f", {copies} copies at once, and bounds are of one of them" if copies > 1 else ""
    guesses = ", ".join(map(str, found["guesses"]))
    delta, sure = in_full(found["delta"]), percent(found["confidence"])
    notes = [
        f"At delta {delta}. {planted['num']:,} canaries, {KINDS[planted['kind']]}, are each in "
        f"or out of the training set by a coin{of_one}. An attack guesses so many coins: "
        f"{guesses}. One run: a bound of each of {num_models} models by itself; those of all "
        f"attacks and numbers of guesses hold together with a probability of {sure}. Largest: over "
        f"the models, whose bounds then all hold together with {sure}, so it is a lower bound on "
        "the epsilon of the training. An attack that finds nothing shows 0, which is no sign of "
        "privacy.",
        _gaussian_note(found),
        *_own_notes(found),
    ]
    if several:
        notes.append(
            f"Over models: each of the {num_models} models is a trial of the first canary; half of "
            "them choose a threshold and the others count. It holds together with all of the "
            f"largest with {sure}."
        )
    if any(arm["stated"] for arm in found["arms"].values()):
        notes.append(
            "Stated: the epsilon of the model for which most is stated. A lower bound above one "
            f"that is proved is an alarm; above one that is claimed it refutes the claim. {DASH} "
            "means that nothing is stated."
        )
    return notes


def _gaussian_note(found: dict[str, Any]) -> str:
    """What the second test says, and by both tests of each arm."""
    better = ", ".join(
        f"{name} {significant(arm['gaussian']['lower_bound'], 3)} (mu "
        f"{significant(arm['gaussian']['mu'], 3)})"
        for name, arm in found["arms"].items()
    )
    sure = percent(found["confidence"])
    return (
        "If Gaussian: another statement, from the same guesses. No training whose trade-off "
        "between the two errors of a test is that of Gaussian noise, of so much epsilon or less, "
        "is guessed of so well. It asks more of the training and so shows more. Of a training "
        "whose trade-off is another, as DP-SGD's of few steps or randomized response's, it bounds "
        "nothing, and it raises no alarm. Its bounds share an error of their own in the same way. "
        f"The better of the two tests, each at half of it, over all attacks and models, if the "
        f"trade-off is Gaussian: {better}; they hold with {sure} each."
    )


def _own_notes(found: dict[str, Any]) -> list[str]:
    """What the guesses say of the trade-off that each arm proves; none where none proves one."""
    told = ", ".join(
        f"{name} {arm['own']['p_value']:.2g}" for name, arm in found["arms"].items() if arm["own"]
    )
    if not told:
        return []
    return [
        "Against the whole trade-off that an arm's defense proves, of whatever form, the guesses "
        f"have a p-value of: {told}. It is of all attacks and models together, and "
        f"{significant(1 - found['confidence'], 1)} or less is an alarm."
    ]


def _alarms(found: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {told['alarm']}"
        for name, arm in found["arms"].items()
        for told in (arm, arm["own"])
        if told and told["alarm"]
    ]


BLOCK = Block(
    "epsilon",
    "Lower bounds on epsilon",
    markdown=epsilon_markdown,
    csv=epsilon_csv,
)
