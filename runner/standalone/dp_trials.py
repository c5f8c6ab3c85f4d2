"""Trials of DP-SGD with a canary that no other example hides: what a white-box audit counts."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from defenses import Facts, Guarantee, Kit
from defenses.dp_sgd import DPSGD, sampling
from runner.storage.ids import generator_of, seed_of

PIXELS = 64  # of an example; the last one is the canary's alone
LAYERS = 2
OVER_CLIP = 1000.0  # how many times larger than the clipping norm the canary's gradient is
LR = 1e-9  # the canary's gradient must stay what it is while the weights move


class Parallel(nn.Module):
    """Linear layers side by side, whose outputs are added up; their weights begin at 0.

    A canary's gradient is of one size in every layer, so a layer that escapes clipping is seen;
    and an image of zeros has no gradient, which makes it as good as absent.
    """

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.utils.skip_init(nn.Linear, PIXELS, 2, bias=False) for _ in range(LAYERS)]
        self.layers = nn.ModuleList(layers)
        for p in self.parameters():
            nn.init.zeros_(p)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, 2) logits of (N, 1, 1, PIXELS) images."""
        return torch.stack([layer(images.flatten(1)) for layer in self.layers]).sum(0)


class Setting(NamedTuple):
    """What one trial trains, beside its defense."""

    num_members: int  # the canary, or the nobody in its place, included
    batch_size: int
    num_steps: int

    def check(self) -> None:
        """Refuse a training whose guarantee cannot be asked for.

        Raises:
            ValueError: a number is out of its range.
        """
        if self.num_members < 2 or self.batch_size < 1:
            raise ValueError(
                "expected 2 examples or more, the canary and another, in batches of 1 or more, got "
                f"{self.num_members} in batches of {self.batch_size}"
            )
        _, steps = sampling(self.num_members, self.batch_size)
        if self.num_steps < 1 or self.num_steps % steps:
            raise ValueError(
                f"expected whole epochs: {self.num_members} examples in batches of "
                f"{self.batch_size} take {steps} steps each, got {self.num_steps} steps; take "
                f"{max(1, round(self.num_steps / steps)) * steps}"
            )


class Trial(NamedTuple):
    """What one training told."""

    is_in: bool  # whether the canary was
    scores: np.ndarray  # (1 + LAYERS,) float64
    energies: np.ndarray  # (LAYERS,) float64


class Trials(NamedTuple):
    """What T trainings told."""

    is_in: np.ndarray  # (T,) bool
    scores: np.ndarray  # (T, 1 + LAYERS) float64
    energies: np.ndarray  # (T, LAYERS) float64


def guarantee_of(defense: DPSGD, setting: Setting, delta: float) -> Guarantee:
    """Return what the defense guarantees of a trial's weights."""
    return defense.guarantee(_facts(setting, delta))


def ceiling_of(defense: DPSGD, setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Return FPR and TPR of the ROC curve that no test of the canary exceeds, as is proved."""
    found = defense.trade_off(_facts(setting, delta=0.5))  # which has no part in it
    if found is None:
        return np.array([0.0, 1.0]), np.array([1.0, 1.0])
    return found.fpr, found.tpr


def _facts(setting: Setting, delta: float) -> Facts:
    """What is known of a trial's training."""
    setting.check()
    steps = sampling(setting.num_members, setting.batch_size)[1]
    facts = (setting.num_members, setting.batch_size, setting.num_steps // steps, delta)
    return Facts(Parallel(), *facts)


def trials(defense: DPSGD, setting: Setting, numbers: Iterable[int], seed: int) -> Iterator[Trial]:
    """Yield of each trial whether the canary was in, how much the weights say so, and their noise.

    A trial trains by the defense's own batches, gradients, clipping and noise, from weights of 0.
    The canary lights a pixel that is dark in all other images, so its gradient is a Dirac: alone in
    its coordinates, of a known direction, and clipped to full length. A fair coin puts it in, or an
    image of zeros in its place, whose gradient is 0: that is the neighbour of the guarantee, which
    takes the number of members as public.

    A score is the weights' way along the canary's gradient, in clipping norms of a batch's sum: the
    number of steps that drew the canary, plus noise. The first score is along all of the gradient,
    and one more for each layer along that layer's share.

    The gradients of a loss over two classes are each other's contrary, so each pixel's sum over the
    classes is noise alone, whatever the images: `energies` has the sum over a layer's PIXELS of the
    squares of that noise, in which one step of a noise multiplier of 1 would have a mean of PIXELS.

    Source: Nasr et al. (2023), https://arxiv.org/abs/2302.07956, whose strongest adversary puts
    such gradients in and sees every step. With one coordinate and SGD the last weights tell the sum
    of what was released.

    Args:
        defense: over a base whose loss is cross-entropy.
        numbers: of the trials, each once; a trial's draws follow from the seed and its number.

    Raises:
        ValueError: the setting is out of range.
    """
    setting.check()
    random = generator_of(seed, "images")
    images = torch.from_numpy(random.random((setting.num_members, 1, 1, PIXELS))).float()
    images[..., -1] = 0
    labels = torch.from_numpy(random.integers(0, 2, setting.num_members))
    canary = torch.zeros(1, 1, PIXELS)
    canary[..., -1] = OVER_CLIP * defense.max_grad_norm
    directions = _directions(defense, canary, labels[0])
    kit = _kit(defense, setting, seed_of(seed, "batches"))
    scale = setting.batch_size / (_lr(defense) * defense.max_grad_norm)
    for number in numbers:
        is_in = bool(generator_of(seed, number).random() < 0.5)
        images[0] = canary if is_in else 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(seed, number, "noise"))
            _train(defense, setting, kit, number, images, labels)
        layers = zip(kit.model.parameters(), directions, strict=True)
        along = np.array([-scale * float((p.detach().double() * d).sum()) for p, d in layers])
        shares = [float(d.square().sum()) for d in directions]
        silent = [p.detach().double().sum(0) * scale for p in kit.model.parameters()]
        energies = [float(s.square().sum()) / 2 / setting.num_steps for s in silent]
        yield Trial(is_in, np.array([along.sum(), *along / shares]), np.array(energies))


def gathered(found: Iterable[Trial]) -> Trials:
    """Return the trials as arrays."""
    return Trials(*map(np.array, zip(*found, strict=True)))


def _kit(defense: DPSGD, setting: Setting, seed: int) -> Kit:
    """One kit for all trials, which differ in the epochs that their batches are drawn for."""
    everyone = torch.arange(setting.num_members)
    model = defense.build(Parallel).train()

    def steps(epoch: int) -> Iterable[list[Tensor]]:
        return [[batch] for batch in everyone.split(setting.batch_size)]

    optimizer = torch.optim.SGD(model.parameters(), lr=_lr(defense))
    return defense.protect(Kit(model, optimizer, steps, everyone, setting.batch_size, seed))


def _train(
    defense: DPSGD, setting: Setting, kit: Kit, number: int, images: Tensor, labels: Tensor
) -> None:
    """Take the steps of one trial, as `runner.train.fit` does, from weights of 0."""
    with torch.no_grad():
        for p in kit.model.parameters():
            p.zero_()
    epochs = setting.num_steps // sampling(setting.num_members, setting.batch_size)[1]
    for epoch in range(number * epochs, (number + 1) * epochs):
        for parts in kit.steps(epoch):
            for part in parts:
                kit.optimizer.zero_grad(set_to_none=True)
                losses = defense.losses(kit.model, images[part], labels[part])
                losses.total.mean().backward()
                kit.optimizer.step()


def _lr(defense: DPSGD) -> float:
    """A learning rate at which the canary's loss, and so its gradient, stays what it is."""
    return LR / defense.max_grad_norm**2


def _directions(defense: DPSGD, image: Tensor, label: Tensor) -> list[Tensor]:
    """Each parameter's share of an example's gradient of length 1, at weights of 0, by autograd."""
    model = Parallel()
    total = defense.base.losses(model, image[None], label[None]).total.sum()
    gradients = [g.double() for g in torch.autograd.grad(total, [*model.parameters()])]
    length = torch.stack([g.norm() for g in gradients]).norm()
    return [g / length for g in gradients]
