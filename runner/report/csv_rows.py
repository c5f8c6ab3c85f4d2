"""table.csv: every figure in full precision, one a line."""

import csv
import io
from typing import Any

from runner.report.readings import Figure, every_figure, readings

KEYS = ("mean", "low", "high", "num_models", "on", "num_examples", "num_negatives", "overstated")


def csv_rows(results: dict[str, Any]) -> str:
    """Return every figure in full precision, one a line; fractions, not percents.

    The experiment's own null control, over all arms, has an empty arm. `draws` is 1, or how many
    draws of a randomized model's noise its answers are averaged over. `on` and `num_examples` are
    the images of an accuracy, `num_negatives` the non-members of a membership figure. `overstated`
    is "yes" for a robust accuracy that an attack averaging over the noise would lower.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    write(("arm", "metric", "draws", *KEYS))

    def line(arm: str, metric: str, draws: int, figure: Figure, overstated: bool = False) -> None:
        known = {**figure, **_measured_on(results, metric), "overstated": "yes" * overstated}
        write((arm, metric, draws, *(known.get(key) for key in KEYS)))

    for reading in readings(results):
        overstated = {f"robust_accuracy/{attack}" for attack in reading.overstated}
        for metric, figure in every_figure(reading.figures):
            line(reading.arm, metric, reading.draws, figure, metric in overstated)
    if overall := (results.get("null_control") or {}).get("auc"):
        line("", "null_control/auc", 1, overall)
    return text.getvalue()


def _measured_on(results: dict[str, Any], metric: str) -> dict[str, Any]:
    """What a figure of table.csv was measured on, as far as that says anything of it."""
    data, kind = results["data"], metric.split("/")[0]
    if kind in ("natural_accuracy", "robust_accuracy"):
        return results["evaluation"]
    if kind == "train_accuracy":
        return {"on": "members", "num_examples": data["num_members"]}
    if kind in ("generalization_gap", "train_time_s"):
        return {}
    return {"num_negatives": data["num_negatives"]}
