import os
from pathlib import Path

import pytest

from runner.faults import BadAnswers
from runner.foreign.converting import place_of
from runner.foreign.listing import ONLY_ARM, as_models, listed, locate


def touch(folder: Path, *names: str) -> Path:
    """Make empty files, and the folders that they lie in."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return folder


def names(folder: str, member: str = "member.npy") -> dict[str, list[str]]:
    return {
        arm: [given.place.path.rpartition("/")[2] for given in of_arm]
        for arm, of_arm in listed(folder, member).items()
    }


def test_files_in_one_folder_are_one_arm_sorted_by_name_without_what_is_no_answers(tmp_path: Path):
    folder = touch(tmp_path, "b.npz", "a.parquet", "notes.txt", "_c.npz", ".d.npz", "logs/x.txt")
    touch(tmp_path, "member.parquet")
    assert names(str(folder), str(folder / "member.parquet")) == {ONLY_ARM: ["a.parquet", "b.npz"]}
    uri = f"file://{folder}"
    assert names(uri, f"{uri}/member.parquet") == {ONLY_ARM: ["a.parquet", "b.npz"]}


def test_sub_folders_with_answers_are_arms_sorted_by_name(tmp_path: Path):
    folder = touch(tmp_path, "t/m0.npz", "t/m1.npz", "a/x.npz", "a/y.npz", "logs/x.txt")
    assert names(str(folder)) == {"a": ["x.npz", "y.npz"], "t": ["m0.npz", "m1.npz"]}
    assert listed(str(folder), "m")["a"][1].told == f"{folder}/a/y.npz"


def test_a_file_is_known_by_its_size_and_its_time(tmp_path: Path):
    folder = touch(tmp_path, "a.npz")
    os.utime(folder / "a.npz", ns=(0, 5_000_000_000))
    (given,) = listed(str(folder), "m")[ONLY_ARM]
    assert (given.size, given.modified) == (5, 5_000_000_000)


def test_a_file_written_anew_with_the_size_and_the_time_that_it_had_is_another(tmp_path: Path):
    folder = touch(tmp_path, "a.npz", "b.npz")
    before = listed(str(folder), "m")[ONLY_ARM]
    time = (folder / "a.npz").stat().st_mtime_ns
    (folder / "a.npz").write_text("other")
    os.utime(folder / "a.npz", ns=(time, time))
    after = listed(str(folder), "m")[ONLY_ARM]
    assert (after[0].size, after[0].modified) == (before[0].size, before[0].modified)
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)
    places = [place_of(tmp_path, "a", 0, of[0]) for of in (before, after)]
    assert places[0] != places[1]


def test_names_of_one_length_such_as_hashes_are_in_the_order_of_their_letters(tmp_path: Path):
    hashes = ["0a10f3.npz", "0a9bc2.NPZ", "9f0012.npz", "10bbcc.npz"]
    assert names(str(touch(tmp_path, *hashes)))[ONLY_ARM] == sorted(hashes)


def test_folders_of_a_file_each_are_models_called_as_the_folders_are(tmp_path: Path):
    touch(tmp_path, "b/logits.npz", "a/logits.npz")
    arms = listed(str(tmp_path), "member.npy")
    assert [given.name for given in as_models(arms, "x")[ONLY_ARM]] == ["a", "b"]
    with pytest.raises(BadAnswers, match=r"makes 10 row 0.*leading zeros"):
        as_models({"10": arms["a"], "9": arms["b"]}, "x")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ((), r"no \.parquet or \.npz file in it"),
        (("x.npy",), r"no \.parquet or \.npz file in it"),
        (("a.npz", "b/a.npz"), r"answers lie in it \(a\.npz\) and in sub-folders \(b\)"),
        (("a/m0.npz", "a/m1.npz", "b/m0.npz"), "2 files in a and 1 in b"),
        (
            ("a/x.npz", "a/y.npz", "b/m0.npz", "b/m1.npz", "c/m0.npz", "c/m2.npz"),
            "m1 is in b and not in c, m2 in c and not in b",
        ),
        (("a.npz", "a.parquet"), "a is there twice"),
        (("Erm/m0.npz", "erm/m0.npz"), "Erm and erm are called alike but for case"),
        (("m9.npz", "m10.npz"), r"makes m10\.npz row 0.*leading zeros"),
    ],
)
def test_a_folder_whose_files_are_no_models_in_order_is_refused(
    tmp_path: Path, files: tuple[str, ...], reason: str
):
    with pytest.raises(BadAnswers, match=reason):
        listed(str(touch(tmp_path, *files)), "member.npy")


def test_a_place_that_is_not_there_or_no_uri_is_refused_without_the_secret_in_it(tmp_path: Path):
    with pytest.raises(BadAnswers, match="cannot be listed"):
        listed(str(tmp_path / "none"), "member.npy")
    with pytest.raises(BadAnswers, match="give a local folder or a URI") as refused:
        locate("nonsense://key:secret@bucket/prefix")
    assert "nonsense://bucket/prefix" in str(refused.value)
    assert "secret" not in str(refused.value.what)
