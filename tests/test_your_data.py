"""The examples of docs/your_data.md are read as the page says."""

import re
from pathlib import Path

import numpy as np
import pytest

from attacks.by_name import find
from runner.data import Data
from runner.experiment.config import parse
from tests.made.commands import HOUSE
from tests.made.datasets import check

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
