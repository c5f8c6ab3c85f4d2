"""URIs, what a storage in the cloud says when it does not answer, and uploads that end halfway."""

import os
import pickle
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from runner.storage import cloud, store
from runner.storage.answers import Answered, answers_to_bytes, num_classes, read_answers
from runner.storage.cloud import Away, CloudPath, StorageError, discreet, folder_at
from runner.storage.store import Corrupt, Store
from tests.made.s3 import free_port

WRITER = """
import sys
from runner.storage import store
from runner.storage.cloud import folder_at
store.write(folder_at(sys.argv[1]), bytes(400_000_000))
"""


def test_a_text_is_a_folder_or_a_place_in_the_cloud(tmp_path: Path):
    assert folder_at("results") == Path("results").absolute()
    assert folder_at("~/x") == Path.home() / "x"
    assert folder_at(tmp_path) == tmp_path
    assert folder_at(f"file://{tmp_path}/a%20b") == tmp_path / "a b"
    there = folder_at("s3://bucket/some/prefix/?region=eu-west-1")
    assert str(there / "runs" / "x") == "s3://bucket/some/prefix/runs/x?region=eu-west-1"
    assert there.parent.parent == CloudPath("s3", "bucket", "?region=eu-west-1")
    assert [str(folder_at("s3://b")), folder_at("gs://b/c").name] == ["s3://b", "c"]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://AKIAX:hush@bucket/p", r"s3://bucket/p: .*AWS_ACCESS_KEY_ID.*role"),
        ("s3://AKIAX:hu/sh@bucket/p", r"s3://bucket/p: .*AWS_ACCESS_KEY_ID.*role"),
        ("s3://bucket/p?secret_key=hush", r"option secret_key; .*any of endpoint_override"),
        ("gs://bucket/p?region=hush", r"option region; it is gs://"),
        ("ftp://user:hush@host/p", r"s3://bucket/prefix or gs://bucket/prefix"),
        ("s3:///p?region=x", r"no bucket"),
    ],
)
def test_a_uri_that_is_refused_says_the_way_out_and_gives_no_secret_away(uri: str, told: str):
    with pytest.raises(StorageError, match=told) as refused:
        folder_at(uri)
    assert "AKIAX" not in str(refused.value)
    assert "hush" not in str(refused.value)
    assert "hu/sh" not in str(refused.value)


def test_a_storage_that_does_not_answer_is_away_and_not_damaged(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cloud, "ATTEMPTS", 1)
    uri = f"s3://bucket/runs/x?endpoint_override=127.0.0.1:{free_port()}&scheme=http"
    path = folder_at(uri)
    asked = [
        lambda: store.write(path, b"1"),
        lambda: store.facts(path),
        lambda: store.read_sealed(path),
        lambda: store.set_aside(path),
        lambda: store.remove(path),
        lambda: read_answers(str(path), "label"),
    ]
    for ask in asked:
        with pytest.raises(Away, match="connect") as away:
            ask()
        assert away.value.filename.startswith("s3://bucket/")
    with pytest.raises(StorageError, match=r"s3://bucket/runs/x.*connect.*--storage"):
        Store(path).check_writable()


def test_a_bucket_that_is_not_there_is_refused(s3_server: str):
    with pytest.raises(StorageError, match="NO_SUCH_BUCKET"):
        Store(folder_at(f"s3://nobodys/x{s3_server}")).check_writable()


def test_the_keys_of_the_environment_travel_to_nobody(s3: str):
    at = Store(folder_at(s3))
    at.check_writable()  # the client is there by now
    for told in (str(at.root), repr(at), pickle.dumps(at).decode("latin-1")):
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in told
        assert os.environ["AWS_ACCESS_KEY_ID"] not in told


@pytest.mark.parametrize("harm", ["truncated", "flipped", "empty"])
def test_damage_to_a_table_is_damage_on_s3_too(s3: str, harm: str):
    said = Answered(np.zeros((500, 1)), np.eye(10)[np.arange(500) % 10])
    content = answers_to_bytes(np.arange(500), said, ["identity"])
    path = folder_at(s3) / "answers.parquet"
    store.write(path, content)
    assert read_answers(str(path), "label").tolist() == [*range(500)]
    assert num_classes(str(path)) == 10
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    harmed = {"truncated": content[:-9], "flipped": flipped, "empty": b""}[harm]
    store.write(path, harmed)
    with pytest.raises(Corrupt, match=r"answers\.parquet"):
        read_answers(str(path), "logits")


@pytest.mark.slow
def test_an_upload_whose_writer_is_killed_leaves_what_was_there(s3: str, s3_server: str):
    path = folder_at(s3) / "runs" / "x" / "model.safetensors"
    store.write(path, b"what was there")
    house = Path(__file__).parents[3]
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=house)
    endpoint = s3_server.partition("endpoint_override=")[2].partition("&")[0]
    end = time.monotonic() + 60
    while b"model.safetensors" not in _uploads(endpoint):
        assert writer.poll() is None, "it was written before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.02)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    assert path.read_bytes() == b"what was there"
    assert store.facts(path.parent) is None


def _uploads(endpoint: str) -> bytes:
    """What the server says of uploads that are not complete."""
    with urllib.request.urlopen(f"http://{endpoint}/bucket?uploads") as answer:
        return answer.read()


def test_a_share_that_is_not_mounted_is_not_written_to_and_not_taken_for_unfinished(tmp_path: Path):
    at = Store(tmp_path / "share")
    at.check_writable()
    folder = at.answers("m0", "views1")
    store.write(folder / "a", b"1")
    store.finish(folder, ["a"], {})
    (tmp_path / "share").rename(tmp_path / "away")
    (tmp_path / "share").mkdir()  # the empty mount point
    for ask in (
        lambda: store.write(at.run("m1") / "run.json", b"1"),
        lambda: store.facts(folder),
        lambda: store.read(folder, "a"),
        lambda: store.read_sealed(at.run("m0") / "checkpoint.pt"),
    ):
        with pytest.raises(Away, match="not there; is it mounted") as away:
            ask()
        assert not isinstance(away.value, FileNotFoundError)
        assert away.value.filename == str(tmp_path / "share")
    assert [*(tmp_path / "share").iterdir()] == []
    (tmp_path / "share").rmdir()
    (tmp_path / "away").rename(tmp_path / "share")
    assert store.facts(folder) == {}
    store.write(at.run("m1") / "run.json", b"1")


def test_names_like_the_stores_own_may_stand_anywhere_in_a_path(tmp_path: Path):
    at = Store(tmp_path / "runs" / "storage")
    at.check_writable()
    store.write(at.experiment("sweeps") / "results.json", b"1")
    store.write(tmp_path / "report" / "index.html", b"1")


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("s3://AKIA1:secret@bucket/results", "s3://***@bucket/results"),
        ("--storage=s3://AKIA1:s%2Fecret@bucket", "--storage=s3://***@bucket"),
        ("http://me@host/x?secret_key=abc&a=b", "http://***@host/x?secret_key=***&a=b"),
        ("s3://b/p?session_Token=abc", "s3://b/p?session_Token=***"),
        ("s3://bucket/a@b?endpoint_override=host:9", "s3://bucket/a@b?endpoint_override=host:9"),
        ("training.lr=0.1", "training.lr=0.1"),
        ("configs/quickstart.yaml", "configs/quickstart.yaml"),
    ],
)
def test_only_what_logs_in_is_left_out_of_a_command_line(word: str, written: str):
    assert discreet(["run", word]) == ["run", written]
