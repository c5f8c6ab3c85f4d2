"""What was judged is as it was written, or corrupt."""

from pathlib import Path

import pytest

from runner.audit.judge import judge
from runner.audit.judged import read_judged
from runner.storage import store
from runner.storage.store import Corrupt
from tests.made.judged import REAL, judging


def test_a_flipped_bit_in_what_was_judged_is_corrupt_and_its_folder_is_set_aside(tmp_path: Path):
    folder = judge(judging(tmp_path), in_ray=False)
    file = next(folder.rglob("*member.npz"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    store.write(file, bytes(content))
    with pytest.raises(Corrupt) as corrupt:
        read_judged(folder, REAL)
    assert store.set_aside(Path(corrupt.value.path)) == folder.with_name(f"{folder.name}.corrupt-1")
