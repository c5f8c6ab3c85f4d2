import math
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.pgd import PGD
from tests.made.digits import digits


class Linear(nn.Module):
    """Logits linear in the pixels, which get Gaussian noise of standard deviation `sigma`."""

    def __init__(self, num_classes: int, sigma: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(48, num_classes, bias=False)
        self.sigma = sigma
        self.calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        if self.sigma:
            images = images + self.sigma * torch.randn_like(images)
        return self.linear(images.flatten(1) - 0.5)


def batch(model: Linear, n: int = 64) -> tuple[Tensor, Tensor]:
    """Images so far from 0 and 1 that the unit box does not matter, all answered rightly."""
    images = 0.3 + 0.4 * torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return images, model.linear(images.flatten(1) - 0.5).argmax(1)


def robust_radius(model: Linear, images: Tensor, labels: Tensor) -> Tensor:
    """The smallest eps at which each image can be made wrong: margin / ||w_y - w_k||_1."""
    weight, logits = model.linear.weight.detach(), model.linear(images.flatten(1) - 0.5).detach()
    margin = logits.gather(1, labels[:, None]) - logits
    norm = (weight[labels][:, None] - weight).abs().sum(2)
    return (margin / norm).scatter(1, labels[:, None], torch.inf).amin(1)


def with_few_queries(attack: AutoAttack) -> AutoAttack:
    """The attack with a tenth of Square's queries, where its gradients decide."""
    attack._num_queries //= 10
    return attack


def mean_answer(model: nn.Module, images: Tensor, draws: int = 500) -> Tensor:
    with torch.no_grad():
        return torch.stack([model(images).softmax(1) for _ in range(draws)]).mean(0)


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [2, 3, 4, 10])
def test_on_a_linear_model_exactly_the_images_inside_the_known_radius_fall(num_classes: int):
    model = Linear(num_classes)
    images, labels = batch(model)
    radius = robust_radius(model, images, labels)
    eps = float(radius.sort().values[31:33].mean())
    assert (radius - eps).abs().min() > 1e-6
    torch.manual_seed(0)
    moved = with_few_queries(AutoAttack(eps=eps)).perturb(model, images, labels)
    assert torch.equal(model(moved).argmax(1) == labels, radius > eps)
    assert torch.equal(moved[radius > eps], images[radius > eps])


@pytest.mark.slow
def test_it_is_not_weaker_than_pgd_on_a_trained_network_and_leaves_no_gradient_there():
    model, images, labels = digits(64)
    torch.manual_seed(0)
    pgd = PGD(eps=0.1, step_size=0.025, num_steps=20).perturb(model, images, labels)
    found = with_few_queries(AutoAttack(eps=0.1)).perturb(model, images, labels)
    natural, by_pgd, by_autoattack = (
        (model(x).argmax(1) == labels).sum() for x in (images, pgd, found)
    )
    assert natural >= 56
    assert 0 < by_autoattack <= by_pgd < natural
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.slow
def test_a_network_without_gradients_withstands_pgd_and_not_autoattack(
    tmp_path, monkeypatch, capfd, caplog
):
    class Steps(Linear):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward((images * 50).round() / 50)

    monkeypatch.chdir(tmp_path)
    model = Steps(4)
    images, _ = batch(model)
    labels = model(images).argmax(1)
    pgd = PGD(eps=0.05, start="none").perturb(model, images, labels)
    found = AutoAttack(eps=0.05).perturb(model, images, labels)
    assert torch.equal(pgd, images)
    assert (model(found).argmax(1) != labels).double().mean() > 0.9
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_by_their_mean_answer_randomized_models_fall_to_rand_more_than_to_standard():
    model = Linear(10, sigma=0.3)
    images, labels = batch(model)
    labels = mean_answer(model, images).argmax(1)
    right = []
    for attack in (AutoAttack(eps=0.02), AutoAttack(eps=0.02, version="rand", draws=5)):
        torch.manual_seed(0)
        answer = mean_answer(model, attack.perturb(model, images, labels))
        right.append((answer.argmax(1) == labels).sum())
    standard, rand = right
    assert rand < standard / 2


def test_rand_goes_to_the_known_optimum_whatever_the_noise():
    """With two classes and linear logits, every draw's gradient has one and the same sign."""
    model = Linear(2, sigma=0.3)
    images, labels = batch(model)
    weight = model.linear.weight.detach()
    best = images + 0.1 * (weight[1 - labels] - weight[labels]).sign().view_as(images)
    moved = AutoAttack(eps=0.1, version="rand", draws=3).perturb(model, images, labels)
    assert torch.allclose(moved, best, atol=1e-6)


def test_rand_never_does_worse_than_the_image_itself():
    model = Linear(3)
    images, labels = batch(model)
    labels[::2] = (labels[::2] + 1) % 3  # some are wrong from the start
    moved = AutoAttack(eps=0.02, version="rand", draws=2).perturb(model, images, labels)

    def margin(shown: Tensor) -> Tensor:
        logits = model(shown)
        true = logits.gather(1, labels[:, None])[:, 0]
        return logits.scatter(1, labels[:, None], -torch.inf).amax(1) - true

    assert (margin(moved) > margin(images)).all()


@pytest.mark.parametrize(("num_classes", "num_losses"), [(2, 1), (3, 2), (10, 2)])
def test_rand_averages_each_step_and_each_judgement_over_its_draws(num_classes, num_losses):
    model, draws = Linear(num_classes, sigma=0.1), 3
    images, labels = batch(model, 4)
    AutoAttack(eps=0.1, version="rand", draws=draws).perturb(model, images, labels)
    steps, judged = 101 * num_losses, 1 + 2 * num_losses
    assert model.calls == 1 + draws * (steps + judged)  # the first counts the classes


@pytest.mark.parametrize("version", ["standard", "rand"])
@pytest.mark.parametrize("num_classes", [2, 3, 4, 10])
def test_images_found_are_in_the_ball_and_follow_from_the_seed_alone(version, num_classes):
    draws = {"draws": 2} if version == "rand" else {}
    attack = AutoAttack.model_validate({"eps": 0.5, "version": version} | draws)
    model = Linear(num_classes)
    images, _ = batch(model)
    images[0], images[1] = 0.0, 1.0
    labels = model(images).argmax(1)
    images = images.contiguous(memory_format=torch.channels_last)
    before = images.clone()
    torch.manual_seed(0)
    moved = attack.perturb(model, images, labels)
    assert torch.equal(images, before)
    assert (model(moved).argmax(1) != labels).float().mean() > 0.9
    assert moved.dtype == images.dtype
    assert (moved - images).abs().max() <= 0.5 + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    torch.manual_seed(0)
    assert torch.equal(attack.perturb(model, images, labels), moved)


def test_another_seed_finds_other_images():
    model = Linear(10)
    images, labels = batch(model)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(AutoAttack(eps=0.5).perturb(model, images, labels))
    assert not torch.equal(*found)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("version", ["standard", "rand"])
def test_a_gpu_finds_what_the_cpu_finds_and_later_draws_follow_from_the_seed(version: str):
    model = Linear(4)
    images, labels = batch(model)
    eps = float(robust_radius(model, images, labels).sort().values[31:33].mean())
    attack = AutoAttack.model_validate({"eps": eps, "version": version})
    here = model(attack.perturb(model, images, labels)).argmax(1)
    model, images, labels = model.cuda(), images.cuda(), labels.cuda()
    found, later = [], []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(model(attack.perturb(model, images, labels)).argmax(1).cpu())
        later.append(torch.rand(3, device="cuda"))
    assert torch.equal(found[0], here)
    assert torch.equal(*later)


def test_what_the_caller_draws_after_standard_does_not_hang_on_how_the_attack_went():
    model = Linear(4)
    images, labels = batch(model)
    later = []
    for shown in (images, images[:5]):
        torch.manual_seed(0)
        AutoAttack(eps=0.5).perturb(model, shown, labels[: len(shown)])
        later.append(torch.rand(3))
    assert torch.equal(*later)


def test_the_network_is_left_as_it_was_found():
    norm = nn.BatchNorm2d(4)
    assert norm.running_mean is not None
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm, nn.Flatten(), nn.Linear(64, 4))
    model.train()
    norm.eval()
    norm.bias.requires_grad_(False)
    before = norm.running_mean.clone()
    images, labels = batch(Linear(4), 8)
    AutoAttack(eps=1.0).perturb(model, images, labels)
    assert [m.training for m in model] == [True, False, True, True]
    assert [p.requires_grad for p in norm.parameters()] == [True, False]
    assert all(p.requires_grad for p in [*model[0].parameters(), *model[3].parameters()])
    assert torch.equal(before, norm.running_mean)


def test_a_network_with_one_output_is_refused_and_left_as_it_was():
    model = Linear(1).train()
    images = torch.rand(2, 3, 4, 4)
    with pytest.raises(ValueError, match="two classes or more, got 1"):
        AutoAttack().perturb(model, images, torch.zeros(2, dtype=torch.int64))
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("given", [{"draws": 5}, {"draws": 5, "version": "standard"}])
def test_draws_without_rand_are_refused(given: dict):
    with pytest.raises(ValidationError, match=r"draws: 5 belongs .* write version: rand"):
        AutoAttack.model_validate(given)


def test_a_version_that_is_neither_is_refused_with_both():
    with pytest.raises(ValidationError, match="expected standard or rand, got 'plus'"):
        AutoAttack.model_validate({"version": "plus"})


def test_only_rand_averages_draws_and_a_model_without_noise_gets_standard():
    rand, standard = AutoAttack(eps=0.1, version="rand", draws=5), AutoAttack(eps=0.1)
    assert rand.averages_draws
    assert not standard.averages_draws
    assert not AutoAttack(version="rand", draws=1).averages_draws
    assert rand.settled(True) == rand
    assert rand.settled(False) == standard
    assert standard.settled(True) == standard.settled(False) == standard
    for attack in (rand, standard):
        assert AutoAttack.model_validate(attack.model_dump()) == attack


class Corner(nn.Module):
    """Two classes by one pixel, or by a row or column of them, in steps that have no gradient."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight  # (height, width)

    def forward(self, images: Tensor) -> Tensor:
        seen = (images * 40).round() / 40
        shown = ((seen[:, 0] - 0.5) * self.weight).sum((1, 2))
        return torch.stack([shown, -shown], dim=1)


@pytest.mark.slow
@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_without_gradients_each_corner_of_an_image_is_found(row: int, column: int):
    """The package's own Square changes the last ones by its first stripes or never: half stand."""
    weight = torch.zeros(5, 6)
    weight[row, column] = 1.0
    model, images = Corner(weight), 0.55 + 0.1 * torch.rand(24, 1, 5, 6)
    labels = torch.zeros(len(images), dtype=torch.int64)
    torch.manual_seed(0)
    found = AutoAttack(eps=0.2).perturb(model, images, labels)
    assert (model(found).argmax(1) == 1).all()
    assert ((found - images).abs() <= 0.2 + 1e-6).all()


@pytest.mark.slow
def test_a_mirrored_model_and_mirrored_images_are_as_robust():
    torch.manual_seed(0)
    weight, images = torch.zeros(5, 5), 0.3 + 0.4 * torch.rand(48, 1, 5, 5)
    weight[-1], weight[:, -1] = torch.randn(5), torch.randn(5)
    labels = Corner(weight)(images).argmax(1)
    standing = []
    for axes in ([], [0], [1], [0, 1]):
        model, shown = Corner(weight.flip(axes)), images.flip([axis + 2 for axis in axes])
        torch.manual_seed(1)
        found = AutoAttack(eps=0.08).perturb(model, shown, labels)
        standing.append(int((model(found).argmax(1) == labels).sum()))
    assert max(standing) < len(images) / 2
    assert max(standing) - min(standing) <= 3, standing


@pytest.mark.slow
def test_the_square_of_the_package_spares_what_lies_last_and_the_figure_says_which_it_is():
    weight = torch.zeros(5, 6)
    weight[-1, -1] = 1.0
    images, labels = torch.full((24, 1, 5, 6), 0.6), torch.zeros(24, dtype=torch.int64)
    torch.manual_seed(0)
    theirs = AutoAttack(eps=0.2, square="package")
    stand = Corner(weight)(theirs.perturb(Corner(weight), images, labels)).argmax(1) == 0
    assert 6 <= stand.sum() <= 18  # half, by the sign of the stripe
    mirrored = Corner(weight.flip(0, 1))
    assert (mirrored(theirs.perturb(mirrored, images, labels)).argmax(1) == 1).all()
    assert "published ensemble spares the last row" in AutoAttack().remark
    assert theirs.remark == AutoAttack(version="rand").remark == ""
    assert theirs.settled(randomized=False) == theirs
    assert AutoAttack(version="rand", square="package").settled(False) == AutoAttack(
        square="package"
    )


@pytest.mark.parametrize("version", ["standard", "rand"])
@pytest.mark.parametrize("num_classes", [2, 3, 4, 10])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 12), (3, 5, 4)])
def test_in_short_every_attack_is_made_and_takes_few_passes(
    version: Literal["standard", "rand"], num_classes: int, shape: tuple[int, int, int]
):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), num_classes)).eval()
    passes = []
    network.register_forward_pre_hook(lambda *_: passes.append(1))
    images = torch.rand(4, *shape)
    short = AutoAttack(eps=0.1, version=version).in_short()
    found = short.perturb(network, images, network(images).argmax(1))
    assert float((found - images).abs().max()) <= 0.1 + 1e-6
    assert 5 < len(passes) < 100
