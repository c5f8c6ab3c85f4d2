"""Which files hold the data set they are named after: by bytes, by class means, or not at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from runner.data._published import ALL, CIFAR10, CIFAR100, FASHION_MNIST, MNIST, Published, has_md5
from runner.data.cifar import VERSIONS
from tests.made.datasets import RNG, idx, like, load, write_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def write_images(
    root: Path,
    known: Published,
    num: int = 600,
    change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Path:
    """A training and a test split as bright as a published set, in the format of its name."""
    rng = RNG()
    for split in ("train", "t10k"):
        labels = rng.permutation(np.arange(num) % 10).astype(np.uint8)
        images = like(known, labels, rng)
        images, labels = change(images, labels) if change else (images, labels)
        if known.shape[0] == 1:
            (root / f"{split}-images-idx3-ubyte").write_bytes(idx(images[:, 0]))
            (root / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
        else:
            folder = root / "cifar-10-batches-bin"
            folder.mkdir(exist_ok=True)
            records = np.concatenate([labels[:, None], images.reshape(len(images), -1)], axis=1)
            names = [f"data_batch_{i}.bin" for i in range(1, 6)]
            for name in names if split == "train" else ["test_batch.bin"]:
                (folder / name).write_bytes(records.tobytes())
    return root


@pytest.mark.parametrize("known", [MNIST, FASHION_MNIST, CIFAR10])
def test_a_part_or_a_variant_of_a_set_is_read_and_said_not_to_be_published(
    tmp_path: Path, known: Published
):
    loaded = load(known.name, write_images(tmp_path, known))
    assert not loaded.published
    assert f"does not hold {known.title} as it is published" in loaded.remarks[0]
    assert "in place of" in loaded.remarks[0]


@pytest.mark.parametrize("num", [60, 600])
@pytest.mark.parametrize(("named", "held"), [(MNIST, FASHION_MNIST), (FASHION_MNIST, MNIST)])
def test_one_set_under_the_name_of_another_is_refused(
    tmp_path: Path, named: Published, held: Published, num: int
):
    said = f"is not {named.title}: a mean of .* where {named.title} has"
    if num == 600:
        said += f".*they are like those of {held.title}: data.name: {held.name}"
    with pytest.raises(ValueError, match=f"{said}.*own are read by data.name: npz"):
        load(named.name, write_images(tmp_path, held, num))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("size", [(27, 31), (28, 29), (32, 32), (14, 56)])
def test_images_of_another_size_are_refused(tmp_path: Path, name: str, size: tuple[int, int]):
    write_idx(tmp_path, zipped=False)
    for split, num in (("train", 12), ("t10k", 5)):
        images = RNG().integers(0, 90, (num, *size), dtype=np.uint8)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
    said = f"images of {size[0]}x{size[1]} pixels, where .*MNIST has 28x28"
    with pytest.raises(ValueError, match=said):
        load(name, tmp_path)


CHANGES = {
    "labels of other images": lambda x, y: (x, y[::-1].copy()),
    "labels moved by one": lambda x, y: (x, (y + 1) % 10),
    "white on black turned round": lambda x, y: (255 - x, y),
    "0 and 1 in place of 0 to 255": lambda x, y: ((x > 127).astype(np.uint8), y),
}


@pytest.mark.parametrize("known", [MNIST, FASHION_MNIST, CIFAR10])
@pytest.mark.parametrize("change", CHANGES)
def test_images_with_other_labels_or_pixels_are_refused(
    tmp_path: Path, known: Published, change: str
):
    if (known, change) == (CIFAR10, "white on black turned round"):
        pytest.skip("photographs are as bright as their negatives")
    with pytest.raises(ValueError, match=f"is not {known.title}"):
        load(known.name, write_images(tmp_path, known, 2000, CHANGES[change]))


def test_blue_for_red_and_pixels_for_planes_are_refused(tmp_path: Path):
    def turned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x[:, ::-1], y

    def interleaved(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return x.transpose(0, 2, 3, 1).reshape(x.shape), y

    for change in (turned, interleaved):
        with pytest.raises(ValueError, match="is not CIFAR-10: a mean of"):
            load("cifar10", write_images(tmp_path, CIFAR10, 2000, change))


def test_svhn_of_other_brightness_is_refused(tmp_path: Path):
    for name, num in (("train", 400), ("test", 100)):
        images = np.full((32, 32, 3, num), 20, np.uint8)
        content = {"X": images, "y": np.arange(num)[:, None] % 10 + 1}
        savemat(tmp_path / f"{name}_32x32.mat", content)
    with pytest.raises(ValueError, match="is not SVHN"):
        load("svhn", tmp_path)


def test_the_sums_of_published_pixels_are_their_published_means():
    """The means are those that are passed on with the data sets, to four digits."""
    for name, known in (("cifar10", CIFAR10), ("cifar100", CIFAR100)):
        train, test = VERSIONS[name].sums
        mean = np.array(train) / (known.num_train * 1024 * 255)
        assert mean.round(4) == pytest.approx(VERSIONS[name].statistics[0], abs=1e-9)
        assert np.array(test) / (known.num_test * 1024 * 255) == pytest.approx(mean, abs=0.005)
    of_classes = np.mean(CIFAR10.means, axis=0)
    assert of_classes == pytest.approx(VERSIONS["cifar10"].statistics[0], abs=1e-3)


def test_class_means_average_to_the_published_mean():
    """Classes of Fashion-MNIST have as many images each, those of MNIST nearly."""
    assert np.mean(FASHION_MNIST.means) == pytest.approx(0.2860, abs=5e-4)
    assert np.mean(MNIST.means) == pytest.approx(0.1307, abs=1e-3)
    assert len({known.name for known in ALL}) == len(ALL) == 5


def test_a_sum_is_of_the_bytes_themselves():
    of_nothing, of_a = "d41d8cd98f00b204e9800998ecf8427e", "0cc175b9c0f1b6a831c399e269772661"
    assert has_md5([b"", b"a"], [of_nothing, of_a])
    assert not has_md5([b"", b"b"], [of_nothing, of_a])


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist_is_published_and_is_no_mnist():
    """Debian's gzip files have other sums than those that are downloaded; the images are theirs."""
    for draw in ({"classes": [0, 6]}, {"num_examples": 50, "pool": "train+test"}):
        loaded = load("fashion_mnist", DEBIAN, **draw)
        assert loaded.published
        assert not loaded.remarks
    with pytest.raises(ValueError, match=r"not MNIST: .* like those of Fashion-MNIST: data.name"):
        load("mnist", DEBIAN)
