"""PGD on a randomized model: each step follows the mean gradient over draws of its noise."""

import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attacks.evasion.pgd import PGD


class NoisyLinear(nn.Module):
    """Two classes; each forward pass draws new noise onto the weights, and keeps the sum."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(2, 12))
        self.sigma = sigma
        self.drawn: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.drawn.append(self.weight.detach() + self.sigma * torch.randn(2, 12))
        return images.flatten(1) @ self.drawn[-1].T


class NoisyNet(nn.Module):
    """Two layers with Gaussian noise on the hidden ones, and a count of the forward passes."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(12, 64), nn.Linear(64, 4)
        self.sigma = sigma
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        hidden = self.first(images.flatten(1))
        if self.sigma:
            hidden = hidden + self.sigma * torch.randn_like(hidden)
        return self.second(hidden.relu())


def batch(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 0.3 + 0.4 * torch.rand(n, 3, 2, 2, generator=generator), torch.arange(n) % 2


@pytest.mark.parametrize("draws", [1, 2, 7])
def test_a_step_follows_the_sign_of_the_summed_gradients_of_its_draws(draws: int):
    model, (images, labels) = NoisyLinear(2.0), batch(32)
    moved = PGD(eps=0.1, step_size=0.05, num_steps=1, start="none", draws=draws).perturb(
        model, images, labels
    )
    assert len(model.drawn) == draws
    mean = torch.zeros(32, 12, dtype=torch.float64)
    for weight in model.drawn:  # d loss / d x = p_wrong (w_wrong - w_true)
        weight = weight.double()
        logits = images.flatten(1).double() @ weight.T
        wrong = logits.softmax(1).gather(1, 1 - labels[:, None])
        mean += wrong * (weight[1 - labels] - weight[labels]) / draws
    assert torch.allclose(moved, images + 0.05 * mean.sign().view_as(images).float())


def test_with_many_draws_the_step_follows_the_expected_gradient():
    """By Stein's lemma it is E[p] w + 2 sigma^2 E[p (1 - p)] x: w the difference of the weights
    without noise, p the probability of the wrong class, whose log-odds are N(w x, 2 sigma^2 x x).
    """
    model, (images, labels) = NoisyLinear(1.0), batch(64)
    found = {}
    for draws in (1, 1000):
        attack = PGD(eps=0.1, step_size=0.1, num_steps=1, start="none", draws=draws)
        found[draws] = (attack.perturb(model, images, labels) - images).flatten(1).sign()
    flat = images.flatten(1).double()
    weight = (model.weight[1 - labels] - model.weight[labels]).detach().double()
    nodes, parts = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(40))
    spread = (2 * (flat**2).sum(1, keepdim=True)).sqrt()
    p = torch.sigmoid((weight * flat).sum(1, keepdim=True) + spread * nodes)
    parts = parts / parts.sum()
    mean_p, mean_slope = (p * parts).sum(1), (p * (1 - p) * parts).sum(1)
    expected = mean_p[:, None] * weight + 2 * mean_slope[:, None] * flat
    assert (found[1] == expected.sign()).double().mean() < 0.9
    assert (found[1000] == expected.sign()).double().mean() > 0.98
    clear = expected.abs() > 0.25 * expected.abs().mean()  # the rest is near the sampling error
    assert (found[1000] == expected.sign())[clear].all()


def test_more_draws_find_a_higher_mean_loss_on_a_noisy_network():
    model, (images, labels) = NoisyNet(2.0), batch(512)

    def mean_loss(draws: int) -> Tensor:
        torch.manual_seed(2)
        attack = PGD(eps=0.1, step_size=0.05, num_steps=5, draws=draws)
        moved = attack.perturb(model, images, labels)
        with torch.no_grad():
            losses = [F.cross_entropy(model(moved), labels, reduction="none") for _ in range(200)]
        return torch.stack(losses).mean(0)

    gain = mean_loss(16) - mean_loss(1)
    assert gain.mean() > 5 * gain.std() / len(gain) ** 0.5


def test_without_noise_the_number_of_draws_changes_no_bit():
    model, (images, labels) = NoisyNet(0.0), batch(64)
    found = []
    for draws in (1, 5):
        torch.manual_seed(3)
        found.append(PGD(eps=0.1, draws=draws).perturb(model, images, labels))
    assert torch.equal(*found)


@pytest.mark.parametrize(("num_steps", "draws", "restarts"), [(4, 1, 1), (4, 3, 1), (2, 3, 3)])
def test_forward_passes_are_steps_times_draws(num_steps: int, draws: int, restarts: int):
    model, (images, labels) = NoisyNet(0.1), batch(8)
    PGD(num_steps=num_steps, draws=draws, restarts=restarts).perturb(model, images, labels)
    judged = 2 * (restarts - 1)  # each further start against the worst so far
    assert model.calls == draws * (num_steps * restarts + judged)


def test_a_draw_is_forgotten_before_the_next_one_is_made():
    """So the memory does not grow with the number of draws."""

    class Watched(NoisyNet):
        def __init__(self) -> None:
            super().__init__(0.1)
            self.alive: list[weakref.ref[Tensor]] = []

        def forward(self, images: Tensor) -> Tensor:
            assert not any(answer() is not None for answer in self.alive)
            logits = super().forward(images)
            self.alive.append(weakref.ref(logits))
            return logits

    model = Watched()
    PGD(num_steps=2, draws=4).perturb(model, *batch(8))
    assert len(model.alive) == 8


def test_only_a_randomized_model_is_attacked_over_draws():
    averaging, single = PGD(eps=0.1, draws=5), PGD(eps=0.1)
    assert averaging.averages_draws
    assert not single.averages_draws
    assert averaging.settled(True) == averaging
    assert averaging.settled(False) == single
    assert single.settled(True) == single
