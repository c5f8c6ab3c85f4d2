"""Ids of examples as keyed hashes."""

import csv
import io
from pathlib import Path

import numpy as np

from runner.audit.vulnerable import AtRisk, examples_file
from runner.storage.hashed_ids import hashes, key_of, renamed


def test_the_key_is_drawn_once_for_each_experiment(tmp_path: Path):
    first = key_of(tmp_path / "one")
    assert key_of(tmp_path / "one") == first
    assert key_of(tmp_path / "two") != first
    assert len(first) == 32


def test_a_hash_hangs_on_the_key_and_the_place_alone():
    one = hashes(b"a key", 1000)
    assert len(set(one.tolist())) == 1000
    assert {len(name) for name in one.tolist()} == {16}
    assert list(hashes(b"a key", 10)) == list(one[:10])
    assert not set(hashes(b"another", 1000).tolist()) & set(one.tolist())


def test_neither_ids_nor_places_nor_their_order_are_left():
    names, counts = hashes(b"a key", 3), np.arange(3, dtype=np.int32)
    ids = {"source_file": np.array(["a.png", "b.png", "c.png"])}
    some = AtRisk(*[counts.astype(float) for _ in range(2)], *[counts] * (len(AtRisk._fields) - 2))
    file = examples_file(counts + 5, {"erm": some}, ids, names)["examples.csv"]
    assert file is not None
    rows = list(csv.DictReader(io.StringIO(file.decode())))
    assert list(rows[0])[:2] == ["id", "label"]
    assert [row["id"] for row in rows] == sorted(names.tolist())
    of = {row["id"]: row["label"] for row in rows}
    assert [of[name] for name in names.tolist()] == ["5", "6", "7"]
    assert b".png" not in file
    assert b"place" not in file
    top = {"erm": {"top": [{"example": 1, "source": {"file": "b.png"}, "label": 6}]}}
    hashed = {"example": names[1], "source": {"id": names[1]}, "label": 6}
    assert renamed(top, names) == {"erm": {"top": [hashed]}}
