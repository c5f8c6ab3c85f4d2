"""The page for outsiders: figures by arm and class; no example, no small class, no place."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from runner.report.public import FEWEST, PUBLIC, for_public, write_public
from tests.made.commands import invoke
from tests.made.html_page import Page
from tests.made.report import figure, several_results

SECRET = "/data/ward/patient_quux.png"
SIZES = {0: 400, 1: 300, 2: 9}


def classes(sizes: dict[int, int]) -> list[dict[str, Any]]:
    told = {"tpr": figure(0.25), "fpr": figure(0.01), "stands_out": "above"}
    return [{"label": label, "num_examples": n, **told} for label, n in sizes.items()]


def vulnerable(sizes: dict[int, int]) -> dict[str, Any]:
    one = {"example": 417, "source": {"file": SECRET}, "label": 1, "num_in": 8, "flagged_in": 8}
    return {
        "attack": "rmia",
        "false_positive_rate": 0.01,
        "at_least": 0.9,
        "num_models": 16,
        "num_examples": 709,
        "num_vulnerable": 417,
        "by_class": classes(sizes),
        "top": [one],
    }


def planted(value: Any) -> Any:
    """The same with a secret under a key that nobody knows, in every dict that is not empty.

    Not among lines of attacks, of which every one is told.
    """
    if isinstance(value, dict):
        lines = value and all(isinstance(one, str) for one in value.values())
        more = {"of_tomorrow": SECRET} if value and not lines else {}
        return {key: planted(one) for key, one in value.items()} | more
    return [planted(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Results with places and examples wherever results.json may have some."""
    made = several_results()
    for arm in made["arms"].values():
        arm["vulnerable"] = vulnerable(SIZES)
        arm["defense"] = f"mine(weights {SECRET}, beta 6, eps 8/255)"
        arm["recipe"] = {"model": "small_cnn(width 16)", "training": "from ward.lan, lr 0.1"}
        arm["remarks"] = [f"It was read from {SECRET}.", "It is noisy."]
    kept = "robust accuracy is overstated where an attack does not average"
    made |= {
        "description": "Patients of the ward",
        "seed": 41744,
        "warnings": [f"{SECRET} is not as it is published", kept, "patient quux is there twice"],
        "events": [{"at": "2026", "text": "process 7 on ward.lan was lost"}],
        "guards": [{"name": "examples have no twins", "verdict": "fail", "says": f"see {SECRET}"}],
        "memorization": {"bins": [SECRET]},
        "code": {
            "digest": "abc",
            "deciding": [{"stage": "weights", "name": SECRET, "digest": "0"}],
        },
        "provenance": {
            "date": "2026-01-02T03:04:05+00:00",
            "duration_s": 1.0,
            "training_s": 60.0,
            "command": ["run", SECRET],
            "machine": {"host": "ward.lan"},
            "devices": [],
            "config": f"data: {{root: {SECRET}}}",
        },
    }
    versions = made.pop("versions")  # of which names are told as they are
    return planted(made) | {"versions": versions}


@pytest.fixture(scope="module")
def written(results: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_public(results, folder)
    return folder / PUBLIC


def test_no_file_of_it_has_an_example_a_place_or_an_image(written: Path):
    files = [path for path in written.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"index.html", "table.csv", "vulnerable.csv"}
    assert not [path.name for path in files if path.suffix == ".png" or "examples" in path.name]
    for path in files:
        content = path.read_bytes()
        for secret in (b"ward", b"quux", b"atient", b"<img", b"data:image", b"tomorrow"):
            assert secret not in content, (path.name, secret)


def test_figures_by_arm_and_class_are_there_and_small_classes_are_not(written: Path):
    text = " ".join(Page((written / "index.html").read_text()).text.split())
    assert "0.770" in text
    assert "Seednot told to outsiders" in text
    assert "41744" not in text
    assert "mine(weights [left out], beta 6, eps 8/255)" in text
    assert "It is noisy." in text
    assert "A class of fewer than 10 examples is left out, and the next smallest" in text
    assert "failed check: examples have no twins" in text
    assert "2 more of the whole report's warnings" in text
    assert "robust accuracy is overstated" in text
    rows = (written / "vulnerable.csv").read_text().splitlines()[1:]
    assert {row.split(",")[1] for row in rows} == {"0"}, "the small one, and one that tells it"


@pytest.mark.parametrize(
    ("sizes", "left", "told"),
    [
        ({0: 400, 1: 10}, [0, 1], "Nothing is told here of single examples."),
        ({0: 400, 1: 30, 2: 9}, [0], "and the next smallest"),
        ({0: 400, 1: 30, 2: 9, 3: 2}, [0, 1], "2 classes of fewer than 10 examples are left out."),
        ({0: 9}, [], "A class of fewer than 10"),
    ],
)
def test_a_single_small_class_does_not_follow_from_the_others(
    sizes: dict[int, int], left: list[int], told: str
):
    results = several_results()
    results["arms"]["erm"]["vulnerable"] = vulnerable(sizes)
    before = copy.deepcopy(results)
    found = for_public(results)["arms"]["erm"]["vulnerable"]
    assert [one["label"] for one in found["by_class"]] == left
    assert told in found["withheld"]
    assert all(one["num_examples"] >= FEWEST for one in found["by_class"])
    assert results == before


def test_the_command_writes_it_from_what_is_stored_and_says_what_is_wrong(tmp_path: Path):
    for room in ("runs", "experiments", "audits", "sweeps"):
        (tmp_path / room).mkdir()
    folder = tmp_path / "audits" / "given"
    folder.mkdir()
    code, out = invoke("report", "givn", "--public", "--storage", str(tmp_path))
    assert code == 2
    (folder / "results.json").write_text(json.dumps(several_results()))
    code, out = invoke("report", "givn", "--public", "--storage", str(tmp_path))
    assert (code, "did you mean 'given'?" in " ".join(out.split())) == (2, True)
    asked = ("report", "given", "--public", "--storage", str(tmp_path), "--set", "seed=1")
    code, out = invoke(*asked)
    assert (code, "--set changes no results" in " ".join(out.split())) == (2, True)
    assert not (folder / "report").exists()
    code, out = invoke(*asked[:5])
    assert code == 0, out
    assert (folder / "report" / "public" / "index.html").is_file()
