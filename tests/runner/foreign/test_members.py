from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.faults import BadAnswers
from runner.foreign.members import check_member, partners, read_member, redrawn
from runner.storage.scores import members_to_bytes
from tests.made.given import M, N, member_of


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
        ("a.txt", b"", r"ends on \.txt; give one of \.npy, \.npz, \.csv, \.parquet"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"\x80\x04K\x01.", "pickled files can run code"),
        ("a.csv", b"1,0\n1,x\n", "cannot be read"),
        ("a.csv", b"1,0\n1\n", "cannot be read"),
        ("a.csv", b"model,image\n1,0\n", "cannot be read"),
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


def changed(**rows: Any) -> np.ndarray:
    """The matrix with some rows replaced, by `row<m>`."""
    member = member_of()
    for name, row in rows.items():
        member[int(name[3:])] = row
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
    member[1, 0] = -1  # judged on one example fewer: no mirror any more
    assert partners(member)[:2].tolist() == [0, 1]
    assert partners(member)[2:].tolist() == [3, 2, 5, 4, 7, 6]
    alone = np.random.default_rng(0).integers(0, 2, (5, N)).astype(np.int8)
    assert partners(alone).tolist() == list(range(5))


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
