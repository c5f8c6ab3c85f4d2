"""The Square attack, against closed forms and against the package of AutoAttack's authors."""

import copy

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from attacks.evasion.square import HALVED_AFTER, Square
from tests.made.digits import digits


class Counting(nn.Module):
    """A linear model that keeps the sizes of the batches it was asked about, and no gradient."""

    def __init__(self, num_classes: int = 2, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(48, num_classes)
        self.scale = scale
        self.asked: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert not self.training
        self.asked.append(len(images))
        return self.scale * self.linear(images.flatten(1))


def batch(n: int = 16) -> Tensor:
    return 0.3 + 0.4 * torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def answers(model: Counting, images: Tensor) -> Tensor:
    return model.linear(images.flatten(1)).detach()


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    true = logits.gather(1, labels[:, None])[:, 0]
    return true - logits.scatter(1, labels[:, None], -torch.inf).amax(1)


def test_on_a_linear_model_the_margin_falls_almost_to_its_minimum():
    """Which is margin - eps ||w_y - w_k||_1, and no image is fooled on the way."""
    model, images, eps = Counting(), batch(), 0.02
    with torch.no_grad():
        model.linear.bias[0] = 3.0  # so that all are class 0 and stay it
    labels = torch.zeros(len(images), dtype=torch.int64)
    before = margin(answers(model, images), labels)
    weight = model.linear.weight.detach()
    fall = eps * (weight[0] - weight[1]).abs().sum()
    moved = Square(eps=eps, num_queries=2000).perturb(model, images, labels)
    found = before - margin(answers(model, moved), labels)
    assert (found <= fall + 1e-5).all()
    assert (found > 0.9 * fall).all()
    few = Square(eps=eps, num_queries=50).perturb(model, images, labels)
    assert (before - margin(answers(model, few), labels)).mean() < found.mean()


def test_every_pixel_is_in_the_ball_and_in_the_unit_box_and_most_are_at_a_corner():
    model, images = Counting(), batch()
    images[0], images[1] = 0.0, 1.0
    with torch.no_grad():
        model.linear.bias[0] = 9.0
    labels = torch.zeros(len(images), dtype=torch.int64)
    before = images.clone()
    moved = Square(eps=0.1, num_queries=50).perturb(model, images, labels)
    assert torch.equal(images, before)
    assert moved.shape == images.shape
    assert moved.dtype == images.dtype
    low, high = (images - 0.1).clamp(0, 1), (images + 0.1).clamp(0, 1)
    assert ((moved == low) | (moved == high)).all()


def test_an_image_that_is_answered_wrongly_is_left_alone_and_asked_about_once():
    model, images = Counting(num_classes=4), batch()
    labels = answers(model, images).argmax(1)
    labels[::2] = (labels[::2] + 1) % 4
    moved = Square(eps=0.001, num_queries=5).perturb(model, images, labels)
    assert torch.equal(moved[::2], images[::2])
    assert (moved[1::2] != images[1::2]).any((1, 2, 3)).all()
    assert model.asked == [16, 8, 8, 8, 8, 8]  # none of the other eight falls at so small an eps


def test_images_that_fall_are_dropped_and_the_attack_ends_with_the_last():
    model, images = Counting(num_classes=4), batch(64)
    labels = answers(model, images).argmax(1)
    moved = Square(eps=0.5, num_queries=1000).perturb(model, images, labels)
    assert (margin(answers(model, moved), labels) < 0).all()
    first, *asked = model.asked
    assert first == 64
    assert len(asked) < 1000
    assert asked == sorted(asked, reverse=True)
    assert 0 < asked[-1] < 64


def test_what_an_image_gets_hangs_on_the_seed_and_not_on_how_the_others_fare():
    model, images = Counting(num_classes=4), batch()
    labels = answers(model, images).argmax(1)
    wrong = labels.clone()
    wrong[8:] = (wrong[8:] + 1) % 4
    found, later = [], []
    for truth, seed in ((labels, 0), (labels, 0), (wrong, 0), (labels, 1)):
        torch.manual_seed(seed)
        found.append(Square(eps=0.05, num_queries=100).perturb(model, images, truth))
        later.append(torch.rand(3))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0][:8], found[2][:8])
    assert torch.equal(later[0], later[2])
    assert not torch.equal(found[0], found[3])


def test_the_network_is_left_as_it_was_found():
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Flatten(), nn.Linear(64, 4)).train()
    norm.eval()
    before = copy.deepcopy(model.state_dict())
    Square(eps=0.1, num_queries=5).perturb(model, batch(), torch.arange(16) % 4)
    assert [m.training for m in model] == [True, False, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_sides_shrink_as_in_the_paper_whatever_the_number_of_queries():
    attack = Square(num_queries=10_000)
    for halvings, after in enumerate(HALVED_AFTER):
        expected = round((0.8 / 2**halvings * 32 * 32) ** 0.5)
        assert attack.side(after, 32, 32) == expected
        shrunk = round((0.8 / 2 ** (halvings + 1) * 32 * 32) ** 0.5)
        assert attack.side(after + 1, 32, 32) == shrunk
    few = Square(num_queries=1000)
    assert [few.side(q, 32, 32) for q in (0, 1, 2, 999)] == [29, 29, 20, 1]
    assert Square(p_init=1.0).side(0, 8, 16) == 8  # no longer than the shorter edge


@pytest.mark.parametrize("given", [{"num_queries": 0}, {"p_init": 0.0}, {"p_init": 1.5}])
def test_what_makes_no_attack_is_refused(given: dict):
    with pytest.raises(ValidationError):
        Square.model_validate(given)


class Cropped(nn.Module):
    """A network that does not look at the last row and the last column."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images[..., :-1, :-1])


@pytest.mark.slow
@pytest.mark.parametrize("eps", [0.1, 0.15])
def test_as_many_images_fall_as_to_the_package_of_autoattack_where_both_reach_all_pixels(
    eps: float,
):
    from pyautoattack.square import SquareAttack

    model, images, labels = digits(300)
    padded = F.pad(images, (0, 1, 0, 1))
    fallen = {}
    for network, shown in ((model, images), (Cropped(model), padded)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            ours = Square(eps=eps).perturb(network, shown, labels)
            package = SquareAttack(network, n_queries=1000, eps=eps, device=images.device)
            theirs = package.perturb(shown, labels)
        fallen[network] = [
            (network(x).argmax(1) != labels).double().mean() for x in (shown, ours, theirs)
        ]
    natural, ours, theirs = fallen[model]
    assert natural + 0.3 < ours < 0.97
    assert ours - theirs > 0.04  # the package's squares stop short of the last row and column
    (cropped,) = (fallen[network] for network in fallen if network is not model)
    assert abs(cropped[1] - cropped[2]) < 0.03
    assert abs(cropped[1] - ours) < 0.03
