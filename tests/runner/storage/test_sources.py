"""Ids as columns, as one example has them, and as a file that pyarrow alone reads."""

import io

import numpy as np
import pyarrow.parquet as pq

from runner.storage.sources import id_columns, id_of, ids_to_bytes

IDS = {
    "source_row": np.array([7, -1, 0]),
    "file": np.array(["a/b.png", "", "c.png"]),
    "canary": np.array([-1, 0, -1]),
}


def test_what_an_example_has_not_is_null():
    columns = {name: column.to_pylist() for name, column in id_columns(IDS).items()}
    assert columns == {
        "source_row": [7, None, 0],
        "file": ["a/b.png", None, "c.png"],
        "canary": [None, 0, None],
    }
    assert id_of(IDS, 1) == {"canary": 0}
    assert id_of(IDS, 2) == {"source_row": 0, "file": "c.png"}


def test_a_file_leads_from_a_place_to_the_ids():
    table = pq.read_table(io.BytesIO(ids_to_bytes(np.array([4, 5, 6]), IDS)))
    assert table.column_names == ["example", "label", "source_row", "file", "canary"]
    assert table.column("example").to_pylist() == [0, 1, 2]
    assert table.column("source_row").to_pylist() == [7, None, 0]


def test_an_empty_split_and_no_ids_make_a_file_too():
    assert pq.read_table(io.BytesIO(ids_to_bytes(np.empty(0, np.int64), {}))).num_rows == 0
    none = {"source_row": np.empty(0, np.int64), "split": np.empty(0, "<U4")}
    assert pq.read_table(io.BytesIO(ids_to_bytes(np.empty(0, np.int64), none))).num_rows == 0
