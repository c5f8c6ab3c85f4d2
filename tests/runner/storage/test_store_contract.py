"""What the store promises, in a folder and on S3 alike."""

import pickle
from pathlib import Path

import pytest

from runner.storage import store
from runner.storage.cloud import CloudPath, Folder, folder_at
from runner.storage.store import Corrupt, Store


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A storage folder."""
    made = tmp_path / "storage" if request.param == "local" else request.getfixturevalue("s3")
    at = Store(folder_at(made))
    at.check_writable()
    return at.root


def finished(folder: Folder) -> Folder:
    store.write(folder / "a.bin", b"12345")
    store.write(folder / "deep" / "b.bin", b"678")
    store.finish(folder, ["a.bin", "deep/b.bin"], {"accuracy": 0.5})
    return folder


def names(folder: Folder) -> list[str]:
    found = [p for p in folder.rglob("*") if p.is_file()]
    return sorted(str(p.relative_to(folder)) for p in found)  # pyright: ignore[reportArgumentType]


def test_checking_leaves_no_file(root: Folder):
    assert names(root) == []


def test_a_file_is_replaced_whole_and_nothing_is_left_aside(root: Folder):
    store.write(root / "a", b"old and long")
    store.write(root / "a", b"new")
    assert (root / "a").read_bytes() == b"new"
    assert names(root) == ["a"]


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(root: Folder):
    store.write(root / "a", b"old")
    with pytest.raises(TypeError):
        store.write(root / "a", "no bytes")  # pyright: ignore[reportArgumentType]
    assert (root / "a").read_bytes() == b"old"
    assert names(root) == ["a"]


def test_a_large_file_comes_back_as_it_was(root: Folder):
    content = bytes(range(256)) * 65_536  # 16 MiB: several parts of an upload
    store.write(root / "large", content)
    assert (root / "large").read_bytes() == content
    assert (root / "large").stat().st_size == len(content)


def test_a_folder_is_finished_only_when_marked(root: Folder):
    folder = root / "runs" / "x"
    store.write(folder / "a.bin", b"12345")
    assert store.facts(folder) is None
    with pytest.raises(Corrupt, match="DONE"):
        store.read(folder, "a.bin")
    assert store.facts(finished(folder)) == {"accuracy": 0.5}
    assert store.read(folder, "deep/b.bin") == b"678"


@pytest.mark.parametrize("harm", ["truncated", "gone", "mark"])
def test_a_finished_folder_that_was_harmed_is_corrupt_and_says_which_file(root: Folder, harm: str):
    folder = finished(root / "x")
    if harm == "truncated":
        store.write(folder / "deep" / "b.bin", b"67")
    elif harm == "gone":
        (folder / "deep" / "b.bin").unlink()
    else:
        store.write(folder / "DONE", b"{")
    with pytest.raises(Corrupt, match="DONE" if harm == "mark" else r"deep/b\.bin"):
        store.facts(folder)


def test_a_flipped_byte_is_found_when_the_file_is_read(root: Folder):
    folder = finished(root / "x")
    store.write(folder / "a.bin", b"12346")
    assert store.facts(folder)
    with pytest.raises(Corrupt, match="checksum"):
        store.read(folder, "a.bin")


def test_a_sealed_file_is_read_back_or_corrupt(root: Folder):
    store.write_sealed(root / "a", b"12345")
    assert store.read_sealed(root / "a") == b"12345"
    sealed = (root / "a").read_bytes()
    for harmed in (sealed[:-1], sealed[:-1] + b"6", b"", sealed[:10]):
        store.write(root / "a", harmed)
        with pytest.raises(Corrupt, match="checksum"):
            store.read_sealed(root / "a")
    with pytest.raises(FileNotFoundError):
        store.read_sealed(root / "b")


def test_setting_aside_renames_the_folder_and_loses_nothing(root: Folder):
    for n in (1, 2):
        folder = finished(root / "runs" / "x")
        broken = str(folder / "deep" / "b.bin")  # as an error has it
        assert store.set_aside(broken) == root / "runs" / f"x.corrupt-{n}"
        assert names(folder.with_name(f"x.corrupt-{n}")) == ["DONE", "a.bin", "deep/b.bin"]
        assert store.facts(folder) is None
        assert names(folder) == []
        assert store.set_aside(broken) is None


def test_what_others_make_again_is_not_set_aside(root: Folder):
    at = Store(root)
    model, answers = finished(at.run("m0")), finished(at.answers("m0", "views1"))
    assert store.set_aside(answers / "a.bin") == answers.with_name("views1.corrupt-1")
    store.write(answers / "a.bin", b"being made again")
    assert store.set_aside(answers / "a.bin") is None
    assert store.facts(model) == {"accuracy": 0.5}
    assert (answers / "a.bin").read_bytes() == b"being made again"


@pytest.mark.parametrize("copied", range(3))
def test_setting_aside_on_s3_may_stop_anywhere_and_nothing_looks_finished(
    s3: str, copied: int, monkeypatch: pytest.MonkeyPatch
):
    folder, copy, left = finished(folder_at(s3) / "runs" / "x"), CloudPath.copy, [*range(copied)]

    def dying(path: CloudPath, to: CloudPath) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        copy(path, to)

    monkeypatch.setattr(CloudPath, "copy", dying)
    with pytest.raises(KeyboardInterrupt):
        store.set_aside(folder / "a.bin")
    monkeypatch.undo()
    aside = folder.with_name("x.corrupt-1")
    assert (store.facts(folder) is not None) == (copied == 0)
    assert {*names(folder), *names(aside)} == {"DONE", "a.bin", "deep/b.bin"}
    assert store.facts(finished(folder)) == {"accuracy": 0.5}


def test_two_who_set_the_same_folder_aside_lose_nothing(s3: str, monkeypatch: pytest.MonkeyPatch):
    """The second begins when the first has copied a file, and is done before the first goes on."""
    folder, copy, met = finished(folder_at(s3) / "runs" / "x"), CloudPath.copy, []

    def meeting(path: CloudPath, to: CloudPath) -> None:
        copy(path, to)
        if not met:
            met.append(None)
            met[0] = store.set_aside(folder / "a.bin")

    monkeypatch.setattr(CloudPath, "copy", meeting)
    aside = folder.with_name("x.corrupt-1")
    found = store.set_aside(folder / "a.bin")
    everything = sorted(
        content for n in (1, 2) for content in names(folder.with_name(f"x.corrupt-{n}"))
    )
    assert {"DONE", "a.bin", "deep/b.bin"} <= {*everything}
    assert names(folder) == []
    assert store.facts(folder) is None
    assert found in (None, aside)


def test_files_are_moved_removed_and_found_by_pattern(root: Folder):
    for name in ("x/DONE", "x/part-1.bin", "x/part-2.bin", "x/deep/part-3.bin", "y/DONE", "z/a"):
        store.write(root / "runs" / name, name.encode())
    found = sorted(path.parent.name for path in root.glob("runs/*/DONE"))
    assert found == ["x", "y"]
    parts = sorted(path.name for path in (root / "runs" / "x").glob("part-*.bin"))
    assert parts == ["part-1.bin", "part-2.bin"]
    x = root / "runs" / "x"
    store.move(x / "part-1.bin", x / "moved")
    assert (x / "moved").read_bytes() == b"x/part-1.bin"
    assert not (x / "part-1.bin").exists()
    assert x.is_dir()
    store.remove(x)
    store.remove(x)
    assert names(root / "runs") == ["y/DONE", "z/a"]
    assert not (x / "DONE").is_file()
    (x / "DONE").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (x / "DONE").unlink()
    with pytest.raises(FileNotFoundError):
        (x / "DONE").read_bytes()


def test_a_path_is_the_same_after_its_text_and_after_a_journey(root: Folder):
    path = root / "scores" / "arm=a%20b" / "attack=x%2Fy"
    assert folder_at(str(path)) == path
    assert pickle.loads(pickle.dumps(path)) == path
    store.write(path / "a", b"1")
    assert names(root / "scores") == ["arm=a%20b/attack=x%2Fy/a"]
    assert (folder_at(str(path)) / "a").read_bytes() == b"1"
    assert path.parent.parent.name == "scores"
    assert root in path.parents
    assert len({path, folder_at(str(path))}) == 1


def test_local_files_of_others_are_written_with_their_folders(root: Folder, tmp_path: Path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "events").write_bytes(b"1")
    store.write_folder(tmp_path / "from", root / "to")
    assert names(root / "to") == ["deep/events"]
