"""Memorization scores, published ones and those of made-up answers and scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.results._memorization import leakage_by_memorization
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.scores import PARTITIONS, Reading, scores_table
from tests.conftest import TINY

NUM = 300  # examples
NUM_MODELS = 16
RATE = 0.05  # the false positive rate of all


def dataset_of(labels: np.ndarray) -> Dataset:
    """Black images with these labels."""
    images = np.zeros((len(labels), 1, 8, 8), np.uint8)
    return Dataset(images, labels, images[:4], labels[:4], 10, (0.5,), (0.5,))


DATA = dataset_of(np.random.default_rng(1).integers(0, 10, NUM))


def published(path: Path, score: np.ndarray, labels: np.ndarray | None = None) -> Path:
    """A file like Feldman and Zhang's."""
    named = {} if labels is None else {"tr_labels": labels}
    save(path, {"tr_mem": score, "infl": np.zeros((2, 2)), **named})
    return path


def save(path: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file, whatever it holds."""
    np.savez(path, **arrays)


def experiment_of(**memorization: Any) -> Experiment:
    """TINY with more models, on as many digits as a published file would have."""
    chosen = {"false_positive_rate": RATE, **memorization}
    design = {"name": "pairs", "num_models": NUM_MODELS}
    data = {"name": "digits"}  # whole, as a published file is of all of it
    changed = {"data": data, "design": design, "memorization": chosen}
    return Experiment.model_validate(TINY | changed)


class Made:
    """An experiment whose stages wrote made-up answers and scores, both given by arm."""

    def __init__(self, experiment: Experiment, folder: Path) -> None:
        self.work = prepare(experiment, folder, DATA)
        self.experiment, self.at, self.plan = experiment, self.work.store, self.work.plan
        random = np.random.default_rng(2)
        shape = (NUM_MODELS, NUM)
        inside = self.plan.member == 1
        memorized = random.random(NUM) * (random.random(NUM) < 0.5)
        rate = {"erm": np.where(inside, 1, 1 - memorized), "pgd_at": np.full(shape, 0.6)}
        self.right = {arm: random.random(shape) < p for arm, p in rate.items()}
        self.found = {
            "erm": random.normal(size=shape) + 3 * inside * memorized,
            "pgd_at": np.round(random.normal(size=shape) + inside, 1),  # with ties
        }

    def results(self) -> dict[str, Any]:
        """Write it all, and return the part of results.json."""
        for arm, right in self.right.items():
            questions = self.experiment.questions(arm)
            for run, of_model in zip(self.plan.arms[arm], right, strict=True):
                folder = self.at.answers(run.id, questions.answers_id)
                said = (DATA.pool_labels + ~of_model) % 10
                answered = Answered(np.zeros((NUM, 1)), np.eye(10)[said])
                content = answers_to_bytes(DATA.pool_labels, answered, ["identity"])
                store.write(folder / "answers.parquet", content)
        for arm, scores in self.found.items():
            reading = Reading(arm, 1, "lira_online", "member")
            table = scores_table(reading, np.arange(NUM, dtype=np.int32), scores)
            pq.write_to_dataset(
                table,
                self.work.scores / "blocks",
                partition_cols=PARTITIONS,
                existing_data_behavior="delete_matching",
            )
        return leakage_by_memorization(self.work)
