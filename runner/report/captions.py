"""What stands below each figure of the page: only what is in it."""

from typing import Any

from runner.report.blocks.roc import MOST_BANDS, most_curves
from runner.report.readings import calibrated, readings


def captions(results: dict[str, Any]) -> dict[str, str]:
    """Return the text below each figure, by the name of its file."""
    robustness = list(results["attacks"].get("robustness", {}))
    attacks = list(results["attacks"].get("membership", {}))
    known = calibrated(results)
    hollow = any(reading.averaged for reading in readings(results))
    mean = " Hollow marks: the mean of several draws of a model's noise." if hollow else ""
    return {
        "privacy_robustness": _privacy(bool(robustness), attacks, known) + mean,
        "sanity": "Whether the attacks can be believed: accuracy of the first models of each arm "
        "on few images, by radius and by number of steps, with two standard errors.",
        "queries": "LiRA on the images as they are, as an attack moves them against the model that "
        "is asked, and on both together, with 95 % intervals; the dotted line is a guess.",
        "memorization": "Leakage and accuracy of examples by how much they are memorized, with "
        "95 % intervals.",
        "against": _against(results, bool(robustness), bool(attacks)),
        "thresholds": "Precision and recall of an attack that calls an example a member from a "
        f"threshold up, with 95 % intervals.{mean}",
        "roc": f"ROC curves, mean over models, {_bands(results, attacks)}; both axes are "
        "logarithmic, so that the left, where few non-members are accused, can be read." + mean,
        "roc_linear": "ROC curves of the attacks whose scores are probabilities, in linear axes, "
        f"{_bands(results, known)}.{mean}",
    }


def _privacy(robust: bool, attacks: list[str], known: list[str]) -> str:
    """Of privacy against accuracy."""
    if robust:
        text = "Privacy against accuracy under attack, with 95 % intervals. Right is more robust"
    else:
        text = (
            "Privacy against natural accuracy, with 95 % intervals; no attack on robustness was "
            "run. Right is more accurate"
        )
    text += ", low is more private; the dotted line is a guess."
    if known and set(known) != set(attacks):
        text += " Attacks whose scores are probabilities are drawn by AUC, others by TPR."
    return text


def _against(results: dict[str, Any], robust: bool, attacked: bool) -> str:
    """Of what is drawn against a number of the defenses."""
    shown = ["Training and test accuracy"] + attacked * ["membership AUC"]
    shown += robust * ["accuracy under attack"]
    text = " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    dial = (results.get("report") or {}).get("against")
    guess = "; the dotted line is a guess" if attacked else ""
    return f"{text} against {dial}, with 95 % intervals{guess}."


def _bands(results: dict[str, Any], attacks: list[str]) -> str:
    """Whether intervals are drawn."""
    if most_curves(results, attacks) <= MOST_BANDS:
        return "with 95 % intervals"
    return f"without intervals where a panel has more than {MOST_BANDS} curves"
