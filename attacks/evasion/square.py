"""The Square attack in the L-infinity ball: random search that sees answers and no gradients."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PositiveInt

from attacks.evasion import EvasionAttack, Radius, crafting

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

# Of 10,000 queries, those after which the share of an image that is changed at once is halved.
HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


class Square(EvasionAttack):
    """Random squares at the corners of the ball, each kept if the margin falls.

    Source: Andriushchenko et al. (2020), https://arxiv.org/abs/1912.00049, algorithms 1 and 2,
    with the steps of their code, rescaled to `num_queries`. Its `p_init` is 0.8 for networks
    trained to be robust on CIFAR-10 and MNIST, as in AutoAttack; 0.05 for others. Squares lie
    anywhere in an image. Those of the package of AutoAttack's authors never begin at the last
    place, so that after the first stripes they spare the last row and column; `autoattack` here
    has this one.

    It needs no gradient, so it is the check on a network whose gradients mislead. Images that are
    answered wrongly, at first or on the way, are asked about no further.

    On a randomized model each query sees one draw of its noise: a square may be kept, and an image
    given up as fooled, because of that draw, so robustness is overstated.

    Every image has random numbers of its own, made on the CPU from one draw of the global
    generator. So what it gets hangs on the seed and its place in the batch alone, not on the
    device or on how the other images fare, and the caller's later draws do not hang on the attack.

    YAML: {name: square, eps: 8/255, num_queries: 1000}
    """

    name: Literal["square"] = "square"
    eps: Radius = 8 / 255
    num_queries: PositiveInt = 1000  # forward passes an image, after one that sees it unmoved
    p_init: Annotated[float, Field(gt=0, le=1)] = 0.8  # share of an image in the first squares

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return the images with the smallest margins found; see the contract for shapes."""
        import torch

        with torch.no_grad(), crafting(model) as network:
            return self.search(network, images, labels)

    def search(self, ask: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        """Return the same of whatever answers images with (N, C) logits, without gradients."""
        import torch

        n, channels, height, width = images.shape
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        low, high = (images - self.eps).clamp_(0, 1), (images + self.eps).clamp_(0, 1)
        harm = _harm(ask(images), labels)
        left = (harm <= 0).nonzero()[:, 0]  # the images that are still answered rightly
        up = _signs((n, channels, 1, width), generator).to(images.device)
        worst = images.clone()
        worst[left] = torch.where(up > 0, high, low)[left]  # vertical stripes
        harm[left] = _harm(ask(worst[left]), labels[left])
        for query in range(1, self.num_queries):
            left = left[harm[left] <= 0]
            if len(left) == 0:
                break
            side = self.side(query - 1, height, width)
            inside = _squares(n, side, height, width, generator).to(images.device)[left]
            up = _signs((n, channels, 1, 1), generator).to(images.device)[left]
            corner = torch.where(up > 0, high[left], low[left])
            moved = torch.where(inside, corner, worst[left])
            again = _harm(ask(moved), labels[left])
            better = again > harm[left]
            worst[left[better]], harm[left[better]] = moved[better], again[better]
        return worst

    def side(self, query: int, height: int, width: int) -> int:
        """Return the side, in pixels, of the square tried at a query, the first being 0."""
        halvings = bisect.bisect_left(HALVED_AFTER, query * 10_000 // self.num_queries)
        side = round(math.sqrt(self.p_init / 2**halvings * height * width))
        return min(max(side, 1), height, width)


def _harm(logits: Tensor, labels: Tensor) -> Tensor:
    """How far the best wrong class is above the true one, (N,): the margin, negated."""
    true = logits.gather(1, labels[:, None]).squeeze(1)
    return logits.scatter(1, labels[:, None], -math.inf).amax(1) - true


def _signs(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """-1 and 1, each as likely."""
    import torch

    return 2 * torch.randint(2, shape, generator=generator) - 1


def _squares(n: int, side: int, height: int, width: int, generator: Generator) -> Tensor:
    """A square somewhere in each image, (N, 1, H, W) bool."""
    import torch

    top = torch.randint(height - side + 1, (n, 1, 1, 1), generator=generator)
    first = torch.randint(width - side + 1, (n, 1, 1, 1), generator=generator)
    row, column = torch.arange(height)[:, None], torch.arange(width)
    down, across = row - top, column - first
    return (down >= 0) & (down < side) & (across >= 0) & (across < side)
