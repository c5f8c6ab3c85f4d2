"""Results of many arms under many attacks, made by hand, for the tests of how a page is used."""

import copy
from typing import Any

from runner.report.text import csv_of
from tests.made.report import arm, chosen, small_results


def many_results(num_arms: int, num_attacks: int, num_points: int = 121) -> dict[str, Any]:
    """Return results in which each arm leaks a little more than the one before, and is more robust.

    Args:
        num_points: of each ROC curve, evenly spread by the logarithm from 0.001 to 1.
    """
    results = small_results()
    attacks = [f"attack_{i}" for i in range(num_attacks)]
    results["arms"] = {f"arm_{i}": _arm(i / num_arms, attacks, num_points) for i in range(num_arms)}
    results["attacks"]["membership"] = {name: f"what {name} is" for name in attacks}
    return results


def _arm(place: float, attacks: list[str], num_points: int) -> dict[str, Any]:
    made = arm(0.1 + 0.6 * place, 0.6 + 0.2 * place, 0.05 + 0.1 * place)
    one = made["membership"].pop("lira_online")
    for i, attack in enumerate(attacks):
        made["membership"][attack] = copy.deepcopy(one) | {
            "roc": _curve(0.9 - 0.3 * place - 0.02 * i, num_points)
        }
    shares = {attacks[0]: 1.0}
    told = {"num_negatives": 700, "at_zero_false_positives": False}
    made["strongest"] = {
        "auc": chosen(0.6 + 0.2 * place, shares),
        "tpr_at_fpr": {"0.01": chosen(0.05 + 0.1 * place, shares, **told)},
    }
    return made


def _curve(power: float, num_points: int) -> dict[str, list[float]]:
    """The curve fpr ** power, above a guess for a power below 1."""
    fpr = [10 ** (-3 + 3 * i / (num_points - 1)) for i in range(num_points)]
    tpr = [rate**power for rate in fpr]
    return {
        "fpr": fpr,
        "tpr": tpr,
        "low": [0.9 * rate for rate in tpr],
        "high": [min(1.1 * rate, 1.0) for rate in tpr],
    }


def with_examples(results: dict[str, Any], num: int) -> bytes:
    """Say of results that somebody looked for examples at risk; return examples.csv of `num`.

    Example i is found from a rate of (i + 1) / num in the first arm, the other way round in others.
    """
    told = {"attack": "attack_0", "false_positive_rate": 0.01, "num_models": 8, "by_class": []}
    told |= {"num_examples": 0, "top": []}
    lines = []
    for i in range(num):
        row = {"file": f"{i:04}.png", "place_in_pool": i, "label": i % 10}
        for k, name in enumerate(results["arms"]):
            rate = (num - i if k else i + 1) / num
            of_arm = {"memorization": i / num, "num_in": 4, "flagged_in": 1, "num_out": 4}
            of_arm |= {"flagged_out": 0, "found_from": rate}
            row |= {f"{name}.{key}": value for key, value in of_arm.items()}
        lines.append(row)
    for one in results["arms"].values():
        one["vulnerable"] = told
    return csv_of(list(lines[0]), [list(row.values()) for row in lines]).encode()
