"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28, grey, 10 classes."""

from typing import Literal

from runner.data import Data, Dataset
from runner.data._idx import load_idx
from runner.data._published import FASHION_MNIST

SUMS = (  # of the four files unzipped: images and labels to train on, then to test
    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "9018921c3c673c538a1fc5bad174d6f9",
    "8181f5470baa50b63fa0f6fddb340f0a",
    "15d484375f8d13e6eb1aabb0c3f46965",
)


class FashionMnist(Data):
    """`root` is torchvision's folder, or holds the four idx files itself.

    Debian and Ubuntu package the files as dataset-fashion-mnist.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 1, 28, 28, 10

    @property
    def counts(self) -> tuple[int, int]:
        return FASHION_MNIST.counts

    def load(self) -> Dataset:
        statistics = ((0.2860,), (0.3530,))
        return load_idx(self, FASHION_MNIST, "FashionMNIST", SUMS, statistics)
