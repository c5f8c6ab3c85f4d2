"""Arrays on their way home from a task."""

import numpy as np

from runner.storage.parquet import array_of, arrays_table


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
