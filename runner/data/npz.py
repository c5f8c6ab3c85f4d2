"""Your own data, from one NumPy .npz file."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from runner.data import Data, Dataset
from runner.data._split import Split, assemble, halve


class Npz(Data):
    """`root` is the file itself. It holds these arrays, and no pickled objects:

    images: (N, H, W), (N, H, W, channels) or (N, channels, H, W) uint8.
    labels: (N,) int; each of 0 to C-1 occurs.
    test_images, test_labels: likewise; where they are left out, a test split is drawn.

    `layout: auto` takes the axis of length 1 or 3 as the channels: the last axis, or the one after
    N. Where both or neither are 1 or 3 long, it must be said.
    """

    name: Literal["npz"] = "npz"
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2  # drawn where the file has no test

    def load(self) -> Dataset:
        arrays, remarks = self._arrays(), ()
        train = self._split(arrays, "")
        num_classes = int(train.labels.max(initial=-1)) + 1
        if num_classes < 2 or len(np.unique(train.labels)) != num_classes:
            raise self._fault(
                "labels", f"expected every class of 0 to C-1, got {np.unique(train.labels)[:20]}"
            )
        if "test_images" in arrays or "test_labels" in arrays:
            test = self._split(arrays, "test_")
            if test.images.shape[1:] != train.images.shape[1:]:
                raise self._fault(
                    "test_images",
                    f"expected the training images' {train.images.shape[1:]} (channels, H, W), "
                    f"got {test.images.shape[1:]}",
                )
            if test.labels.max(initial=0) >= num_classes:
                raise self._fault(
                    "test_labels",
                    f"expected 0 to {num_classes - 1} as in labels, got {test.labels.max()}",
                )
            if len(test.labels) > len(train.labels):
                remarks = (
                    f"the file has {len(test.labels):,} test images and {len(train.labels):,} to "
                    "train on: are images and test_images exchanged?",
                )
        else:
            train, test = halve(train, round(self.test_fraction * len(train.labels)))
        return assemble(self, train, test, num_classes, remarks=remarks)

    def _arrays(self) -> dict[str, np.ndarray]:
        if not self.root.is_file():
            raise ValueError(f"no .npz file at '{self.root}': set data.root to the file")
        try:
            with self.root.open("rb") as file, np.load(file, allow_pickle=False) as content:
                return {key: content[key] for key in content.files}
        except Exception as error:  # a damaged zip raises one of many kinds
            raise ValueError(f"cannot read '{self.root}' as .npz: {error}") from error

    def _split(self, arrays: dict[str, np.ndarray], prefix: str) -> Split:
        """Return the checked arrays `prefix`images and `prefix`labels."""
        for key in (f"{prefix}images", f"{prefix}labels"):
            if key not in arrays:
                raise self._fault(key, f"it is not there; the file has {', '.join(sorted(arrays))}")
        images = self._channels_first(f"{prefix}images", arrays[f"{prefix}images"])
        labels = arrays[f"{prefix}labels"]
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise self._fault(
                f"{prefix}labels",
                f"expected ({len(images)},) integers, one for each image, "
                f"got {labels.shape} {labels.dtype}",
            )
        if labels.min(initial=0) < 0:
            raise self._fault(f"{prefix}labels", f"expected 0 or more, got {labels.min()}")
        rows, array = np.arange(len(labels)), np.full(len(labels), f"{prefix}images")
        return Split(images, labels.astype(np.int64), {"source_row": rows, "array": array})

    def _channels_first(self, key: str, images: np.ndarray) -> np.ndarray:
        """Return (N, channels, H, W) uint8."""
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape[1:]:
            unlike = images.dtype != np.uint8
            raise self._fault(
                key,
                "expected (N, H, W), (N, H, W, channels) or (N, channels, H, W) uint8, "
                f"got {images.shape} {images.dtype}"
                + "; write uint8, 0 to 255: of pixels in [0, 1], round(255 * x)"
                * unlike,
            )
        if images.ndim == 3:
            return images[:, None]
        first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
        if self.layout == "auto" and first == last:
            raise self._fault(
                key,
                f"cannot tell the channels of {images.shape}: set data.layout to nhwc or nchw",
            )
        plain = "nhwc" if last else "nchw"
        if self.layout != "auto" and first != last and self.layout != plain:
            raise self._fault(
                key,
                f"layout {self.layout} makes {images.shape[3 if first else 1]} channels of "
                f"{images.shape}, which has 1 or 3 as {plain}: set data.layout to {plain} or auto",
            )
        last = last if self.layout == "auto" else self.layout == "nhwc"
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if last else images

    def _fault(self, key: str, why: str) -> ValueError:
        return ValueError(f"{key} of '{self.root}': {why}")
