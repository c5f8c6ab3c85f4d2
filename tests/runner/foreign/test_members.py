from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.faults import BadAnswers
from runner.foreign.members import (
    check_member,
    nearly_partners,
    partners,
    read_member,
    redrawn,
    with_counterparts,
)
from runner.results.checks import count_check
from runner.storage.scores import members_to_bytes
from tests.made.given import M, N, member_of


@pytest.mark.parametrize(
    "text",
    [
        "n0,n1,n2\n1,0,-1\n0,1,1\n",
        "model,n0,n1,n2\nm1,0,1,1\nm0,1,0,-1\n",
        "m1.npz,m0.npz\n0,1\n1,0\n1,-1\n",
        "m0,1,0,-1\nm1,0,1,1\n",
        "model,0,1,2\nm0,1,0,-1\nm1,0,1,1\n",
        '"m0","m1"\n1,0\n0,1\n-1,1\n',
    ],
)
def test_a_csv_may_have_a_header_and_names_of_files_say_whose_row_it_is(tmp_path: Path, text: str):
    (tmp_path / "a.CSV").write_text(text)
    found = read_member(str(tmp_path / "a.CSV"), [["m0", "m1"]])
    np.testing.assert_array_equal(found, [[1, 0, -1], [0, 1, 1]])


def test_a_csv_of_which_some_names_are_no_files_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("m0,x\n1,0\n0,1\n")
    with pytest.raises(BadAnswers, match=r"no file is called x.*no column is called m1"):
        read_member(str(tmp_path / "a.csv"), [["m0", "m1"]])


def test_of_rows_drawn_by_coins_those_in_all_models_or_none_by_chance_may_stay():
    coins = (np.random.default_rng(0).random((6, 400)) < 0.5).astype(np.int8)
    alone = (coins == coins[0]).all(axis=0)
    assert 0 < alone.sum() < 30
    kept, notes = with_counterparts(coins, "member.npy", by_chance=True)
    assert kept is coins
    assert not notes
    coins[:, :60] = 1
    kept, notes = with_counterparts(coins, "member.npy", by_chance=True)
    assert (kept[:, :60] == -1).all()
    assert notes


def test_every_kind_of_file_gives_the_same_matrix(tmp_path: Path):
    member = member_of()
    member[:, 3] = -1
    np.save(tmp_path / "a.npy", member)
    np.savez(tmp_path / "a.npz", member=member.astype(float))
    np.savetxt(tmp_path / "a.csv", member, fmt="%d", delimiter=",")
    (tmp_path / "a.parquet").write_bytes(members_to_bytes(member))
    for ending in ("npy", "npz", "csv", "parquet"):
        found = read_member(str(tmp_path / f"a.{ending}"))
        assert found.dtype == np.int8
        np.testing.assert_array_equal(found, member)
    np.save(tmp_path / "bool.npy", member_of() == 1)
    np.testing.assert_array_equal(read_member(f"file://{tmp_path}/bool.npy"), member_of())
    table = pa.table({f"m{m}": row == 1 for m, row in enumerate(member_of())})
    pq.write_table(table, tmp_path / "bool.parquet")
    np.testing.assert_array_equal(read_member(str(tmp_path / "bool.parquet")), member_of())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", r"ends on \.txt; give a file of the .* \.npy, \.npz, \.csv, \.parquet"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"\x80\x04K\x01.", "pickled files can run code"),
        ("a.csv", b"1,0\n1,x\n", "cannot be read"),
        ("a.csv", b"1,0\n1\n", "cannot be read"),
        ("a.csv", b"model,image\n", "cannot be read"),
        ("a.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused(
    tmp_path: Path, name: str, content: bytes, reason: str
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadAnswers, match=reason):
        read_member(str(tmp_path / name))


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (np.zeros(5), r"shape \(5,\) is no matrix"),
        (np.full((2, 5), 2), "other entries than 1, 0 and -1"),
        (np.full((2, 5), 0.5), "other entries"),
        (np.arange(10).reshape(2, 5), r"row by np\.isin\(np\.arange\(N\), places\)"),
        (np.full((2, 5), np.nan), "other entries"),
        (np.full((2, 5), "1"), "other entries"),
        (np.array([[{}]], object), "pickled files can run code"),
    ],
)
def test_an_array_that_is_no_membership_is_refused(tmp_path: Path, matrix: Any, reason: str):
    np.save(tmp_path / "a.npy", matrix)
    with pytest.raises(BadAnswers, match=reason):
        read_member(str(tmp_path / "a.npy"))


def test_an_npz_without_the_matrix_and_a_missing_file_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", members=member_of())
    with pytest.raises(BadAnswers, match="no array `member`, only members"):
        read_member(str(tmp_path / "a.npz"))
    with pytest.raises(BadAnswers, match=r"none\.npy: it cannot be read"):
        read_member(str(tmp_path / "none.npy"))


def test_a_folder_and_a_name_without_an_ending_are_told_as_what_they_are(tmp_path: Path):
    (tmp_path / "answers.npz").mkdir()
    (tmp_path / "member").write_bytes(b"")
    for name, what in (("answers.npz", "it is a folder"), ("member", "its name has no ending")):
        with pytest.raises(BadAnswers, match=f"{what}; give a file of the member matrix"):
            read_member(str(tmp_path / name))


def test_minus_ones_for_non_members_are_told_what_they_say():
    with pytest.raises(BadAnswers, match=r"row 0 has no non-members; .* non-members are 0"):
        check_member(2 * member_of() - 1, M, "member.npy")


@pytest.mark.parametrize("changed", [1, 3])
def test_rows_that_mirror_each_other_but_for_some_examples_are_partners_and_it_is_said(
    changed: int,
):
    member = member_of(num_examples=200)
    member[0, :changed] = member[1, :changed]
    np.testing.assert_array_equal(partners(member), np.arange(M) ^ 1)
    (said,) = nearly_partners(member)
    assert said.startswith(f"rows of 1 pairs mirror each other but for {changed} examples or fewer")
    assert nearly_partners(member_of(num_examples=200)) == []


def test_rows_that_mirror_each_other_by_half_are_no_partners():
    member = member_of(num_examples=200)
    member[0, :20] = member[1, :20]
    np.testing.assert_array_equal(partners(member), [0, 1, 3, 2, 5, 4, 7, 6])


@pytest.mark.parametrize("ending", ["", ".npz"])
def test_columns_that_are_called_as_files_are_go_with_them_in_any_order(
    tmp_path: Path, ending: str
):
    files = [f"run{m}" for m in range(M)]
    table = {f"{name}{ending}": row for name, row in zip(files, member_of(), strict=True)}
    order = np.random.default_rng(0).permutation(list(table)).tolist()
    pq.write_table(pa.table({name: table[name] for name in order}), tmp_path / "a.parquet")
    arms = [[f"other{m}" for m in range(M)], files]
    np.testing.assert_array_equal(read_member(str(tmp_path / "a.parquet"), arms), member_of())


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["f0", "f1", "g2"], "some columns .* no file is called g2 and no column is called f2"),
        (["f0", "f1", "f2", "index"], "no file is called index"),
        (["f0", "f2"], "no column is called f1"),
        (["f0", "f1", "f2", "f2.npz"], "columns are called alike"),
        (["m0", "m2", "m1"], "column 1 is m2, though by its number m1 is"),
        (["m0", "m1", "m10", "m2"], "column 2 is m10, though by its number m2 is"),
    ],
)
def test_columns_of_which_nobody_can_say_whose_they_are_are_refused(
    tmp_path: Path, names: list[str], reason: str
):
    pq.write_table(pa.table({name: [0, 1] for name in names}), tmp_path / "a.parquet")
    with pytest.raises(BadAnswers, match=reason):
        read_member(str(tmp_path / "a.parquet"), [["f0", "f1", "f2"]])


def test_examples_in_every_model_or_in_none_are_left_out_and_counted():
    member = member_of()
    member[:, :3], member[:, 3:5], member[2, 0], member[:, 6] = 1, 0, -1, -1
    kept, notes = with_counterparts(member, "member.npy")
    np.testing.assert_array_equal(kept[:, :5], -1)
    np.testing.assert_array_equal(kept[:, 5:], member[:, 5:])
    (note,) = notes
    assert "3 of 39 examples are members of every model and 2 of none" in note
    assert partners(kept).tolist() == partners(member_of()).tolist()
    for whole in (member_of(), member[:1]):  # nothing to leave out; one model has no counterparts
        same, nothing = with_counterparts(whole, "member.npy")
        np.testing.assert_array_equal(same, whole)
        assert nothing == []


def test_a_model_that_is_left_without_members_is_refused():
    member = member_of()
    member[:, :4], member[0, 4:] = 1, 0
    with pytest.raises(BadAnswers, match=r"members of every model .* leaves row 0 no members"):
        with_counterparts(member, "member.npy")


def changed(**rows: Any) -> np.ndarray:
    """The matrix with some rows replaced, by `row<m>`."""
    member = member_of()
    for name, row in rows.items():
        member[int(name[3:])] = row
    return member


def but_one(row: np.ndarray) -> np.ndarray:
    """A row that is not judged on its first example."""
    return np.where(np.arange(len(row)) == 0, -1, row)


def half_mirrored() -> np.ndarray:
    """Rows 1 and 2 mirror row 0, each on another half, and share no example."""
    member, first = member_of(), np.arange(N) < N // 2
    member[1, ~first] = -1
    member[2] = np.where(first, -1, 1 - member[0])
    return member


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (member_of().T, r"40 rows for 8 models; it looks like \(N, M\): write its transpose"),
        (member_of()[:6], "6 rows for 8 models; row m is the model of file m"),
        (changed(row2=1), "row 2 has no non-members"),
        (changed(row2=0), "row 2 has no members"),
        (changed(row2=-1), "row 2 has no members"),
        (changed(row5=member_of()[1]), "rows 1 and 5 are the same"),
        (changed(row5=but_one(member_of()[1])), "rows 1 and 5 are the same"),
        (half_mirrored(), "rows 1 and 2 mirror the same row"),
    ],
)
def test_a_matrix_that_does_not_go_with_the_models_is_refused(member: np.ndarray, reason: str):
    with pytest.raises(BadAnswers, match=reason):
        check_member(member, M, "member.npy")


def test_mirrored_rows_are_partners_wherever_they_stand_and_others_have_none():
    member = member_of()
    member[:, 5] = -1
    order = np.array([3, 0, 6, 1, 2, 7, 5, 4])
    found = partners(member[order])
    place = np.argsort(order)
    np.testing.assert_array_equal(found, place[order ^ 1])
    member[1, 0] = -1  # judged on one example fewer, and as much of a mirror on the others
    assert partners(member).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
    member[1, : N // 2 + 2] = -1  # judged together on less than half of what either is
    member[0, N // 2 + 6 :] = -1
    assert partners(member).tolist() == [0, 1, 3, 2, 5, 4, 7, 6]
    alone = np.random.default_rng(0).integers(0, 2, (5, N)).astype(np.int8)
    assert partners(alone).tolist() == list(range(5))


def test_an_example_less_of_one_row_does_not_let_a_mirror_give_its_target_away():
    member = member_of(num_examples=400)
    member[1::2, 0] = -1
    assert count_check(member, partners(member)).verdict == "pass"
    assert count_check(member, np.arange(M)).verdict == "fail"  # were each row alone


def test_the_redrawn_matrix_keeps_pairs_shares_and_columns_and_what_nobody_is_judged_on():
    member = member_of(num_examples=400)
    member[:, :30] = -1
    member[4:, 30:35] = -1
    null = redrawn(member, seed=3)
    np.testing.assert_array_equal(partners(null), partners(member))
    for entry in (-1, 0, 1):
        np.testing.assert_array_equal((null == entry).sum(1), (member == entry).sum(1))
    np.testing.assert_array_equal(null[:, :30], -1)
    assert sorted(map(tuple, null.T)) == sorted(map(tuple, member.T))
    np.testing.assert_array_equal(redrawn(member, seed=3), null)
    assert (redrawn(member, seed=4) != null).any()
    agree = (null == member)[:, 35:].mean(1)
    assert np.all(np.abs(agree - 0.5) < 0.13)  # 365 coins: five standard errors
