from typing import Any

import pytest


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


@pytest.fixture
def results() -> dict[str, Any]:
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
