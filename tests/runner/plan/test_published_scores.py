from pathlib import Path

import numpy as np
import pytest

from runner.plan.published_scores import check_file, read_file
from tests.made.datasets import load
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


@pytest.mark.parametrize(("pool", "fraction"), [("train", 0.3), ("train+test", 0.0)])
@pytest.mark.parametrize("own_test", [False, True])
def test_a_score_is_that_of_its_row_wherever_the_pool_has_it(
    tmp_path: Path, pool: str, fraction: float, own_test: bool
):
    """A test split that is drawn out of the file moves everybody behind it to another place."""
    images = np.arange(40 * 16, dtype=np.int64).reshape(40, 4, 4).astype(np.uint8)
    arrays = {"images": images, "labels": np.arange(40) % 2}
    if own_test:
        arrays |= {"test_images": images[:10] + np.uint8(1), "test_labels": np.arange(10) % 2}
    np.savez(tmp_path / "my.npz", **arrays)  # pyright: ignore[reportArgumentType]
    loaded = load("npz", tmp_path / "my.npz", pool=pool, test_fraction=fraction)
    num = 50 if own_test and pool == "train+test" else 40
    score = np.linspace(-1, 1, num)
    labels = np.append(arrays["labels"], np.arange(10) % 2)[:num]
    found = read_file(published(tmp_path / "mem.npz", score, labels), loaded).score
    rows = loaded.pool_ids["source_row"] + 40 * (loaded.pool_ids["array"] == "test_images")
    assert np.array_equal(found, score[rows])
    with pytest.raises(ValueError, match=f"it has scores of {num + 1} examples, and the .* {num}"):
        read_file(published(tmp_path / "long.npz", np.zeros(num + 1)), loaded)


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
