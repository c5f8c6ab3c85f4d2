"""An experiment some of whose examples are at risk, by made-up answers and scores."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from runner.audit.vulnerable import VulnerableExamples, find_vulnerable
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.storage import store
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.scores import PARTITIONS, Reading, scores_table
from tests.conftest import TINY

RATE = 0.05  # the false positive rate of all
PLANTED = np.arange(0, 200, 20)  # the places of the examples at risk


def experiment_of(num_models: int = 16, design: str = "pairs", **chosen: Any) -> Experiment:
    """TINY with more models, which looks for examples at risk."""
    changed: dict[str, Any] = {
        "design": {"name": design, "num_models": num_models},
        "vulnerable": {"false_positive_rate": RATE, **chosen},
    }
    if design == "quarters":
        changed["membership"] = {"attacks": {"own": {"name": "shadow_mlp"}}}
    return Experiment.model_validate(TINY | changed)


class Made:
    """An experiment whose stages wrote made-up answers and scores.

    erm's scores know the planted examples where a model is trained on them, its answers too;
    pgd_at's are random numbers.
    """

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self.experiment, self.work = experiment, prepare(experiment, folder)
        self.plan, self.labels = self.work.plan, self.work.labels
        random = np.random.default_rng(1)
        shape, inside = self.plan.member.shape, self.plan.member == 1
        planted = np.isin(np.arange(shape[1]), PLANTED)
        self.scores = {
            "erm": random.normal(size=shape) + 100 * (inside & planted),
            "pgd_at": random.normal(size=shape),
        }
        self.odds = {
            "erm": np.where(planted & ~inside, -1.0, 1.0) + random.normal(size=shape) / 4,
            "pgd_at": random.normal(size=shape),
        }

    def find(self, in_ray: bool = False) -> VulnerableExamples:
        """Write it all, and find the examples at risk."""
        attack = next(iter(self.experiment.membership.attacks))
        for arm, scores in self.scores.items():
            reading = Reading(arm, 1, attack, "member")
            places = np.arange(len(self.labels), dtype=np.int32)
            pq.write_to_dataset(
                scores_table(reading, places, scores),
                self.work.scores / "blocks",
                partition_cols=PARTITIONS,
                existing_data_behavior="delete_matching",
            )
            paths = self.work.sources[Source(arm, 1)]
            for path, odds in zip(paths, self.odds[arm], strict=True):
                logits = np.zeros((len(odds), 10))
                logits[np.arange(len(odds)), self.labels] = odds
                # The plain view is the second one; the first one is always right.
                of_views = np.stack([np.full(len(odds), 9.0), odds - np.log(9)], axis=1)
                said = Answered(of_views, logits, np.stack([odds > -99, odds > 0], axis=1))
                store.write(Path(path), answers_to_bytes(self.labels, said, ["flip", "identity"]))
        return find_vulnerable(self.work._replace(plan=self.plan), in_ray)


def slow_flags(made: Made, arm: str) -> np.ndarray:
    """Whether each model's attack calls each example a member, (M, N) bool, score by score."""
    flags = np.zeros(made.plan.member.shape, bool)
    for m, row in enumerate(made.plan.member):
        scores = made.scores[arm][m].astype(np.float32)
        negatives = scores[row == 0]
        allowed = Fraction(str(RATE)) * len(negatives)
        for threshold in sorted(scores, reverse=True):
            if np.sum(negatives >= threshold) > allowed:
                break
            flags[m] = (scores >= threshold) & (row >= 0)
    return flags
