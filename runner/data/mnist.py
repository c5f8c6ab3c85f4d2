"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28, grey."""

from typing import Literal

from runner.data import Data, Dataset
from runner.data._idx import load_idx
from runner.data._published import MNIST

SUMS = (  # of the four files unzipped: images and labels to train on, then to test
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)


class Mnist(Data):
    """`root` is torchvision's folder, or holds the four idx files itself."""

    name: Literal["mnist"] = "mnist"

    @property
    def pictured(self) -> tuple[int, int, int, int]:
        return 1, 28, 28, 10

    @property
    def counts(self) -> tuple[int, int]:
        return MNIST.counts

    def load(self) -> Dataset:
        return load_idx(self, MNIST, "MNIST", SUMS, ((0.1307,), (0.3081,)))
