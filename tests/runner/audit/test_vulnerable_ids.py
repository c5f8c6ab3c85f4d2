"""Whoever is found at risk is named as the user's own files have it, from the loader to a file."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from tests.conftest import TINY, do_here

pytestmark = pytest.mark.slow

WRONG = [3, 100, 257]  # rows of the file whose labels are of another class


def test_the_rows_of_wrong_labels_are_found_in_the_users_file(tmp_path: Path):
    """A drawn test split, two of three classes and a subset: every place is another row."""
    random = np.random.default_rng(0)
    labels = np.arange(600) % 3
    light = np.array([60, 128, 190])[labels]
    noise = random.integers(-50, 50, (600, 6, 6))
    images = (light[:, None, None] + noise).astype(np.uint8)
    given = labels.copy()
    given[WRONG] = np.array([2, 0, 0])[labels[WRONG] % 3]
    np.savez(tmp_path / "my.npz", images=images, labels=given)
    changed = {
        "data": {
            "name": "npz",
            "root": str(tmp_path / "my.npz"),
            "test_fraction": 0.1,
            "classes": [2, 0],
            "num_examples": 300,
        },
        "model": {"name": "mlp"},
        "training": {**TINY["training"], "epochs": 60},
        "design": {"name": "pairs", "num_models": 8},
        "arms": {"erm": {"defense": {"name": "erm"}}},
        "robustness": {},
        "vulnerable": {"false_positive_rate": 0.05, "num_shown": 5},
    }
    work = do_here(prepare(Experiment.model_validate(TINY | changed), tmp_path / "storage"))
    pipeline.describe(work)
    results = pipeline.report(work, {"trained": 8, "reused": 0})
    text = (work.folder / "report" / "examples.csv").read_bytes().decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0])[:4] == ["source_row", "array", "place_in_pool", "label"]
    for row in rows:
        assert int(row["label"]) == [2, 0].index(given[int(row["source_row"])])
    there = set(WRONG) & {int(row["source_row"]) for row in rows}
    assert there, "the draw has some of them"
    found = {one["source"]["source_row"] for one in results["arms"]["erm"]["vulnerable"]["top"]}
    assert there <= found
    for one in json.loads((work.folder / "results.json").read_bytes())["arms"]["erm"]["vulnerable"][
        "top"
    ]:
        row = rows[one["example"]]
        assert one["source"] == {"source_row": int(row["source_row"]), "array": "images"}
    pool = pq.read_table(work.folder / "pool.parquet")
    assert pool["source_row"].to_pylist() == [int(row["source_row"]) for row in rows]
    test = pq.read_table(work.folder / "test.parquet")
    assert not set(test["source_row"].to_pylist()) & set(pool["source_row"].to_pylist())
    for row, label in zip(test["source_row"].to_pylist(), test["label"].to_pylist(), strict=True):
        assert label == [2, 0].index(int(given[row]))
