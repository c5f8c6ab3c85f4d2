"""`runner list`, over what runs, sweeps and audits leave."""

import json
from pathlib import Path
from typing import Any

from runner.storage.store import Store
from tests.made.commands import invoke
from tests.made.half_done import told
from tests.made.report import noisy_results, several_results, small_results
from tests.made.sweep_report import with_a_choice


def stored(folder: Path) -> Store:
    at = Store(folder)
    at.check_writable()
    return at


def write(at: Path, name: str, results: dict[str, Any]) -> None:
    at.mkdir(parents=True, exist_ok=True)
    (at / name).write_text(json.dumps(results))


def test_each_thing_has_a_line_with_its_size_and_its_headline(tmp_path: Path):
    at = stored(tmp_path)
    write(tmp_path / "experiments" / "plain", "results.json", several_results())
    write(tmp_path / "audits" / "given", "results.json", small_results())
    write(tmp_path / "sweeps" / "s", "sweep.json", with_a_choice())
    told(at.experiment("begun"), stage="training", ended=143, why="stopped")
    write(tmp_path / "experiments" / "broken", "results.json", {"arms": 3})
    code, out = invoke("list", "--storage", str(tmp_path))
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert code == 0
    assert [*lines] == ["NAME", "begun", "broken", "plain", "s", "given"]
    assert "AUC of strongest attack: 0.770 [0.760, 0.780] (erm, 90.0 % right)" in lines["plain"]
    assert "AUC of lira_online: 0.700 [0.695, 0.705] (erm, 90.0 % right) to 0.800" in lines["given"]
    assert "audit" in lines["given"]
    assert "recommends" in lines["s"]
    assert "settings x 16" in lines["s"]
    assert "stopped" in lines["begun"]
    assert "results.json cannot be read" in lines["broken"]
    code, out = invoke("list", "--json", "--storage", str(tmp_path))
    found = {one["name"]: one for one in json.loads(out)}
    assert found["plain"]["arms"] == 2
    assert found["begun"]["models"] is None


def test_the_headline_of_a_randomized_arm_is_what_averaging_finds(tmp_path: Path):
    results = noisy_results()
    results["arms"] = {"half": results["arms"]["half"]}
    for reading, auc in (
        (results["arms"]["half"], 0.6),
        (results["arms"]["half"]["averaged"], 0.9),
    ):
        reading["membership"]["lira_online"]["auc"]["mean"] = auc
    stored(tmp_path)
    write(tmp_path / "experiments" / "noisy", "results.json", results)
    _, out = invoke("list", "--storage", str(tmp_path))
    assert "AUC of lira_online: 0.900" in out


def test_a_storage_that_is_not_there_is_the_users_fault_and_an_empty_one_none(tmp_path: Path):
    code, out = invoke("list", "--storage", str(tmp_path / "nothing"))
    assert code == 2
    assert "not there; name it with --storage FOLDER" in " ".join(out.split())
    stored(tmp_path / "empty")
    code, out = invoke("list", "--storage", str(tmp_path / "empty"))
    assert (code, "has nothing yet" in out) == (0, True)
