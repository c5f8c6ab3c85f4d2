"""PGD's ball, starts and modes."""

import pytest
import torch
from torch import nn

from attacks.evasion.pgd import PGD
from tests.made.linear import batch, best, linear


@pytest.mark.parametrize(
    "attack",
    [
        PGD(eps=0.1, step_size=0.03, num_steps=10),
        PGD(eps=0.1, step_size=0.03, num_steps=10, start="normal", clamp_start=False),
        PGD(eps=0.1, step_size=0.1, num_steps=2, restarts=3),
    ],
)
def test_a_linear_model_is_attacked_at_the_known_optimum(attack: PGD):
    model, (images, labels) = linear(), batch()
    assert torch.allclose(attack.perturb(model, images, labels), best(model, images, labels, 0.1))


@pytest.mark.parametrize("start", ["uniform", "normal", "none"])
@pytest.mark.parametrize("num_steps", [0, 3])
def test_adversarial_images_stay_in_the_ball_and_in_the_unit_box(start: str, num_steps: int):
    attack = PGD.model_validate(
        {
            "eps": 0.1,
            "step_size": 0.08,
            "num_steps": num_steps,
            "start": start,
            "clamp_start": False,
        }
    )
    images, labels = batch(32)
    images[0], images[1] = 0.0, 1.0
    moved = attack.perturb(linear(), images, labels)
    assert moved.shape == images.shape
    assert (moved - images).abs().max() <= 0.1 + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_radius_zero_leaves_the_images_as_they_are():
    images, labels = batch()
    assert torch.equal(PGD(eps=0.0, step_size=0.1).perturb(linear(), images, labels), images)


def test_crafting_in_train_mode_moves_the_running_statistics_as_public_codes_do():
    norm = nn.BatchNorm2d(4)
    assert norm.running_mean is not None
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Flatten(), nn.Linear(16, 2))
    before = norm.running_mean.clone()
    PGD(eps=0.1, craft_in="train").perturb(model, *batch())
    assert not torch.equal(before, norm.running_mean)


def test_restarts_keep_the_most_harmful_start_of_each_image():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4)).eval()
    images, labels = batch(64)

    def margin(restarts: int) -> torch.Tensor:
        torch.manual_seed(3)
        attack = PGD(eps=0.3, step_size=0.3, num_steps=1, restarts=restarts)
        logits = model(attack.perturb(model, images, labels)).detach()
        true = logits.gather(1, labels[:, None])[:, 0]
        return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - true

    assert (margin(4) >= margin(1) - 1e-6).all()
    assert (margin(4) > margin(1) + 1e-4).any()
