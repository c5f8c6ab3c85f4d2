import numpy as np
import pytest

from runner.audit._packed import packed


@pytest.mark.parametrize("num_examples", [1, 8, 203, 8192 + 37])
def test_a_packed_matrix_is_what_it_was_by_row_and_by_columns(num_examples: int):
    member = np.random.default_rng(0).integers(-1, 2, (6, num_examples)).astype(np.int8)
    found = packed(member)
    for model, row in enumerate(member):
        np.testing.assert_array_equal(found.row(model), row)
    for start in range(0, num_examples, 4096):
        stop = min(start + 4096, num_examples)
        columns = found.columns(start, stop)
        assert columns.dtype == np.int8
        np.testing.assert_array_equal(columns, member[:, start:stop])
    assert found.inside.nbytes + found.judged.nbytes <= 6 * 2 * (num_examples // 8 + 1)
