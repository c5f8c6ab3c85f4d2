"""What a page for outsiders holds: figures by arm and class, and nothing else. Decided here alone.

Whatever a report writes for outsiders is written from what `for_public` returns, so what is not
named here cannot be in it: neither what results.json will have tomorrow, nor what a page embeds.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from runner.storage.cloud import Folder

PUBLIC = "public"  # the folder of that page, below that of the report
FEWEST = 10  # examples of a class whose figures are told
UNTOLD = "not told to outsiders"

# What of results.json is told. True: as it is; TEXT: its texts without places; a mapping: of those
# keys; under EACH: of every key.
EACH, TEXT = "<each>", "text"
FIGURE = dict.fromkeys(("mean", "low", "high", "num_models"), True)
RATE = {**FIGURE, "num_negatives": True, "at_zero_false_positives": True, "chosen": True}
NULL = {"auc": FIGURE, "verdict": True, "tolerance": True}
ATTACK = {
    "auc": {**FIGURE, "chosen": True},
    "tpr_at_fpr": {EACH: RATE},
    "roc": dict.fromkeys(("fpr", "tpr", "low", "high"), True),
    "shadow_arm": True,
    "at_shadow_thresholds": {EACH: {"fpr": FIGURE, "tpr": FIGURE, "ppv": FIGURE, "prior": True}},
    "thresholds": {EACH: {"precision": FIGURE, "recall": FIGURE}},
    "epsilon_lower_bound": {**FIGURE, "delta": True, "largest": True},
}
READING = {
    "draws": True,
    **dict.fromkeys(("natural_accuracy", "train_accuracy", "generalization_gap"), FIGURE),
    "robust_accuracy": {EACH: FIGURE},
    "worst_case": {EACH: {"attacks": True, "accuracy": FIGURE, "pairs": True, "notes": TEXT}},
    "sanity": True,
    "strongest": {"auc": ATTACK["auc"], "tpr_at_fpr": ATTACK["tpr_at_fpr"]},
    "overlap": True,
    "membership": {EACH: ATTACK},
}
ARM = {
    **dict.fromkeys(("defense", "recipe", "guarantee", "remarks"), TEXT),
    **dict.fromkeys(("dials", "randomized", "checkpoint", "overstated", "ceiling"), True),
    **READING,
    "averaged": READING,
    "null_controls": {EACH: NULL},
    "null_control": NULL,
    "train_time_s": FIGURE,
}
TOLD = {
    "experiment": TEXT,
    "data": dict.fromkeys(
        ("name", "pool", "augment", "num_pool", "num_test", "num_members", "num_negatives"), True
    ),
    "design": True,
    "evaluation": True,
    "report": dict.fromkeys(("against", "by", "baseline"), True),
    "attacks": TEXT,
    "selection": TEXT,
    "averages": True,
    "arms": {EACH: ARM},
    "came_out": TEXT,
    "comparisons": True,
    "places": True,
    "runs": True,
    "null_control": NULL,
    "git_commit": True,
    "code": {"digest": True},
    "versions": True,
    "provenance": {"date": True, "training_s": True},
}
# A text that may name a file, a folder or a machine: a name with an ending, a path, an address.
NAMES_A_PLACE = re.compile(
    r"[^\s,;()]*[A-Za-z][\w-]*\.[A-Za-z]\w*[^\s,;()]*"  # images.npz, ward.lan
    r"|[^\s,;()]*(?:[\\~]|[A-Za-z.]/|/[A-Za-z.])[^\s,;()]*"  # /data/ward, ~ward, C:\
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
)
LEFT_OUT = "[left out]"
SAFE_WARNINGS = ("robust accuracy under PGD is not to be trusted", "robust accuracy is overstated")


def for_public(results: dict[str, Any]) -> dict[str, Any]:
    """Return results of which figures by arm and class are left, as the report reads them.

    No example, no class of fewer than FEWEST examples, no file, folder or machine, no seed, which
    would draw who was a member, and no text of the user's own but the names of the experiment, of
    arms and of attacks.

    Args:
        results: what results.json holds; it is not changed.
    """
    told = _kept(results, TOLD)
    for name, arm in results["arms"].items():
        told["arms"][name]["vulnerable"] = _by_class(arm.get("vulnerable"))
    checks = [
        {"name": check["name"], "verdict": check["verdict"], "says": ""}
        for check in results.get("guards") or []
    ]
    told.setdefault("code", {}).update({"deciding": []})
    if not told["code"].get("digest"):
        del told["code"]
    return told | {
        "description": "",
        "seed": UNTOLD,
        "memorization": None,
        "epsilon": None,
        "events": [],
        "guards": checks,
        "warnings": _warnings(results, checks),
    }


def write_public(results: dict[str, Any], report: Folder) -> Folder:
    """Write the page for outsiders, and its tables and figures, and return its path.

    Args:
        results: what results.json holds.
        report: the folder of the report; the page's is below it, by itself, to be handed on whole.
    """
    from runner.report import write_report

    return write_report(for_public(results), report / PUBLIC)


def _kept(value: Any, told: Any) -> Any:
    """What is told of a value; its texts have no places in them."""
    if told is True or told == TEXT:
        return value if told is True else _scrubbed(value)
    if not isinstance(value, Mapping):
        return None  # as where nothing was measured: no text stands where figures do
    if EACH in told:
        return {key: _kept(each, told[EACH]) for key, each in value.items()}
    return {key: _kept(value[key], of) for key, of in told.items() if key in value}


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return NAMES_A_PLACE.sub(LEFT_OUT, value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(each) for each in value]
    return value


def _by_class(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What an attack finds by class, of classes that are large enough.

    Where one class alone is too small, the next smallest goes with it: what all classes come to is
    told, and the others would give it away.
    """
    if not found or not found.get("by_class"):
        return None
    classes = sorted(found["by_class"], key=lambda one: one["num_examples"])
    num_small = sum(one["num_examples"] < FEWEST for one in classes)
    hidden = classes[: max(num_small, 2) if num_small else 0]
    withheld = [one["label"] for one in hidden]
    keys = ("label", "num_examples", "stands_out")
    left = [
        {**{key: one[key] for key in keys}, **{k: _kept(one[k], FIGURE) for k in ("tpr", "fpr")}}
        for one in found["by_class"]
        if one["label"] not in withheld
    ]
    kept = {k: found[k] for k in ("attack", "false_positive_rate", "at_least", "num_models")}
    return {**kept, "num_examples": 0, "by_class": left, "top": [], "withheld": _told(num_small)}


def _told(num_small: int) -> str:
    """What is said in place of single examples and of small classes."""
    told = "Nothing is told here of single examples."
    if not num_small:
        return told
    which = "A class" if num_small == 1 else f"{num_small} classes"
    one = num_small == 1
    also = ", and the next smallest, from which it would follow" if one else ""
    return (
        f"{told} {which} of fewer than {FEWEST} examples {'is' if one else 'are'} left out{also}."
    )


def _warnings(results: dict[str, Any], checks: Sequence[Mapping[str, str]]) -> list[str]:
    """The checks that failed, and warnings of which every word is ours or a name of arms."""
    found = [f"failed check: {one['name']}" for one in checks if one["verdict"] == "fail"]
    every = results.get("warnings") or []
    found += [_scrubbed(text) for text in every if text.startswith(SAFE_WARNINGS)]
    num_left = len(every) - len(found)
    if num_left > 0:
        found.append(f"{num_left} more of the whole report's warnings may name data or files.")
    return found
