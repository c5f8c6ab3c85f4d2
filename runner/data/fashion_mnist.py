"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28, grey, 10 classes."""

from typing import Literal

from torchvision import datasets

from runner.data import Data, Dataset
from runner.data._idx import load_idx
from runner.data._split import assemble


class FashionMnist(Data):
    """`root` is torchvision's folder, or holds the four idx files itself.

    Debian and Ubuntu package the files as dataset-fashion-mnist.
    """

    name: Literal["fashion_mnist"] = "fashion_mnist"

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 1, 28, 28, 10

    def load(self) -> Dataset:
        train, test = load_idx(self, "Fashion-MNIST", datasets.FashionMNIST)
        return assemble(self, train, test, 10, ((0.2860,), (0.3530,)))
