"""Fully connected layers on flattened pixels; with none hidden, logistic regression."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import PositiveInt

from runner.models import ImageShape, Model

if TYPE_CHECKING:
    from torch import nn


class Mlp(Model):
    """`{name: mlp, hidden: [256, 256]}`."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[PositiveInt, ...] = (256, 256)  # units per hidden layer

    def build(self, shape: ImageShape) -> nn.Module:
        from torch import nn

        from runner.models import Normalize

        sizes = (shape.channels * shape.height * shape.width, *self.hidden)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        last = nn.Linear(sizes[-1], shape.num_classes)
        return nn.Sequential(Normalize(shape), nn.Flatten(), *layers, last)
