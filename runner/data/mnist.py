"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28, grey."""

from typing import Literal

from torchvision import datasets

from runner.data import Data, Dataset
from runner.data._idx import load_idx
from runner.data._split import assemble


class Mnist(Data):
    """`root` is torchvision's folder, or holds the four idx files itself."""

    name: Literal["mnist"] = "mnist"

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 1, 28, 28, 10

    def load(self) -> Dataset:
        train, test = load_idx(self, "MNIST", datasets.MNIST)
        return assemble(self, train, test, 10, ((0.1307,), (0.3081,)))
