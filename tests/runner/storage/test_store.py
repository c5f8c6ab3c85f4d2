from pathlib import Path

import pytest

from runner.storage import store
from runner.storage.store import Corrupt, StorageError, Store


def finished(folder: Path) -> Path:
    store.write(folder / "a.bin", b"12345")
    store.finish(folder, ["a.bin"], {"accuracy": 0.5})
    return folder


def test_a_folder_is_finished_only_when_marked(tmp_path: Path):
    store.write(tmp_path / "x" / "a.bin", b"12345")
    assert store.facts(tmp_path / "x") is None
    assert store.facts(finished(tmp_path / "x")) == {"accuracy": 0.5}
    assert store.read(tmp_path / "x", "a.bin") == b"12345"


def test_writing_leaves_nothing_aside_and_replaces_whole(tmp_path: Path):
    store.write(tmp_path / "a", b"old and long")
    store.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path):
    store.write(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        store.write(tmp_path / "a", "no bytes")  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("harm", ["truncated", "gone", "mark"])
def test_a_finished_folder_that_was_harmed_is_corrupt_and_says_which_file(
    tmp_path: Path, harm: str
):
    folder = finished(tmp_path / "x")
    if harm == "truncated":
        (folder / "a.bin").write_bytes(b"123")
    elif harm == "gone":
        (folder / "a.bin").unlink()
    else:
        (folder / "DONE").write_bytes(b"{")
    with pytest.raises(Corrupt, match="DONE" if harm == "mark" else r"a\.bin"):
        store.facts(folder)


def test_a_flipped_byte_is_found_when_the_file_is_read(tmp_path: Path):
    folder = finished(tmp_path / "x")
    (folder / "a.bin").write_bytes(b"12346")
    assert store.facts(folder)
    with pytest.raises(Corrupt, match="checksum"):
        store.read(folder, "a.bin")


def test_setting_aside_renames_the_folder_and_loses_nothing(tmp_path: Path):
    for n in (1, 2):
        folder = finished(tmp_path / "x")
        aside = store.set_aside(folder / "a.bin")
        assert aside is not None
        assert aside == tmp_path / f"x.corrupt-{n}"
        assert (aside / "a.bin").read_bytes() == b"12345"
        assert not folder.exists()


def test_a_file_deep_in_a_finished_folder_takes_the_whole_folder_along(tmp_path: Path):
    folder = finished(tmp_path / "x")
    store.write(folder / "deep" / "er" / "b.bin", b"1")
    assert store.set_aside(folder / "deep" / "er" / "b.bin") == tmp_path / "x.corrupt-1"


def test_a_storage_folder_that_cannot_be_written_is_refused_with_the_way_out(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="--storage"):
        Store(tmp_path / "file").check_writable()
    Store(tmp_path / "new").check_writable()
    assert [p for p in (tmp_path / "new").rglob("*") if p.is_file()] == []


def test_a_sealed_file_is_read_back_or_corrupt(tmp_path: Path):
    store.write_sealed(tmp_path / "a", b"12345")
    assert store.read_sealed(tmp_path / "a") == b"12345"
    sealed = (tmp_path / "a").read_bytes()
    for harmed in (sealed[:-1], sealed[:-1] + b"6", b"", sealed[:10]):
        (tmp_path / "a").write_bytes(harmed)
        with pytest.raises(Corrupt, match="checksum"):
            store.read_sealed(tmp_path / "a")


def test_files_can_be_read_by_those_who_share_the_storage(tmp_path: Path):
    store.write(tmp_path / "a", b"1")
    (tmp_path / "b").write_bytes(b"1")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_folder_that_others_have_set_aside_takes_nothing_else_with_it(tmp_path: Path):
    """Two who share a Run find the same broken answers; the second one finds them gone."""
    at = Store(tmp_path)
    at.check_writable()
    model, answers = at.run("erm-m000-0"), at.answers("erm-m000-0", "views1-0")
    for folder, name in ((model, "model.safetensors"), (answers, "answers.parquet")):
        store.write(folder / name, b"content")
        store.finish(folder, [name], {})
    broken = answers / "answers.parquet"
    assert store.set_aside(broken) == answers.with_name("views1-0.corrupt-1")
    assert store.set_aside(broken) is None
    store.write(broken, b"being made again")
    assert store.set_aside(broken) is None
    assert store.facts(model) is not None
    assert store.set_aside(model / "model.safetensors") == model.with_name("erm-m000-0.corrupt-1")
