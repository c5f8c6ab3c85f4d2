"""Arrays on their way home from a task, and files that are opened again."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from runner.storage.parquet import EXAMPLE, array_of, arrays_table, numbers, opened, to_bytes


def test_arrays_of_a_task_come_back_with_their_type_and_shape():
    sent = {
        "count": np.array(3),
        "none": np.empty((0, 5)),
        "curve": np.arange(6, dtype=np.float32).reshape(2, 3),
    }
    rows = arrays_table(7, 2, sent).to_pylist()
    assert {(row["task"], row["part"]) for row in rows} == {(7, 2)}
    for row in rows:
        found = array_of(row)
        assert (found.dtype, found.shape) == (sent[row["name"]].dtype, sent[row["name"]].shape)
        np.testing.assert_array_equal(found, sent[row["name"]])


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path):
    path = tmp_path / "some.parquet"
    for count in (3, 9000, 3):
        rows = pa.table({"example": pa.array(np.arange(count, dtype=np.int32))})
        path.write_bytes(to_bytes(rows))
        for _ in range(2):
            with opened(str(path), EXAMPLE) as file:
                assert np.array_equal(numbers(file.read(), "example"), np.arange(count))
