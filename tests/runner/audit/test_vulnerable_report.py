"""Examples at risk of a small real experiment, from training to its report, in this process."""

import csv
import json

import numpy as np
import pytest
import torch

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from tests.conftest import TINY, do_here

pytestmark = pytest.mark.slow
torch.set_num_threads(1)


def test_a_run_reports_its_examples_at_risk_and_a_wrong_label_is_among_them(tmp_path):
    """Labels that are wrong can only be memorized, and so they are found."""
    changed = {
        "model": {"name": "mlp"},
        "training": {**TINY["training"], "epochs": 40},
        "design": {"name": "pairs", "num_models": 8},
        "arms": {"erm": {"defense": {"name": "erm"}}},
        "robustness": {},
        "vulnerable": {"false_positive_rate": 0.05, "num_shown": 10},
    }
    experiment = Experiment.model_validate(TINY | changed)
    data = experiment.data.load()
    wrong = np.arange(5)
    data.pool_labels[wrong] = (data.pool_labels[wrong] + 5) % 10
    work = do_here(prepare(experiment, tmp_path, data))
    results = pipeline.report(work, {"trained": 8, "reused": 0})
    found = results["arms"]["erm"]["vulnerable"]
    assert found["num_examples"] == 200
    assert (found["least_in"], found["most_in"]) == (4, 4)
    assert set(wrong) & {one["example"] for one in found["top"]}
    assert found["num_vulnerable"] > 10 * found["expected_by_chance"]
    assert found["memorization_correlation"] > 0
    written = json.loads((work.folder / "results.json").read_bytes())
    assert written["arms"]["erm"]["vulnerable"] == found
    lines = (work.folder / "report" / "examples.csv").read_bytes().decode().splitlines()
    rows = list(csv.DictReader(lines))
    memory = np.array([float(row["erm.memorization"]) for row in rows])
    assert memory[wrong].mean() > memory[5:].mean() + 0.3
    for one in found["top"]:
        row = rows[one["example"]]
        assert int(row["label"]) == one["label"] == data.pool_labels[one["example"]]
        assert int(row["erm.flagged_in"]) == one["flagged_in"]
    page = (work.folder / "report" / "index.html").read_bytes().decode()
    assert "Examples at risk</h2>" in page
    assert "The examples that are called members most often" in page
