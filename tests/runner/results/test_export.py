"""What `runner export` writes: weights, figures with their intervals, and nothing that stays."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

import runner
from tests.made.commands import invoke
from tests.made.stored_before import unpacked


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    return unpacked(tmp_path / "storage")


@pytest.fixture
def run(stored: Path) -> str:
    return runner.open(stored, "stored_before").runs("erm")[0]


def exported(stored: Path, run: str) -> Path:
    code, out = invoke("export", run, "--storage", str(stored), "--out", str(stored / "x"))
    assert code == 0, out
    return stored / "x"


def figure(stored: Path) -> dict[str, Any]:
    return runner.open(stored, "stored_before").raw["arms"]["erm"]["natural_accuracy"]


def test_the_weights_are_those_of_the_run_with_the_shape_of_its_images(stored: Path, run: str):
    written = safetensors.torch.load_file(exported(stored, run) / "model.safetensors")
    model = runner.load_model(run, stored).state_dict()
    assert written.keys() == model.keys()
    assert all(torch.equal(written[name], model[name]) for name in model)
    with safetensors.safe_open(stored / "x" / "model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["image_shape"])["mean"]


def test_the_card_has_the_figures_and_their_intervals_in_its_model_index(stored: Path, run: str):
    _, front, text = (exported(stored, run) / "README.md").read_text().split("---\n", 2)
    (index,) = yaml.safe_load(front)["model-index"]
    (of_data,) = index["results"]
    told = figure(stored)
    (metric,) = [m for m in of_data["metrics"] if m["name"].startswith("natural_accuracy")]
    assert (metric["type"], metric["value"]) == ("accuracy", told["mean"])
    assert (metric["args"]["low"], metric["args"]["high"]) == (told["low"], told["high"])
    assert {"type", "name"} <= of_data["dataset"].keys()
    assert f"[{told['low']:.4g}, {told['high']:.4g}]" in text


def test_the_bill_of_materials_is_valid_and_has_the_intervals(stored: Path, run: str):
    content = (exported(stored, run) / "bom.json").read_text()
    card = json.loads(content)["metadata"]["component"]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    (metric,) = [m for m in metrics if m["type"] == "natural_accuracy"]
    told = figure(stored)
    bounds = metric["confidenceInterval"]
    assert float(bounds["lowerBound"]) == told["low"]
    assert float(bounds["upperBound"]) == told["high"]
    assert any(m["type"].startswith("membership/") for m in metrics)
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_7
    assert validation.JsonStrictValidator(schema).validate_str(content) is None
    broken = content.replace("performanceMetrics", "metrics")
    assert validation.JsonStrictValidator(schema).validate_str(broken) is not None


def test_nothing_of_the_data_nor_of_the_machine_leaves(stored: Path, run: str):
    recipe = json.loads((stored / "runs" / run / "run.json").read_text())
    folder = exported(stored, run)
    text = "".join(
        (folder / name).read_bytes().decode(errors="replace")
        for name in ("README.md", "bom.json", "model.safetensors")
    )
    for hidden in (recipe["member"], recipe["data"], str(recipe["seed"]), str(stored), "/tmp"):
        assert hidden not in text
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert not re.search(r'"?(member|seed|root|source_row|git_commit|command)"?:', text)


def test_what_cannot_be_exported_is_refused_and_nothing_is_written(stored: Path, run: str):
    at = ("--storage", str(stored), "--out", str(stored / "x"))
    code, out = invoke("export", run[:-1], *at)
    assert (code, run in out) == (2, True)
    code, out = invoke("export", run, *at, "--experiment", "other")
    assert (code, "stored_before do" in out) == (2, True)
    assert not (stored / "x").exists()
    exported(stored, run)
    code, out = invoke("export", run, *at)
    assert code == 2
    assert "--out FOLDER" in out


def test_parts_of_a_recipe_that_may_be_paths_stay(stored: Path):
    from runner.results.export import _public  # pyright: ignore[reportPrivateUsage]

    given = {"name": "timm", "weights": "/weights/w.pt", "file": "w.safetensors", "lr": 0.1}
    assert _public({"model": given}) == {"model": {"name": "timm", "lr": 0.1}}
