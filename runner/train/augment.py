"""Random changes of training images, and the fixed views that membership queries ask about.

Letters: n images of one batch, c channels, h w pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.data import Augment, to_float


def augmented(images: Tensor, augment: Augment, generator: torch.Generator) -> Tensor:
    """Return the batch as a model takes it, each image cropped and flipped by its own draw.

    A crop is a window of the image's own size in the image padded with zeros, each of the
    (2 crop_padding + 1)^2 places equally likely. The draws are made for the whole batch at once:
    workers that share a batch must augment all of it and keep their part.

    Args:
        images: (n, c, h, w) uint8, on any device.
        generator: the only source of randomness. If it is a CPU generator, the draws are the same
            whatever device the images are on.

    Returns:
        (n, c, h, w) float32 in [0, 1], in channels_last memory.
    """
    n, _, h, w = images.shape
    device, pad = images.device, augment.crop_padding
    if not pad and not augment.flip:
        return to_float(images)
    rows = torch.arange(h, device=device).expand(n, h)
    columns = torch.arange(w, device=device).expand(n, w)
    if augment.flip:
        flips = torch.randint(2, (n, 1), generator=generator, device=generator.device)
        columns = torch.where(flips.to(device).bool(), columns.flip(1), columns)
    if pad:
        images = F.pad(images, (pad, pad, pad, pad))
        offsets = torch.randint(
            2 * pad + 1, (2, n, 1), generator=generator, device=generator.device
        ).to(device)
        rows, columns = rows + offsets[0], columns + offsets[1]
    numbers = torch.arange(n, device=device)[:, None, None]
    # Indices on both sides of the slice put c last: (n, h, w, c), which is channels_last already.
    return to_float(images[numbers, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2))
