"""Several experiments as one: arms of all under the attacks of all, as the report's tables read."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from runner.report.readings import STRONGEST
from runner.results.across.stored import Stored

OF_ARM = ("defense", "randomized", "overstated", "checkpoint", "ceiling", "train_time_s", "draws")
OF_READING = ("natural_accuracy", "train_accuracy", "generalization_gap")
OF_ATTACK = ("auc", "tpr_at_fpr", "shadow_arm", "thresholds")
KINDS = {"robust_accuracy": "robustness", "membership": "membership"}  # as `attacks` calls them


def merged(stored: Sequence[Stored]) -> dict[str, Any]:
    """Return results with the arms of all, each called after its experiment.

    An attack that is set otherwise in one experiment than in another is another one, called after
    its experiment too. Where some experiments chose among attacks, one that made a single attack
    has that as its strongest.
    """
    chosen = any(arm.get(STRONGEST) for one in stored for arm in one.results["arms"].values())
    attacks: dict[str, dict[str, str]] = {kind: {} for kind in KINDS.values()}
    arms, alone = {}, dict[str, None]()
    for one in stored:
        names = {kind: _names(stored, one, kind) for kind in attacks}
        for kind, of in attacks.items():
            lines = _lines(one, kind)
            of |= {names[kind][name]: line for name, line in lines.items()}
        single = one.results["attacks"].get("alone", ())
        alone |= dict.fromkeys(names["membership"].get(name, name) for name in single)
        for name, arm in one.results["arms"].items():
            arms[f"{one.label}: {name}"] = _arm(arm, names, chosen)
    first = stored[0].results
    negatives = [one.results["data"].get("num_negatives") or 0 for one in stored]
    return {
        "experiment": ", ".join(one.label for one in stored),
        "design": None,
        "data": {"num_negatives": min(negatives)},
        "evaluation": {**first["evaluation"]},
        "attacks": {**attacks, "alone": [*alone]},
        "arms": arms,
    }


def told_alike(one: Stored, other: Stored, measure: str) -> bool:
    """Return whether two experiments mean the same attack by the name in a measure."""
    kind, _, rest = measure.partition("/")
    name, of = (rest if kind == "robust_accuracy" else rest.partition("/")[0]), KINDS[kind]
    lines = [_lines(each, of).get(name, "") for each in (one, other)]
    return _parts(lines[0]) == _parts(lines[1])


def strongest_of(one: Stored) -> list[str]:
    """Return the attacks among which an experiment's strongest is chosen, to tell them apart."""
    return sorted(" ".join(_parts(line)) for line in _lines(one, "membership").values())


def _lines(one: Stored, kind: str) -> Mapping[str, str]:
    return one.results["attacks"].get(kind) or {}


def _names(stored: Sequence[Stored], one: Stored, kind: str) -> dict[str, str]:
    """What each attack of an experiment is called beside the others'."""
    found = {}
    for name, line in _lines(one, kind).items():
        alike = (_parts(_lines(each, kind).get(name, line)) == _parts(line) for each in stored)
        found[name] = name if all(alike) else f"{name} ({one.label})"
    return found


def _parts(line: str) -> list[str]:
    """An attack's fields in any order: a line has them in that of its class, which may change."""
    return sorted(re.split(r", |\(|\)", line))


def _arm(arm: dict[str, Any], names: dict[str, dict[str, str]], chosen: bool) -> dict[str, Any]:
    kept = {key: arm[key] for key in OF_ARM if arm.get(key) is not None}
    kept["overstated"] = [names["robustness"].get(a, a) for a in arm.get("overstated") or ()]
    mean = arm.get("averaged")
    kept["averaged"] = mean and {"draws": mean["draws"], **_reading(mean, names, chosen)}
    return kept | _reading(arm, names, chosen)


def _reading(
    figures: dict[str, Any], names: dict[str, dict[str, str]], chosen: bool
) -> dict[str, Any]:
    found = {key: figures[key] for key in OF_READING if figures.get(key)}
    robust = figures.get("robust_accuracy") or {}
    found["robust_accuracy"] = {names["robustness"].get(a, a): one for a, one in robust.items()}
    every = {
        names["membership"].get(a, a): {key: read[key] for key in OF_ATTACK if key in read}
        for a, read in (figures.get("membership") or {}).items()
    }
    only = next(iter(every.values())) if chosen and len(every) == 1 else None
    strongest = figures.get(STRONGEST) or only
    return found | {"membership": every} | ({STRONGEST: strongest} if strongest else {})
