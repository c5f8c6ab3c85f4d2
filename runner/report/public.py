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

# What of results.json is told. True: a value, or a list of some; TEXT: the same, its texts without
# places; NUMBER: no text; a mapping: of these keys; under EACH: of every key; [it]: of each one.
EACH, TEXT, NUMBER = "<each>", "text", "number"


def _all(told: Any, *keys: str) -> dict[str, Any]:
    return dict.fromkeys(keys, told)


FIGURE = _all(True, "mean", "low", "high", "num_models")
CHOSEN = {**FIGURE, "chosen": {EACH: NUMBER}}
RATE = {**CHOSEN, **_all(True, "num_negatives", "at_zero_false_positives")}
NULL = {"auc": FIGURE, "verdict": True, "tolerance": True}
ATTACK = {
    "auc": CHOSEN,
    "tpr_at_fpr": {EACH: RATE},
    "roc": _all(True, "fpr", "tpr", "low", "high"),
    "shadow_arm": True,
    "at_shadow_thresholds": {EACH: {**_all(FIGURE, "fpr", "tpr", "ppv"), "prior": True}},
    "thresholds": {EACH: _all(FIGURE, "precision", "recall")},
    "epsilon_lower_bound": {**FIGURE, "delta": True, "largest": True},
}
RISE = _all(True, "difference", "error")
POINT = {"at": TEXT, **_all(NUMBER, "accuracy", "error")}
SANE = {"verdict": True, "points": [POINT], "rises": [RISE], "chance": True}
READING = {
    "draws": True,
    **_all(FIGURE, "natural_accuracy", "train_accuracy", "generalization_gap"),
    "robust_accuracy": {EACH: FIGURE},
    "worst_case": {
        EACH: {
            "attacks": True,
            "accuracy": FIGURE,
            "pairs": [{"attacks": True, "difference": FIGURE, "only": True, "num_images": True}],
            "notes": TEXT,
        }
    },
    "sanity": {
        **_all(True, "num_models", "num_images", "eps"),
        **_all(SANE, "eps_monotone", "chance_at_large_eps"),
        **_all(SANE, "more_steps_not_weaker", "black_box_not_stronger"),
        "beside": [{**POINT, "pgd_less": RISE}],
    },
    "strongest": {"auc": CHOSEN, "tpr_at_fpr": {EACH: RATE}},
    "overlap": {
        "num_members": True,
        "at_fpr": {
            EACH: {
                "any": _all(FIGURE, "tpr", "fpr"),
                "pairs": [{"attacks": True, "jaccard": FIGURE}],
            }
        },
    },
    "membership": {EACH: ATTACK},
}
PROVED = {"auc": True, "mu": True, "tpr_at_fpr": {EACH: NUMBER}, "roc": _all(True, "fpr", "tpr")}
ARM = {
    "defense": TEXT,
    "recipe": _all(TEXT, "model", "training"),
    "remarks": TEXT,
    "dials": {EACH: NUMBER},
    **_all(True, "randomized", "checkpoint", "overstated"),
    **READING,
    "averaged": READING,
    "guarantee": {**_all(True, "epsilon", "delta", "status", "of"), "why": TEXT},
    "ceiling": {
        "by": True,
        "one_example": PROVED,
        "audit": {**PROVED, "neighbours": True, "copies": True},
    },
    "null_controls": {EACH: NULL},
    "null_control": NULL,
    "train_time_s": FIGURE,
}
BEHIND = {**FIGURE, **_all(True, "arm", "against", "measure", "confidence")}
TOLD = {
    "experiment": TEXT,
    "data": {
        **_all(TEXT, "name", "pool", "augment"),
        **_all(NUMBER, "num_pool", "num_test", "num_members", "num_negatives"),
    },
    "design": {"name": True, "num_models": True, "canaries": _all(True, "kind", "num", "copies")},
    "evaluation": _all(True, "on", "num_examples", "tpr_rule"),
    "report": _all(True, "against", "by", "baseline"),
    "attacks": {
        **_all({EACH: TEXT}, "robustness", "membership"),
        "views": {EACH: True},
        **_all(True, "alone", "adversarial"),
    },
    "selection": TEXT,
    "averages": _all(True, "num_models", "interval"),
    "arms": {EACH: ARM},
    "came_out": [{"rule": True, "arms": True, "text": TEXT, "figures": [BEHIND], "because": True}],
    "best": [_all(True, "arm", "measure")],
    "comparisons": [{**_all(True, "arm", "against", "draws"), "measures": {EACH: FIGURE}}],
    "places": {
        "num_compared": True,
        "changes": [{**_all(True, "arms", "figure", "change"), "under": {EACH: FIGURE}}],
    },
    "runs": _all(True, "trained", "reused"),
    "null_control": NULL,
    "git_commit": True,
    "code": {"digest": True},
    "versions": {EACH: True},
    "provenance": {"date": True, "training_s": True},
}
# A text that may name a file, a folder or a machine: a name with an ending, a path, an address.
NAMES_A_PLACE = re.compile(
    r"[^\s,;()]*[A-Za-z][\w-]*\.[A-Za-z]\w*[^\s,;()]*"  # images.npz, ward.lan
    r"|[^\s,;()]*(?:[\\~]|[A-Za-z.]/|/[A-Za-z.])[^\s,;()]*"  # /data/ward, ~ward, C:\
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
)
LEFT_OUT = "[left out]"
SCALARS = (bool, int, float, str)
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
    for name, arm in told["arms"].items():
        arm["vulnerable"] = _by_class(results["arms"][name].get("vulnerable"))
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
    """What is told of a value; None where it is of another shape than is told."""
    if told is True or told in (TEXT, NUMBER):
        flat = value if isinstance(value, list) else [value]
        kinds = (bool, int, float, type(None)) if told == NUMBER else (*SCALARS, type(None))
        if not all(isinstance(each, kinds) for each in flat):
            return None
        return _scrubbed(value) if told == TEXT else value
    if isinstance(told, list):
        kept = value if isinstance(value, list) else []
        return [one for each in kept if (one := _kept(each, told[0])) is not None]
    if not isinstance(value, Mapping):
        return None
    if EACH not in told:
        return {key: _kept(value[key], of) for key, of in told.items() if key in value}
    found = {key: _kept(each, told[EACH]) for key, each in value.items()}
    return {key: one for key, one in found.items() if one is not None or value[key] is None}


def _scrubbed(value: Any) -> Any:
    """Texts without what may name a place."""
    if isinstance(value, list):
        return [_scrubbed(each) for each in value]
    return NAMES_A_PLACE.sub(LEFT_OUT, value) if isinstance(value, str) else value


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
    failed = [f"failed check: {one['name']}" for one in checks if one["verdict"] == "fail"]
    every = [text for text in results.get("warnings") or [] if not text.startswith("failed check")]
    ours = [_scrubbed(text) for text in every if text.startswith(SAFE_WARNINGS)]
    found = failed + ours
    if num_left := len(every) - len(ours):
        found.append(f"{num_left} more of the whole report's warnings may name data or files.")
    return found
