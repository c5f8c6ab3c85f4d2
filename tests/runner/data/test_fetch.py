"""Downloads are checked and put in place whole."""

import hashlib
from pathlib import Path

import pytest

from runner.data._fetch import obtain
from tests.made.datasets import data


def fetch(root: Path, urls: list[str], md5: str) -> Path:
    asked = data("digits", root, download=True)
    return obtain(asked, "Peas", "peas.bin", root / "deep" / "peas.bin", urls, md5)


def test_a_download_is_checked_and_put_in_place_whole(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"peas" * 1_000_000)
    md5 = hashlib.md5(source.read_bytes()).hexdigest()
    gone = (tmp_path / "gone").as_uri()
    file = fetch(tmp_path, [gone, source.as_uri()], md5)
    assert file.read_bytes() == source.read_bytes()
    assert list(file.parent.iterdir()) == [file]
    source.unlink()
    assert fetch(tmp_path, [source.as_uri()], md5) == file


def test_a_download_with_another_checksum_is_refused_and_leaves_nothing(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"beans")
    with pytest.raises(ValueError, match=r"no Peas under .*md5 .* put peas.bin there by hand"):
        fetch(tmp_path, [source.as_uri()], "0" * 32)
    assert not list((tmp_path / "deep").iterdir())


def test_a_download_that_finds_nobody_is_an_error_that_says_what_to_do(tmp_path: Path):
    said = r"no Peas under .*download failed \(http://127.0.0.1:9/peas.*: put peas.bin there by"
    with pytest.raises(ValueError, match=said):
        fetch(tmp_path, ["http://127.0.0.1:9/peas.bin"], "0" * 32)
