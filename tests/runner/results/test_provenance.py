"""Where results come from, without names of people and machines."""

import json
import platform
from pathlib import Path

import pytest

from runner.driver import driver
from runner.results.provenance import devices_of, made_by, without_hosts, without_places
from tests.made.half_done import told


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("/data/hospital/ward/images.npz", ".../images.npz"),
        ("data.root=/data/ward/images.npz", "data.root=.../images.npz"),
        ("~/ward/images.npz", ".../images.npz"),
        (f"{Path.home()}", "~"),
        (f"{Path.home()}/a/b.yaml", ".../b.yaml"),
        ("file:///data/ward/a.npz", ".../a.npz"),
        ("read /data/ward/a.npz, and /data/ward/b.npz", "read .../a.npz, and .../b.npz"),
        ("configs/quickstart.yaml", "configs/quickstart.yaml"),
        ("eps 8/255", "eps 8/255"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("1 / 2", "1 / 2"),
    ],
)
def test_a_path_is_told_by_its_last_name(given: str, left: str):
    assert without_places(given) == left
    assert without_places({"a": [given, 1, None]}) == {"a": [left, 1, None]}


def test_machines_are_not_named_and_the_driver_tells_how_long_it_took(tmp_path: Path):
    told(tmp_path, None, ended=0, since="2001-09-09T01:36:40+00:00", host="ward-7")
    known = driver.read(tmp_path / driver.FILE)
    assert known is not None
    found = made_by(tmp_path)
    assert found["machine"].keys() == {"system", "architecture", "processors", "memory_gib"}
    assert found["duration_s"] == 600
    assert made_by(tmp_path / "nothing")["duration_s"] is None
    events = [
        {"at": "", "text": "process 7 on ward-3.lan, begun at 1, was stopped"},
        {"at": "", "text": f"ward-7 and 10.0.0.17 and {platform.node() or 'x'} were lost"},
    ]
    left = json.dumps(without_hosts(events, tmp_path))
    assert "ward" not in left
    assert "10.0.0.17" not in left
    assert "process 7, begun at 1, was stopped" in left


def test_devices_are_counted_and_their_seconds_added():
    facts = [{"device": "A", "train_time_s": 1.5}, {"device": "A", "train_time_s": 2.0}, None]
    assert devices_of(facts) == {
        "devices": [{"name": "A", "num_models": 2}],
        "training_s": 3.5,
    }
    assert devices_of([]) == {"devices": [], "training_s": None}
