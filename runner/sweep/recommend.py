"""Which setting is recommended, and its YAML, ready to run."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Constraint, Setting, Sweep
from runner.report.text import printed
from runner.sweep.pareto import OBJECTIVES, Three
from runner.sweep.settings import in_words, with_setting

LONGEST_NAME = 60 - len("_recommended")  # that a folder may have


def meets(constraint: Constraint, figures: Three, base: Three | None) -> bool:
    """Return whether the mean accuracies lie no further below the base's than they may.

    The base's are those of the same splits and as many models. Without a base there is nothing to
    measure from, and every setting passes.
    """
    allowed = {"robust": constraint.robust_within, "natural": constraint.natural_within}
    return all(
        within is None
        or base is None
        or base[key] is None
        # Rounded, so that 0.79 is within 0.01 of 0.8.
        or round(base[key]["mean"] - figures[key]["mean"], 9) <= within
        for key, within in allowed.items()
    )


def recommended(trials: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, str]:
    """Return the trial that leaks least by mean among those at the top rung that may be chosen.

    Of equal ones the more robust, then the first.

    Returns:
        The trial or None, and why.
    """
    there = [trial for trial in trials if trial["state"] == "finished"]
    if not there:
        return None, "no setting could be measured to the end"
    top = there[0]["num_models"]
    allowed = [trial for trial in there if trial["meets_constraint"]]
    if not allowed:
        return None, f"none of the {len(there)} settings with {top} models meets the constraint"

    def worth(trial: Mapping[str, Any]) -> tuple[float, float]:
        at = trial["by_rung"][str(top)]
        return at["leakage"]["mean"], -(at["robust"] or at["natural"])["mean"]

    why = (
        f"it leaks least of the {len(allowed)} settings with {top} models that meet the "
        f"constraint, out of {len(there)}"
    )
    return min(allowed, key=worth), why


def fresh(
    data: dict[str, Any], experiment: Experiment, setting: Setting, num_models: int
) -> dict[str, Any]:
    """Return the YAML of a setting under another seed: no split and no weight of the search."""
    made = with_setting(data, experiment, setting, num_models)
    name = f"{experiment.name[:LONGEST_NAME]}_recommended"
    return {**made, "name": name, "seed": experiment.seed + 1}


def as_yaml(made: Mapping[str, Any], sweep: Sweep, chosen: Mapping[str, Any]) -> str:
    """Return recommended.yaml: the experiment of `fresh`, below what was measured of it.

    Args:
        chosen: `recommended` of sweep.json.
    """

    def told(figures: Three | None) -> str:
        there = {key: figures[key] for key in OBJECTIVES if figures and figures[key]}
        at = chosen["num_models"]
        return ", ".join(f"{key} {printed(figure, 1, 3, at)}" for key, figure in there.items())

    name = made["name"]
    head = [
        f"The setting that the sweep {name.removesuffix('_recommended')} recommends: "
        f"{in_words(sweep, chosen['setting'])}.",
        "",
        "  python -m runner run recommended.yaml",
        "",
        f"Cost: {chosen['num_models']} models of each arm; none where the sweep was, which has "
        "trained them.",
        "Expected, under this seed, whose splits and weights the search did not see, on the same "
        f"test images (mean [95 % interval] over {chosen['num_models']} models):",
        f"  {sweep.arm}: {told(chosen['fresh'])}",
        *([f"  {sweep.base}: {told(chosen['fresh_base'])}"] if sweep.base else []),
        "In the search, where it was the best of many, it showed:",
        f"  {sweep.arm}: {told(chosen['flattered'])}",
        *([f"  {sweep.base}: {told(chosen['flattered_base'])}"] if sweep.base else []),
    ]
    comment = "\n".join(f"# {line}".rstrip() for line in head)
    return f"{comment}\n{yaml.safe_dump(dict(made), sort_keys=False, allow_unicode=True)}"
