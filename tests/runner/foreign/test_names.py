"""Examples of given answers are called as their files call them, else by their rows."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from runner.storage.hashed_ids import hashes, key_of

M, N = 8, 60


def write(folder: Path, ending: str = "npz", **of_file: Any) -> None:
    """Eight models' answers to 60 examples; `of_file` are more columns, by a function of m."""
    random = np.random.default_rng(0)
    (folder / "answers").mkdir(parents=True)
    half = random.permuted(np.tile(np.arange(N) % 2, (M // 2, 1)), axis=1)
    member = np.stack([half, 1 - half], axis=1).reshape(M, N).astype(np.int8)
    np.save(folder / "member.npy", member)
    labels = np.arange(N) % 3
    for m, row in enumerate(member):
        logits = random.normal(size=(N, 3)).astype(np.float32)
        logits[np.arange(N), labels] += 2 * row
        more = {name: of(m) for name, of in of_file.items()}
        file = folder / "answers" / f"model_{m:03d}.{ending}"
        if ending == "npz":
            np.savez(file, labels=labels, logits=logits, **more)
        else:
            columns = {"label": labels, "logits": list(logits), **more}
            pq.write_table(pa.table({k: pa.array(v) for k, v in columns.items()}), file)


def audited(folder: Path, *more: str) -> tuple[int, str]:
    where = ["--answers", str(folder / "answers"), "--member", str(folder / "member.npy")]
    result = CliRunner().invoke(
        app, ["audit", *where, "--storage", str(folder / "storage"), "--no-ray", *more]
    )
    return result.exit_code, result.output


def rows_of(folder: Path) -> list[dict[str, str]]:
    report = folder / "storage" / "audits" / "given" / "report"
    return list(csv.DictReader((report / "examples.csv").read_text().splitlines()))


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_ids_and_groups_of_the_files_are_those_of_the_report(tmp_path: Path, ending: str):
    names, patients = np.array([f"slide-{n:02d}" for n in range(N)]), np.arange(N) // 4
    write(tmp_path, ending, id=lambda m: names[::-1], group=lambda m: patients)
    code, said = audited(tmp_path)
    assert code == 0, said
    rows = rows_of(tmp_path)
    assert list(rows[0])[:4] == ["id", "group", "place_in_pool", "label"]
    assert [row["id"] for row in rows] == names[::-1].tolist()
    assert [int(row["group"]) for row in rows] == patients.tolist()
    results = json.loads((tmp_path / "storage/audits/given/results.json").read_text())
    for one in results["arms"]["models"]["vulnerable"]["top"]:
        assert one["source"]["id"] == names[::-1][one["example"]]
    assert not any("not read: id" in text for text in results["warnings"])


@pytest.mark.slow
def test_hashed_ids_leave_no_name_in_the_results_or_in_any_file_of_the_report(tmp_path: Path):
    names, patients = np.array([f"zq-{n:02d}-zq" for n in range(N)]), np.arange(N) // 4
    write(tmp_path, id=lambda m: names, group=lambda m: patients)
    code, said = audited(tmp_path, "--set", "report.ids=hashed")
    assert code == 0, said
    folder = tmp_path / "storage" / "audits" / "given"
    hashed = hashes(key_of(folder), N)
    assert sorted(row["id"] for row in rows_of(tmp_path)) == sorted(hashed.tolist())
    assert not {"group", "place_in_pool"} & set(rows_of(tmp_path)[0])
    results = (folder / "results.json").read_bytes()
    (top, *_) = json.loads(results)["arms"]["models"]["vulnerable"]["top"]
    assert top["example"] == top["source"]["id"] in set(hashed)
    for content in (results, *(path.read_bytes() for path in (folder / "report").iterdir())):
        assert b"zq-" not in content
        assert b"patient" not in content
    code, said = audited(tmp_path, "--set", "report.ids=salted")
    assert (code, "plain" in said) == (2, True)


@pytest.mark.slow
def test_without_ids_examples_are_rows_of_the_files(tmp_path: Path):
    write(tmp_path)
    assert audited(tmp_path)[0] == 0
    assert [int(row["source_row"]) for row in rows_of(tmp_path)] == list(range(N))


@pytest.mark.parametrize(
    ("of_file", "said"),
    [
        (lambda m: np.roll(np.arange(N), m == 3), "id 59 in row 0 is 0 in"),
        (lambda m: np.arange(N) // 2, "an id is there twice"),
        (lambda m: np.arange(N - 1), r"id should be (60,) whole numbers or text"),
        (lambda m: np.arange(N) / 7, r"id should be (60,) whole numbers or text"),
    ],
)
def test_ids_that_name_nobody_or_differ_are_refused(tmp_path: Path, of_file: Any, said: str):
    write(tmp_path, id=of_file)
    code, told = audited(tmp_path)
    assert code == 2
    assert said in " ".join(told.split())
    assert not (tmp_path / "storage").exists()
