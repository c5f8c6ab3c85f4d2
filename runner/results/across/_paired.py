"""Figures of each model, read off what is stored, so that two experiments' are taken in pairs.

Nothing is trusted that does not come to the figures of results.json: what else was found, such as
what an earlier configuration left, is not of these results.

Letters: M models, R resamples of the examples.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from runner.audit.judged import Judged, read_judged
from runner.experiment.judging import STRONGEST, Averages
from runner.results.across.stored import Stored
from runner.results.several import leakages_of
from runner.statistics.averages import Averaging
from runner.storage import store
from runner.storage.cloud import Folder
from runner.storage.scores import Reading
from runner.storage.store import Corrupt, Store

Arrays = tuple[np.ndarray, np.ndarray | None]  # (M,), and (M, R) of what attackers find
CLOSE = 1e-9  # a mean that is read again is results.json's to the last digits


def why_apart(one: Stored, other: Stored) -> str:
    """Return why models of two experiments are no pairs; "" where they share data and splits."""
    for each in (one, other):
        if not each.described.get("runs") or each.store is None:
            elsewhere = "was trained elsewhere" if each.kind == "audit" else "is of a sweep"
            return f"{each.label} {elsewhere}, and which examples its models saw is not stored"
    many = [each.results["design"]["num_models"] for each in (one, other)]
    if many[0] != many[1]:
        return f"one has {many[0]} models an arm, the other {many[1]}"
    for key in ("design", "seed", "averages"):
        if one.results.get(key) != other.results.get(key):
            return f"their `{key}` differs"
    try:
        trained, others = _trained_on(one), _trained_on(other)
    except (OSError, ValueError, KeyError):
        return "run.json of a model is not there any more"
    if trained[0] != others[0]:
        return "they are of other data"
    return "" if trained == others else "their models are trained on other examples"


def averaging(one: Stored) -> Averaging:
    """Return how an experiment's figures are averaged over its models."""
    design = one.results["design"]
    models = np.arange(design["num_models"])
    partner = models if design["name"] == "canaries" else models ^ 1
    return Averages(**one.results["averages"]).over(partner, one.results["seed"])


def of_models(one: Stored, arm: str, draws: int) -> dict[str, Arrays]:
    """Return what is known of each model of an arm, by measure, as `comparisons` names them."""
    figures = one.results["arms"][arm]
    figures = figures if draws == 1 else figures["averaged"]
    over, found = averaging(one), dict[str, Arrays]()
    found |= {key: (of, None) for key, of in _accuracies(one, arm, draws).items()}
    for folder in _judged(one):
        try:
            read = _read(one, folder, arm, draws)
        except (Corrupt, OSError, KeyError):
            continue
        rates = next(iter(read.values())).rates
        names = ["auc", *(f"tpr_at_fpr/{at:g}" for at in rates)]
        of = leakages_of(read, names, over)
        flat = {f"membership/{a}/{key}": at for a, each in of.items() for key, at in each.items()}
        if all(_same(over, at, _figure(figures, key)) for key, at in flat.items()):
            found |= flat
            break
    return {key: at for key, at in found.items() if _same(over, at, _figure(figures, key))}


def _trained_on(one: Stored) -> tuple[str, list[str]]:
    """The data of an experiment, and what each of its models is trained on; arms share both."""
    assert one.store is not None
    runs = next(iter(one.described["runs"].values()))
    every = [json.loads((one.store.run(run) / "run.json").read_bytes()) for run in runs]
    return every[0]["data"], [each["member"] for each in every]


def _judged(one: Stored) -> list[Folder]:
    """The folders of what was judged, of these scores and of earlier ones."""
    return sorted(path.parent for path in (one.folder / "judged").glob(f"*/{store.DONE}"))


def _read(one: Stored, folder: Folder, arm: str, draws: int) -> Mapping[str, Judged]:
    names = one.results["attacks"]["membership"]
    return {name: read_judged(folder, Reading(arm, draws, name, "member")) for name in names}


def _accuracies(one: Stored, arm: str, draws: int) -> dict[str, np.ndarray]:
    """Natural accuracy and that under each attack, in the order in which models are asked."""
    if one.store is None:
        return {}
    key = "accuracy" if draws == 1 else "accuracy_mean"
    attacks = ["natural_accuracy"]
    attacks += [f"robust_accuracy/{name}" for name in one.results["attacks"]["robustness"]]
    values: dict[str, list[float]] = {}
    for run in one.described["runs"].get(arm, ()):
        asked = [at for at in one.described["asked"][run] if at.startswith("robustness/")]
        for measure, folder in zip(attacks, asked, strict=False):
            facts = _facts(one.store, run, folder)
            if facts is not None and key in facts:
                values.setdefault(measure, []).append(facts[key])
    models = one.results["design"]["num_models"]
    return {name: np.array(each) for name, each in values.items() if len(each) == models}


def _facts(at: Store, run: str, folder: str) -> dict[str, Any] | None:
    try:
        return store.facts(at.run(run) / folder)
    except (Corrupt, OSError):
        return None


def _figure(figures: dict[str, Any], measure: str) -> Any:
    """What results.json has of a measure; None where it has nothing."""
    kind, *rest = measure.split("/", 1)
    if kind == "natural_accuracy":
        return figures.get(kind)
    if kind == "robust_accuracy":
        return figures[kind].get(rest[0])
    attack, key = rest[0].split("/", 1)
    found = figures.get(STRONGEST) if attack == STRONGEST else figures["membership"].get(attack)
    for part in key.split("/", 1):
        found = (found or {}).get(part)
    return found


def _same(over: Averaging, at: Arrays, figure: Any) -> bool:
    """Whether models' figures come to the mean that results.json has."""
    if not figure or figure.get("mean") is None:
        return False
    return abs(over.mean(at[0], (-np.inf, np.inf)).mean - figure["mean"]) < CLOSE
