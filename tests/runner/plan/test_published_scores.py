from pathlib import Path

import numpy as np
import pytest

from runner.plan.published_scores import check_file, read_file
from tests.made.memorization import DATA, NUM, published, save


def test_a_file_that_fits_gives_its_scores_in_order(tmp_path: Path):
    score = np.linspace(-1, 1, 200, dtype=np.float32)
    file = published(tmp_path / "a.npz", score, DATA.pool_labels[:200])
    check_file(file, DATA)
    found = read_file(file, DATA)
    assert np.array_equal(found.score[:200], score)
    assert np.isnan(found.score[200:]).all()
    assert len(found.score) == NUM
    assert not read_file(published(tmp_path / "b.npz", score), DATA).labels_compared


def test_a_file_of_another_order_is_refused_with_the_first_label_that_differs(tmp_path: Path):
    labels = DATA.pool_labels[:200].copy()
    labels[[7, 9]] = labels[[7, 9]] + 1
    file = published(tmp_path / "mem.npz", np.zeros(200), labels)
    with pytest.raises(ValueError, match=r"2 of its 200 labels .* example 7 is .* another order"):
        check_file(file, DATA)


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"tr_mem": np.zeros(301)}, "301 examples, and the pool has 300"),
        ({"tr_mem": np.zeros((20, 20))}, "should be"),
        ({"tr_mem": np.zeros(20, int)}, "should be"),
        ({"tr_mem": np.full(20, 1.5)}, "differences of rates"),
        ({"tr_mem": np.full(20, np.nan)}, "no number among its 20"),
        ({"mem": np.zeros(20)}, "no tr_mem, but mem"),
        ({"tr_mem": np.zeros(20), "tr_labels": np.zeros(19)}, r"should be \(20,\)"),
        ({"tr_mem": np.array([None] * 20)}, "cannot be read as .npz"),
    ],
)
def test_a_file_that_holds_no_scores_of_the_pool_is_refused(
    arrays: dict[str, np.ndarray], why: str, tmp_path: Path
):
    save(tmp_path / "mem.npz", arrays)
    with pytest.raises(ValueError, match=rf"memorization.file: '.*mem.npz': .*{why}.*; name the"):
        check_file(tmp_path / "mem.npz", DATA)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut short", "npy"])
def test_what_is_no_npz_file_is_refused(content: bytes | str | None, tmp_path: Path):
    path = tmp_path / "mem.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(20))
    with pytest.raises(ValueError, match=r"cannot be read as .npz"):
        check_file(path, DATA)
