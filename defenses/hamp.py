"""HAMP: soft labels of high entropy, and answers whose scores are those of random images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, NonNegativeFloat

from defenses import Defense, Losses, Term

if TYPE_CHECKING:
    from torch import Tensor, nn

NUM_RANDOM = 256  # images of noise whose scores are handed out
PRIME = 2_147_483_629


class HAMP(Defense):
    """KL(soft label || p) - strength H(p), and at test time scores in the order of the true ones.

    Source: Chen and Pattabiraman (2024), https://arxiv.org/abs/2307.01610, and its official code.
    The soft label gives the true class so much that its entropy is `entropy` times log C, and the
    rest evenly to the others; that code counts down in steps of 0.01, here it is exact.

    kl: that code divides KL by C as well (the mean over examples and classes), and its strengths
        go with that: entropy 0.95 and strength 0.001 on CIFAR-10. `sum` is the divergence itself.
    outputs: `scores_of_noise` is the output modification. An answer keeps the order of its logits
        and takes their values from an answer to uniform noise. The paper draws noise for each
        query; here an image's own pixels choose one of 256 noise images, so that the same question
        has the same answer, and asking again tells nothing more. `own` leaves it out. The class is
        the same in both, and so is what an attack finds that sees labels alone; an attacker with
        the weights sees the model's own logits.

    YAML: {name: hamp, entropy: 0.95, strength: 0.001}
    YAML: {name: hamp, entropy: 0.9, strength: 0.1, kl: sum, outputs: own}
    """

    name: Literal["hamp"] = "hamp"
    entropy: Annotated[float, Field(ge=0, le=1)] = 0.95  # of a soft label, as a share of log C
    strength: NonNegativeFloat = 0.001  # of the entropy in the loss
    kl: Literal["over_classes", "sum"] = "over_classes"
    outputs: Literal["scores_of_noise", "own"] = "scores_of_noise"

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural"})

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the regularised divergence as total, the cross-entropy as natural loss."""
        import torch.nn.functional as F

        logits = model(images)
        log_p, num_classes = logits.log_softmax(1), logits.shape[1]
        true, other = soft_label(self.entropy, num_classes)
        target = log_p.new_full(log_p.shape, other).scatter(1, labels[:, None], true)
        divergence = F.kl_div(log_p, target, reduction="none").sum(1)
        if self.kl == "over_classes":
            divergence = divergence / num_classes
        total = divergence + self.strength * (log_p.exp() * log_p).sum(1)
        return Losses(total, natural=F.cross_entropy(logits, labels, reduction="none"))

    def released(self, model: nn.Module, images: Tensor, logits: Tensor) -> Tensor:
        """Return logits in the order of the model's own, with the values of one to noise."""
        import torch

        if self.outputs == "own":
            return logits
        generator = torch.Generator().manual_seed(0)
        noise = torch.randint(0, 256, (NUM_RANDOM, *images.shape[1:]), generator=generator)
        shown = (noise.to(images) / 255).contiguous(memory_format=torch.channels_last)
        scores = model(shown).float().sort(dim=1, descending=True).values
        # A tie at the top would leave the class open.
        scores[:, 0] = torch.nextafter(scores[:, 0], scores.new_tensor(math.inf))
        order = logits.argsort(dim=1, descending=True, stable=True)
        return torch.empty_like(logits).scatter_(1, order, scores[_chosen(images)].to(logits))


def soft_label(entropy: float, num_classes: int) -> tuple[float, float]:
    """Return what the true class gets and what each other one, by bisection.

    Args:
        entropy: of the label, as a share of log(num_classes), in [0, 1].
        num_classes: 2 or more.
    """
    low, high = 1 / num_classes, 1.0  # the entropy falls from the whole of log C to 0
    for _ in range(100):
        true = (low + high) / 2
        rest = 1 - true
        found = -true * math.log(true) - (rest * math.log(rest / (num_classes - 1)) if rest else 0)
        low, high = (true, high) if found > entropy * math.log(num_classes) else (low, true)
    return high, (1 - high) / (num_classes - 1)


def _chosen(images: Tensor) -> Tensor:
    """Which noise image goes with each image, (N,) int64: a hash of its pixels."""
    import torch

    pixels = (images * 255).round().flatten(1).to(torch.int64)
    weights = torch.arange(1, pixels.shape[1] + 1, device=pixels.device)
    spread = weights * weights % 65_521 * 7 + weights  # no two places count alike
    return (pixels * spread).sum(1) * 48_271 % PRIME % NUM_RANDOM
