"""timm's classifiers, by their names there; timm is installed by `pip install 'defended[timm]'`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from attacks.wording import nearest
from runner.models import ImageShape
from runner.models._borrowed import IMAGENET, Borrowed

if TYPE_CHECKING:
    from torch import nn


class Timm(Borrowed):
    """`{name: timm, architecture: resnet18, weights: FILE, options: {drop_rate: 0.1}}`.

    `weights` is a file; nothing is downloaded. Its layer of classes is begun anew where the data
    have other ones. `options` go to `timm.create_model`.
    """

    name: Literal["timm"] = "timm"
    architecture: str

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, architecture: str) -> str:
        try:
            import timm
        except ImportError as error:
            raise ValueError(
                f"timm cannot be imported ({error}); it is no part of the usual installation: "
                "pip install -c constraints.txt -e '.[timm]', on every node"
            ) from None
        if not timm.is_model(architecture):  # a thousand names are too many to list
            near = nearest(architecture, timm.list_models())
            hint = f"did you mean {near!r}? " if near else ""
            raise ValueError(
                f"unknown architecture of timm {architecture!r}; {hint}`timm.list_models()` has all"
            )
        return architecture

    def make(self, shape: ImageShape) -> nn.Module:
        import timm

        return timm.create_model(
            self.architecture, pretrained=False, num_classes=shape.num_classes, **self.options
        )

    def expects(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return what timm says of the weights of this architecture that it offers itself."""
        import timm

        config = timm.get_pretrained_cfg(self.architecture)
        if config is None:
            return IMAGENET
        return tuple(config.mean), tuple(config.std)
