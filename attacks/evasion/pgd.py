"""Projected gradient descent in the L-infinity ball."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Self

from pydantic import NonNegativeInt, PositiveInt

from attacks.evasion import EvasionAttack, Radius, crafting, input_gradient

if TYPE_CHECKING:
    from torch import Tensor, nn

NORMAL_STD = 0.001  # of the "normal" start, as in the official TRADES code


class PGD(EvasionAttack):
    """Signed gradient ascent with projection. Source: Madry et al., https://arxiv.org/abs/1706.06083.

    On a randomized model each step follows the mean gradient over `draws` draws of its noise
    (expectation over transformation: Athalye et al., https://arxiv.org/abs/1802.00420). One draw
    points in a direction that the next draw does not share, and overstates robustness.

    YAML: {name: pgd, eps: 8/255, step_size: 2/255, num_steps: 20}
    """

    name: Literal["pgd"] = "pgd"
    eps: Radius = 8 / 255
    step_size: Radius = 2 / 255
    num_steps: NonNegativeInt = 10
    start: Literal["uniform", "normal", "none"] = "uniform"  # uniform in the ball; or std 0.001
    clamp_start: bool = True  # official TRADES and DeMem leave the start outside [0, 1]
    restarts: PositiveInt = 1  # the worst of so many random starts counts
    craft_in: Literal["eval", "train"] = "eval"  # train: batch statistics, as in some public code
    draws: PositiveInt = 1  # of a randomized model's noise, averaged in each step

    @property
    def averages_draws(self) -> bool:
        return self.draws > 1

    def settled(self, randomized: bool) -> Self:
        return self if randomized else self.model_copy(update={"draws": 1})

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return images that maximise the cross-entropy; see the contract for shapes."""
        import torch
        import torch.nn.functional as F

        def loss(logits: Tensor) -> Tensor:
            return F.cross_entropy(logits, labels, reduction="none")

        worst = self.maximise(model, images, loss)
        for _ in range(self.restarts - 1):
            again = self.maximise(model, images, loss)
            better = self._harm(model, again, labels) > self._harm(model, worst, labels)
            worst = torch.where(better.view(-1, 1, 1, 1), again, worst)
        return worst

    def maximise(
        self, model: nn.Module, images: Tensor, loss: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return images in the ball that maximise `loss`, a map from (N, C) logits to (N,)."""
        import torch

        low, high = (images - self.eps).clamp_(0, 1), (images + self.eps).clamp_(0, 1)
        adversarial = images + self._start(images)
        if self.clamp_start:
            adversarial = adversarial.clamp_(0, 1)
        with torch.enable_grad(), crafting(model, self.craft_in == "train") as network:
            for _ in range(self.num_steps):
                adversarial.requires_grad_(True)
                ascent = torch.zeros_like(adversarial)
                for _ in range(self.draws):
                    ascent += input_gradient(loss(network(adversarial)).sum(), adversarial)
                moved = adversarial.detach() + self.step_size * ascent.sign()
                adversarial = torch.clamp(moved, low, high)
        return torch.clamp(adversarial, low, high)

    def _start(self, images: Tensor) -> Tensor:
        """The first offset; drawn into a contiguous buffer, 8 times faster than channels_last."""
        import torch

        n, channels, height, width = images.shape
        buffer = torch.zeros(n, height, width, channels, dtype=images.dtype, device=images.device)
        if self.start == "uniform":
            buffer.uniform_(-self.eps, self.eps)
        elif self.start == "normal":
            buffer.normal_(0, NORMAL_STD)
        return buffer.permute(0, 3, 1, 2)

    def _harm(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """How far the best wrong class is above the true one, (N,), averaged over draws."""
        import torch

        harm = torch.zeros(len(images), device=images.device)
        with torch.no_grad(), crafting(model, self.craft_in == "train") as network:
            for _ in range(self.draws):
                logits = network(images)
                true = logits.gather(1, labels[:, None]).squeeze(1)
                harm += logits.scatter(1, labels[:, None], -torch.inf).amax(1) - true
        return harm
