"""Where a demonstration can write."""

from pathlib import Path

import pytest

from runner.standalone import output
from runner.standalone.inputs import BadInput
from tests.made.commands import invoke


def test_an_output_folder_that_is_a_file_is_refused_before_anything_is_computed(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    code, printed = invoke("demo", "reversal", "--out", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "--out to be a folder" in printed
    with pytest.raises(BadInput, match="--out"):
        output.check_folder(tmp_path / "file")
