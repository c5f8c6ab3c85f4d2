"""Results as results.json has them, made by hand, for the tests of the report."""

import copy
from typing import Any


def figure(mean: float | None, reach: float = 0.02, num_models: int = 8) -> dict[str, Any]:
    low, high = (None, None) if mean is None else (mean - reach, mean + reach)
    return {"mean": mean, "low": low, "high": high, "num_models": num_models}


def rate(mean: float, zero: bool = False) -> dict[str, Any]:
    return {**figure(mean, 0.01), "num_negatives": 700, "at_zero_false_positives": zero}


def arm(robust: float, auc: float, tpr: float) -> dict[str, Any]:
    return {
        "defense": "one line",
        "recipe": {"model": "small_cnn(width 16)", "training": "epochs 20, lr 0.1"},
        "natural_accuracy": figure(0.9),
        "train_accuracy": figure(0.95),
        "robust_accuracy": {"pgd20": figure(robust)},
        "membership": {
            "lira_online": {
                "auc": figure(auc, 0.005),
                "tpr_at_fpr": {
                    "0.1": rate(4 * tpr),
                    "0.001": rate(tpr / 2, zero=True),
                    "1e-05": rate(tpr / 2, zero=True),
                    "0.01": rate(tpr),
                },
                "roc": {
                    "fpr": [1e-3, 1e-2, 1e-1, 1.0],
                    "tpr": [tpr / 2, tpr, 4 * tpr, 1.0],
                    "low": [0.0, tpr - 0.01, 4 * tpr - 0.01, 1.0],
                    "high": [tpr, tpr + 0.01, 4 * tpr + 0.01, 1.0],
                },
            }
        },
        "null_control": {"auc": figure(0.5, 0.01), "verdict": "pass"},
        "train_time_s": figure(12.345, 1),
    }


def small_results() -> dict[str, Any]:
    """Two arms, one attack of each kind; 0.1 % and 0.001 % FPR are below what can be seen."""
    return {
        "experiment": "small",
        "description": "What it is.",
        "seed": 7,
        "data": {
            "name": "digits",
            "pool": "train",
            "augment": "crop_padding 0, flip false",
            "num_pool": 1400,
            "num_test": 397,
            "num_members": 700,
            "num_negatives": 700,
        },
        "evaluation": {"on": "test", "num_examples": 397, "tpr_rule": "step_le"},
        "attacks": {
            "robustness": {"pgd20": "PGD, 20 steps"},
            "membership": {"lira_online": "LiRA, online"},
        },
        "arms": {"erm": arm(0.05, 0.7, 0.1), "pgd_at": arm(0.6, 0.8, 0.2)},
        "runs": {"trained": 16, "reused": 0},
        "null_control": {"auc": figure(0.5, 0.01), "verdict": "pass", "tolerance": 0.02},
        "warnings": [],
        "git_commit": "0123456789ab",
        "versions": {"python": "3.12.1", "torch": "2.11.0"},
    }


def probabilities(shadow_arm: str, precision: float, auc: float, bound: float) -> dict[str, Any]:
    """An attack whose scores are probabilities: recall falls with the threshold."""
    return {
        "auc": figure(auc, 0.005),
        "tpr_at_fpr": {"0.1": rate(0.2)},
        "roc": {"fpr": [0.0, 0.5, 1.0], "tpr": [0.0, auc, 1.0]},
        "shadow_arm": shadow_arm,
        "thresholds": {
            "0.5": {"precision": figure(precision), "recall": figure(0.6)},
            "0.8": {"precision": None, "recall": figure(0.0, 0.0)},
        },
        "epsilon_lower_bound": {
            **figure(bound, 0.05),
            "low": max(bound - 0.05, 0),
            "delta": 1e-5,
            "largest": 4.5,
        },
    }


def residual(gamma: float, guarantee: dict[str, Any] | None) -> dict[str, Any]:
    """A randomized arm: its mean of ten draws is surer, more accurate and easier to attack."""
    found = arm(0.3, 0.6 - gamma / 10, 0.05)
    found["membership"]["shadow_mlp"] = probabilities("erm", 0.55, 0.55 - gamma / 10, 0.1)
    mean = copy.deepcopy(found) | {"draws": 10, "natural_accuracy": figure(0.92)}
    mean["train_accuracy"] = figure(0.96)
    mean["membership"]["shadow_mlp"] = probabilities("erm", 0.58, 0.58 - gamma / 10, 0.25)
    for key in ("defense", "recipe", "null_control", "train_time_s"):
        del mean[key]
    return found | {
        "dials": {"gamma": gamma, "members": 5.0},
        "randomized": True,
        "draws": 1,
        "averaged": mean,
        "overstated": ["pgd20"],
        "guarantee": guarantee,
        "remarks": ["Each block adds noise."],
    }


def noisy_results() -> dict[str, Any]:
    """Two settings of residual perturbation, one of DP-SGD and a plain arm, in quarters."""
    results = small_results()
    of_weights = {"delta": 1e-5, "of": "the weights"}
    proved = {**of_weights, "epsilon": 3.21, "status": "proved", "why": "RDP of DP-SGD"}
    claim = {**of_weights, "epsilon": 4.56e9, "status": "claimed", "why": "taking G = 1 and R = 2"}
    without = {**of_weights, "epsilon": None, "status": "none", "why": "nothing bounds G and R"}
    dp_sgd = arm(0.2, 0.52, 0.02)
    dp_sgd["membership"]["shadow_mlp"] = probabilities("erm", 0.51, 0.51, 0.0)
    dp_sgd |= {"dials": {"noise_multiplier": 1.1}, "averaged": None, "guarantee": proved}
    erm = results["arms"]["erm"]
    erm["membership"]["shadow_mlp"] = probabilities("erm", 0.7, 0.75, 0.9)
    erm |= {"dials": {}, "randomized": False, "averaged": None, "overstated": [], "remarks": []}
    erm |= {"guarantee": None}
    arms = {
        "erm": erm,
        "half": residual(0.5, claim),
        "one": residual(1.0, without),
        "dp_sgd": dp_sgd,
    }
    for one in arms.values():
        for read in filter(None, (one, one["averaged"])):
            read["generalization_gap"] = figure(
                read["train_accuracy"]["mean"] - read["natural_accuracy"]["mean"]
            )
    return results | {
        "design": {"name": "quarters", "num_models": 8},
        "report": {"against": "gamma", "by": "members", "baseline": "erm"},
        "data": {**results["data"], "classes": [0, 6]},
        "attacks": {
            "robustness": {"pgd20": "PGD, 20 steps"},
            "membership": {"lira_online": "LiRA, online", "shadow_mlp": "a small network"},
        },
        "arms": arms,
    }


def chosen(mean: float, shares: dict[str, float], **more: Any) -> dict[str, Any]:
    return {**figure(mean, 0.01, 16), **more, "chosen": shares}


def several_results() -> dict[str, Any]:
    """Two arms under two attacks and their combination; the attacks order the arms otherwise."""
    results = small_results()
    told = {"num_negatives": 700, "at_zero_false_positives": False}
    for name, one in results["arms"].items():
        one["membership"]["rmia"] = arm(0, 0.75, 0.15)["membership"]["lira_online"]
        one["membership"]["mean_rank"] = arm(0, 0.76, 0.16)["membership"]["lira_online"]
        shares = {"lira_online": 0.004, "rmia": 0.746, "mean_rank": 0.25}
        one["strongest"] = {
            "auc": chosen(0.77, shares),
            "tpr_at_fpr": {
                "0.01": chosen(0.17, shares, **told),
                "0.001": chosen(0.05, shares, **{**told, "at_zero_false_positives": True}),
            },
        }
        both = figure(0.25, 0.05) if name == "erm" else None
        one["overlap"] = {
            "num_members": 700,
            "at_fpr": {
                at: {
                    "any": {"tpr": figure(0.2, 0.01), "fpr": figure(1.9 * float(at), 0.001)},
                    "pairs": [{"attacks": ["lira_online", "rmia"], "jaccard": both}],
                }
                for at in ("0.01", "0.001")
            },
        }
    results["attacks"]["membership"] |= {"rmia": "RMIA", "mean_rank": "mean rank of both"}
    under = {"lira_online": figure(-0.03, 0.01), "rmia": figure(0.02, 0.01)}
    noise = {"lira_online": figure(-0.01, 0.02), "rmia": figure(0.02, 0.01)}
    arms = ["erm", "pgd_at"]
    results["places"] = {
        "num_compared": 3,
        "changes": [
            {"arms": arms, "figure": "auc", "under": under, "change": "clear"},
            {"arms": arms, "figure": "tpr_at_fpr/0.001", "under": noise, "change": "within_noise"},
        ],
    }
    return results
