"""Files of answers that cannot be read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.faults import BadAnswers
from tests.made.given import convert


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("b.npz", b"", "cannot be read"),
        ("b.npz", b"\x80\x04K\x01.", "pickled files can run code"),
        ("b.npz", b"PK\x03\x04", "cannot be read"),
        ("b.parquet", b"", "cannot be read"),
        ("b.parquet", b"PAR1 and then nothing PAR1", "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAnswers, match=reason):
        convert(tmp_path, tmp_path / "to")


def test_a_parquet_file_with_ragged_or_missing_logits_is_refused(tmp_path: Path):
    for rows, reason in (
        ([[1.0, 2.0], [3.0]], r"differ in length: \[1, 2\]"),
        ([[1.0, 2.0], None], "1 values of logits are missing"),
        ([[1.0, 2.0], [3.0, None]], "1 values of logits are missing"),
    ):
        table = pa.table({"label": [0, 1], "logits": pa.array(rows)})
        pq.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(BadAnswers, match=reason):
            convert(tmp_path, tmp_path / "to", 2)
