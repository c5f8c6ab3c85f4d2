"""The examples of docs/your_data.md are read as the page says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from attacks.by_name import find
from runner.data import Data
from runner.experiment.config import load, parse
from runner.experiment.experiment import Experiment
from tests.made.commands import HOUSE, invoke
from tests.made.datasets import check
from tests.made.experiments import refused

PAGE = HOUSE / "docs" / "your_data.md"
FORM = re.compile(r"^```python\n(.*?)^```\n\n```yaml\n(.*?)^```", re.M | re.S)
FORMS = {parse(keys)["data"]["name"]: (code, keys) for code, keys in FORM.findall(PAGE.read_text())}


@pytest.mark.parametrize("name", ["folder", "parquet", "table", "npz"])
def test_an_example_of_each_form_writes_data_that_its_keys_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    code, keys = FORMS[name]
    exec(code, {})
    said = parse(keys)["data"]
    loaded = find("runner.data", name, Data).model_validate(said).load()
    check(loaded)
    assert loaded.groups is not None
    assert len(np.unique(loaded.groups)) >= 10
    assert not {*loaded.pool_ids["group"]} & {*loaded.test_ids["group"]}


def test_init_writes_a_yaml_for_each_form_that_has_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name, (code, keys) in FORMS.items():
        exec(code, {})
        said = parse(keys)["data"]
        own = [
            f"--set=data.{k}={json.dumps(v)}" for k, v in said.items() if k not in ("name", "root")
        ]
        exit_code, out = invoke(
            "init", f"{name}.yaml", "--data", name, "--root", said["root"], *own
        )
        assert exit_code == 0, out
        whole = load(tmp_path / f"{name}.yaml", [], Experiment)
        assert whole.data == find("runner.data", name, Data).model_validate(
            said | {"download": True}
        )
    assert "model: mlp\n" in (tmp_path / "table.yaml").read_text()
    exit_code, out = invoke("init", "b.yaml", "--data", "table", "--root", "patients.csv")
    assert exit_code == 2
    assert "which of them is the class? Say it by data.label; here by --set data.KEY=VALUE" in out
    exit_code, out = invoke("init", "b.yaml", "--data", "digits", "--set", "training.epochs=3")
    assert exit_code == 2
    assert "--set: expected keys of the data, as data.label=ill, got training" in out


def test_a_network_that_looks_at_neighbours_is_refused_for_a_table():
    table = {"name": "table", "label": "ill"}
    assert "use `model: mlp`" in refused(data=table, model="small_cnn")["arms.erm.model"]
