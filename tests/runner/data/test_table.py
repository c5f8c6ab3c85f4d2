"""Your own tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyarrow import csv

from runner.data import to_float
from runner.models import image_shape
from runner.models._layers import Normalize
from tests.made.datasets import RNG, load

NUMBERS = RNG().normal(50, 20, 60)
COLOURS = np.array(["red", "green", "blue"])[RNG().integers(0, 3, 60)]
COLUMNS = {
    "record": [f"00{i}" for i in range(60)],
    "age": NUMBERS,
    "colour": COLOURS,
    "smoker": RNG().integers(0, 2, 60),
    "clinic": [f"c{i // 3}" for i in range(60)],
    "label": [("2", "10", "x")[i % 2] for i in range(60)],
}


def write(file: Path, rows: slice = slice(None), **changed: Any) -> Path:
    whole = {**{k: list(v)[rows] for k, v in COLUMNS.items()}, **changed}
    table = pa.table({k: v for k, v in whole.items() if v is not None})
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    else:
        csv.write_csv(table, file)
    return file


NAMED = {"id": "record", "group": "clinic"}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_network_sees_numbers_standardised_by_the_pool_and_a_column_for_each_category(
    tmp_path: Path, name: str
):
    loaded = load("table", write(tmp_path / name), **NAMED)
    assert loaded.class_names == ("2", "10") if name == "a.csv" else ("10", "2")
    assert {*loaded.pool_ids["group"]}.isdisjoint(loaded.test_ids["group"])
    rows = np.array([int(i) for i in loaded.pool_ids["id"]])
    tests = np.array([int(i) for i in loaded.test_ids["id"]])
    assert all(text.startswith("00") for text in loaded.pool_ids["id"])
    seen = [
        Normalize(image_shape(loaded))(to_float(torch.from_numpy(images)))[:, :, 0, 0].numpy()
        for images in (loaded.pool_images, loaded.test_images)
    ]
    mean, std = NUMBERS[rows].mean(), NUMBERS[rows].std()
    for found, some in zip(seen, (rows, tests), strict=True):
        expected = [(NUMBERS[some] - mean) / std]
        expected += [COLOURS[some] == colour for colour in ("blue", "green", "red")]
        expected += [np.array(COLUMNS["smoker"])[some]]
        assert found == pytest.approx(np.stack(expected, axis=1).astype(float), abs=1e-5)
    assert "a table of 2 columns of numbers and 1 of categories: 5 inputs" in loaded.remarks


def test_a_category_of_the_test_split_alone_is_shown_to_no_model(tmp_path: Path):
    write(tmp_path / "train.csv", slice(0, 40))
    write(tmp_path / "test.csv", slice(40, 60), colour=["pink"] * 20)
    loaded = load("table", tmp_path, ignore=["record", "clinic"])
    assert not loaded.test_images[:, 1:4].any()
    assert any("20 rows of the test split have a category" in told for told in loaded.remarks)
    assert loaded.test_ids["split"][0] == "test"


@pytest.mark.parametrize(
    ("changed", "fields", "said"),
    [
        ({"age": [None, *NUMBERS[1:]]}, {}, "1 values of age are missing.*in row 0; fill them"),
        ({"label": None}, {}, "which of them is the class"),
        ({}, {"label": "sick"}, "no column 'sick'"),
        ({}, {"ignore": ["size"]}, "data.ignore: .* no column 'size'"),
        ({"record": ["a", "a", *map(str, range(58))]}, {"id": "record"}, "a stand there more"),
        ({"clinic": ["a", "b"] * 30}, {"group": "clinic"}, "2 groups"),
        ({"clinic": ["", *["a", "b"] * 29, "c"]}, {"group": "clinic"}, "values of clinic are miss"),
        ({"age": [1.5] * 60}, {"ignore": ["record", "colour", "smoker", "clinic"]}, "are the same"),
        ({"age": pa.array(range(60), pa.int32()).cast(pa.date32())}, {}, "age is date32"),
        ({"label": [1.5, 2.5] * 30}, {}, None),  # text, of two classes
        ({"label": ["a"] * 60}, {}, "two classes or more"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(
    tmp_path: Path, changed: dict[str, Any], fields: dict[str, object], said: str | None
):
    file = write(tmp_path / "a.csv", **changed)
    if said is None:
        assert load("table", file).num_classes == 2
        return
    with pytest.raises(ValueError, match=said):
        load("table", file, **fields)


def test_a_table_without_names_of_columns_or_with_other_marks_is_read(tmp_path: Path):
    rows = RNG().integers(0, 2, (50, 4))
    file = tmp_path / "purchase.csv"
    np.savetxt(file, rows, fmt="%d", delimiter=";")
    with pytest.raises(ValueError, match=r"the first line of .* has numbers .*data.header: false"):
        load("table", file)
    loaded = load("table", file, header=False, label="0", test_fraction=0)
    assert np.array_equal(loaded.pool_images[:, :, 0, 0], rows[:, 1:])
    assert np.array_equal(loaded.pool_labels, rows[:, 0])
    assert (loaded.mean, loaded.std) == ((0.0,) * 3, (1.0,) * 3)
    again = load("table", file, header=False, label="0", test_fraction=0, categories=["1"])
    assert again.pool_images.shape == (50, 4, 1, 1)


def test_row_numbers_of_pandas_are_shown_to_no_model_and_two_columns_may_be_no_class(
    tmp_path: Path,
):
    file = tmp_path / "a.csv"
    lines = [f"{i}, {i * i % 7}, {'yes' if i % 2 else ' no '}" for i in range(40)]
    file.write_text("\n".join([", age, target", *lines]) + "\n")
    loaded = load("table", file)
    assert loaded.pool_images.shape[1] == 1
    assert loaded.class_names == ("no", "yes")
    file.write_text("\n".join(["y, age, target", *lines]) + "\n")
    with pytest.raises(ValueError, match="the columns target, y: which of them is the class"):
        load("table", file)
