"""Shipped configurations: done in the test's own process, and compared with each other."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from runner import pipeline
from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.models import image_shape
from runner.plan.work import prepare
from tests.conftest import do_here


def done(experiment: Experiment, storage: Path) -> dict[str, Any]:
    """Do everything in this process; report as `run` does."""
    return pipeline.run(do_here(prepare(experiment, storage)), Console(quiet=True))


def cells(storage: Path, name: str) -> set[tuple[str, str, str]]:
    """(arm, draws, metric) of every line of table.csv."""
    path = storage / "experiments" / name / "report" / "table.csv"
    with path.open() as file:
        return {(row["arm"], row["draws"], row["metric"]) for row in csv.DictReader(file)}


def settings(experiment: Experiment) -> dict[str, Any]:
    """What is asked of an experiment's models, and how it is judged and reported.

    Two experiments of the same settings and kinds of arms have the same metrics in their tables.
    What is left out: what it is called, its data, recipe, arms and sweep, and how many models and
    images there are.
    """
    mine = {"name", "description", "data", "model", "training", "arms", "sweep"}
    found = experiment.model_dump(mode="json", exclude=mine)
    found["design"].pop("num_models")
    found["robustness"].pop("num_examples")
    return found


def kinds(experiment: Experiment, *left_out: str) -> set[str]:
    """Each arm as JSON, without its training and whatever has one of these keys."""

    def less(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: less(v) for k, v in value.items() if k not in ("training", *left_out)}

    arms = experiment.model_dump(mode="json")["arms"].values()
    return {json.dumps(less(arm), sort_keys=True) for arm in arms}


def answers_images(experiment: Experiment, dataset: Dataset) -> bool:
    """Whether each arm's network, at its own size, has a logit for every class of the data."""
    shape = image_shape(dataset)
    images = torch.empty(2, shape.channels, shape.height, shape.width, device="meta")
    networks = [arm.network(shape).eval() for arm in experiment.arms.values()]
    return all(network(images).shape == (2, shape.num_classes) for network in networks)
