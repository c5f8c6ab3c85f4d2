"""RelaxLoss: the mean loss is held at a level that members do not fall below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PrivateAttr

from defenses import Defense, Losses, Term, over_batch

if TYPE_CHECKING:
    from torch import Tensor, nn


class RelaxLoss(Defense):
    """Descend where a batch's mean cross-entropy is above alpha; below it ascend, or flatten.

    Source: Chen, Yu and Fritz (2022), https://arxiv.org/abs/2207.05801, algorithm 1, and its
    official code, whose first epoch is one of ascent. In epochs 1, 3, 5, ... the loss is
    |mean CE - alpha|. In the others it is the mean CE above alpha, and below it the mean of
    [the answer is wrong] CE(soft target) - CE, whose soft target keeps the true class's own
    probability, of at most `upper`, and spreads the rest evenly.

    That code lets the gradient flow through the soft targets too: `detach: false`. The paper calls
    them targets, and Aerni et al. (2024), https://arxiv.org/abs/2404.17399, hold them fixed.
    alpha is 1 for CIFAR-10 and ResNet-20 there. The mean is over the whole batch of all workers.

    YAML: {name: relaxloss, alpha: 1.5}
    """

    name: Literal["relaxloss"] = "relaxloss"
    alpha: NonNegativeFloat = 1.0  # of the mean cross-entropy, in nats
    upper: Annotated[float, Field(gt=0, le=1)] = 1.0  # of the true class in a soft target
    detach: bool = True

    _flattens: bool = PrivateAttr(False)

    @property
    def terms(self) -> frozenset[Term]:
        return frozenset({"total", "natural"})

    @property
    def couples_examples(self) -> bool:
        """Which way an example's loss goes hangs on the mean of its batch; at alpha 0 on none."""
        return self.alpha > 0

    def in_epoch(self, epoch: int) -> Self:
        """Return it flattening in every second epoch, and ascending in the others."""
        found = self.model_copy()
        found._flattens = epoch % 2 == 1
        return found

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        """Return the relaxed loss as total, the cross-entropy as natural; see the contract."""
        import torch.nn.functional as F

        logits = model(images)
        natural = F.cross_entropy(logits, labels, reduction="none")
        mean, _ = over_batch(natural, model)
        if not self._flattens:
            return Losses((mean - self.alpha).sign() * (natural - self.alpha), natural=natural)
        if mean > self.alpha:
            return Losses(natural, natural=natural)
        wrong = (logits.argmax(1) != labels).to(logits.dtype)
        return Losses(wrong * self._to_soft(logits, labels) - natural, natural=natural)

    def _to_soft(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy to each example's soft target, (N,)."""
        log_p, true = logits.log_softmax(1), labels[:, None]
        sure = log_p.gather(1, true).exp().clamp(max=self.upper)
        spread = ((1 - sure) / (logits.shape[1] - 1)).expand_as(log_p)
        target = spread.scatter(1, true, sure)
        return -((target.detach() if self.detach else target) * log_p).sum(1)
