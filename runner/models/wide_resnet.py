"""Wide residual networks: Zagoruyko and Komodakis (2016), https://arxiv.org/abs/1605.07146."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt, field_validator

from runner.models import ImageShape, Model

if TYPE_CHECKING:
    from torch import nn


def __getattr__(name: str) -> Any:
    """Return what a file of a user's makes its own network of, once it asks for it."""
    if name.startswith("_"):  # as Python asks for `__path__` before each import
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runner.models import _wide_resnet

    return getattr(_wide_resnet, name)


class WideResNet(Model):
    """WRN-28-10 as `{name: wide_resnet}`; WRN-16-4 as `{name: wide_resnet, depth: 16, ...}`."""

    needs_pixels: ClassVar[bool] = True

    name: Literal["wide_resnet"] = "wide_resnet"
    depth: int = 28  # 6n + 4: three stages of n blocks
    widen_factor: PositiveInt = 10
    norm: Literal["batch", "group"] = "batch"

    @field_validator("depth")
    @classmethod
    def _is_6n_plus_4(cls, depth: int) -> int:
        if depth < 10 or depth % 6 != 4:
            below = max(10, depth - (depth - 4) % 6)
            near = f"{below}" if depth < 10 else f"{below} or {below + 6}"
            raise ValueError(f"depth must be 6n + 4 with n >= 1, got {depth}; use {near}")
        return depth

    def build(self, shape: ImageShape) -> nn.Module:
        from runner.models._wide_resnet import Network

        return Network((self.depth - 4) // 6, self.widen_factor, self.norm, shape)
