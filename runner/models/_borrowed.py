"""What the networks that somebody else wrote have in common: a start, a normalisation, a size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, model_validator

from runner.models import ImageShape, Model

if TYPE_CHECKING:
    from torch import nn

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and std, of images in [0, 1]


def _there(path: Path) -> Path:
    """A file as every process finds it, wherever it works."""
    path = path.expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"no file at '{path}'; give the path of a .safetensors, .pt or .pth file")
    return path


class Borrowed(Model):
    """A network that is not written for the runner; its subclasses say where it comes from."""

    # A start: a state_dict. Its bytes count in the ids of models; where it lies does not.
    weights: Annotated[Path, AfterValidator(_there)] | None = None
    # What images are normalised by. None: what the weights were trained with, else the data's own
    mean: tuple[float, ...] | None = None
    std: tuple[PositiveFloat, ...] | None = None
    resize: PositiveInt | None = None  # the side that the network is shown images at
    options: dict[str, Any] = Field(default_factory=dict)  # of its constructor

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` go together; give both, or leave both out")
        if "num_classes" in self.options:
            raise ValueError("options.num_classes is what the data have; leave it out")
        return self

    @property
    def unsaid(self) -> set[str]:
        """Where the file of weights lies moves no weight: its digest is in the id."""
        return {"weights"}

    def make(self, shape: ImageShape) -> nn.Module:
        """Return the network with its initial weights, of the shape's number of classes."""
        raise NotImplementedError

    def takes(self, shape: ImageShape) -> int:
        """Return how many channels the network takes."""
        return 3

    def expects(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Return by which mean and std images were normalised for weights such as are given."""
        return IMAGENET

    def build(self, shape: ImageShape) -> nn.Module:
        """Return the network, in what makes it take such images; a given start is put in.

        Raises:
            ValueError: it does not take such images, or the weights are not those of it.
        """
        from runner.models._adapted import adapted
        from runner.models._start import read

        normalised = self._normalised(shape)
        if len(normalised.mean) not in (1, shape.channels, self.takes(shape)):
            raise ValueError(
                f"`mean` and `std` have {len(normalised.mean)} numbers for images of "
                f"{shape.channels} channels, of which it takes {self.takes(shape)}"
            )

        def make(num_classes: int) -> nn.Module:
            return self.make(shape._replace(num_classes=num_classes))

        file = self.weights
        start = (lambda: read(file)) if file else None
        return adapted(make, normalised, self.takes(shape), self.resize, start)

    def remarks(self, shape: ImageShape) -> tuple[str, ...]:
        """Return what it begins with and what it is shown, unless that is as of our own."""
        told = []
        if self.weights:
            told.append(self._begun(shape))
        if self.resize:
            told.append(f"it is shown images at {self.resize}x{self.resize} pixels")
        if shape.channels == 1 != self.takes(shape):
            told.append(f"an image of one channel is shown to it {self.takes(shape)} times")
        if self.weights or self.mean:
            mean, std = (_numbers(each) for each in self._normalised(shape)[4:])
            told.append(f"images are normalised by mean {mean} and std {std}, not the data set's")
        if not told:
            return ()
        name = getattr(self, "architecture", self.name)
        why = "; what those were trained on cannot be told from members, if it is in the pool"
        return (f"The network {name}: {'; '.join(told)}{why if self.weights else ''}.",)

    def _normalised(self, shape: ImageShape) -> ImageShape:
        """The shape with the mean and std that its images are normalised by."""
        mean, std = self.mean, self.std
        if mean is None and self.weights:
            mean, std = self.expects() or (None, None)
        return shape if mean is None or std is None else shape._replace(mean=mean, std=std)

    def _begun(self, shape: ImageShape) -> str:
        """Which file it begins with, and what is begun anew."""
        import torch

        from runner.models._start import digest

        assert self.weights is not None
        seen = self.weights.stat()
        with torch.random.fork_rng(devices=[]):
            fresh: Any = self.build(shape)
        told = digest(self.weights, (seen.st_size, seen.st_mtime_ns))
        begun = f"it begins with the weights of {self.weights.name} (SHA-256 {told}...)"
        if not fresh.fresh:
            return f"{begun}, its last layer's too"
        return (
            f"{begun}, but for {', '.join(fresh.fresh)}, begun anew for {shape.num_classes} classes"
        )


def _numbers(values: tuple[float, ...]) -> str:
    return f"[{', '.join(f'{v:.4g}' for v in values)}]"
