"""AWP's steps against the official way of making them, and what it may be put over and under."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defenses import Defense, Facts
from defenses.awp import AWP
from defenses.demem import DeMem
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from defenses.residual_perturbation import ResidualPerturbation
from runner.train.workplace import Workplace
from tests.defenses.oracles import batch, network, weight_step
from tests.made import defense_contract as contract
from tests.made.defenses import DEFENSES, PGD_AT, gradients, is_as_stated, loss_and_gradients
from tests.made.training import a_run, trained

BASES: dict[str, Defense] = {
    **{name: DEFENSES[name] for name in ("erm", "pgd_at", "trades", "mart")},
    "demem": DeMem(weight=0.5, on="adversarial", base=PGD_AT),
}


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def official_steps(base: Defense, gamma: float, num_steps: int) -> nn.Module:
    """The weights moved in place, a backward pass, a step, and the weights moved back."""
    model = network().train()
    optimizer = optimizer_of(model)
    images, labels = batch()
    torch.manual_seed(7)
    for _ in range(num_steps):
        moved = base.craft(model, images, labels)

        def loss(of: nn.Module, moved: Tensor = moved) -> Tensor:
            return base.losses_at(of, images, moved, labels).total.mean()

        steps = weight_step(model, loss, gamma)
        for p, step in zip(model.parameters(), steps, strict=True):
            p.data += step
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
        for p, step in zip(model.parameters(), steps, strict=True):
            p.data -= step
    return model


def our_steps(base: Defense, gamma: float, num_steps: int) -> nn.Module:
    model = network().train()
    optimizer = optimizer_of(model)
    defense = AWP(gamma=gamma, base=base)
    torch.manual_seed(7)
    for _ in range(num_steps):
        optimizer.zero_grad()
        defense.losses(model, *batch()).total.mean().backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize("name", BASES)
def test_steps_are_those_of_adding_and_subtracting_batchnorm_included(name: str, num_steps: int):
    ours = our_steps(BASES[name], 0.02, num_steps).state_dict()
    theirs = official_steps(BASES[name], 0.02, num_steps).state_dict()
    unmoved = official_steps(BASES[name], 0.0, num_steps).state_dict()
    for key, value in theirs.items():
        assert torch.allclose(ours[key], value, rtol=1e-10, atol=1e-10), key
    assert not torch.allclose(ours["0.weight"], unmoved["0.weight"], rtol=1e-4, atol=1e-4)


def seen(model: nn.Module, defense: Defense, images: Tensor, labels: Tensor) -> list[list[Tensor]]:
    """All parameters as the network has them in each pass of `losses_at`."""
    passes = []
    with model.register_forward_hook(
        lambda module, *_: passes.append([p.detach().clone() for p in module.parameters()])
    ):
        defense.losses_at(model, images, images, labels)
    return passes


def test_each_weight_tensor_moves_by_gamma_times_its_norm_and_the_loss_rises():
    model, (images, labels) = network().train(), batch()
    before = [p.detach().clone() for p in model.parameters()]
    at_w, at_moved = seen(model, AWP(gamma=0.01, base=ERM()), images, labels)
    for (name, p), w, moved in zip(model.named_parameters(), at_w, at_moved, strict=True):
        assert torch.equal(p, w)
        expected = 0.01 * w.norm().item() if p.dim() > 1 else 0
        assert (moved - w).norm().item() == pytest.approx(expected, rel=1e-9), name
    assert all(torch.equal(p, w) for p, w in zip(model.parameters(), before, strict=True))
    higher = AWP(gamma=0.01, base=ERM()).losses(model, images, labels).total.mean()
    assert higher > ERM().losses(model, images, labels).total.mean() + 1e-3


def test_batchnorm_sees_the_pass_at_the_moved_weights_alone():
    model, (images, labels) = network().train(), batch()
    _, at_moved = seen(model, AWP(gamma=0.05, base=ERM()), images, labels)
    once = network().train()
    for p, moved in zip(once.parameters(), at_moved, strict=True):
        p.data.copy_(moved)
    once(images)
    for ours, theirs in zip(model.buffers(), once.buffers(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12)


class Tokens(nn.Module):
    """A parameter of two dimensions that is no weight, as the tokens of a transformer are."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.ones(1, 36, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features * self.tokens


def test_a_weight_without_gradient_and_what_is_no_weight_stay():
    last = nn.Linear(5, 5)
    nn.init.zeros_(last.weight)  # so that nothing comes through to the layer before
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), last).double().train()
    at_w, at_moved = seen(model, AWP(gamma=0.1, base=ERM()), *batch())
    assert all(map(torch.equal, at_w, at_moved))
    model = nn.Sequential(nn.Flatten(), Tokens(), nn.Linear(36, 5)).double().train()
    at_w, at_moved = seen(model, AWP(gamma=0.1, base=ERM()), *batch())
    assert [torch.equal(a, b) for a, b in zip(at_w, at_moved, strict=True)] == [True, False, True]


class Wrapped(nn.Module):
    """A wrapper of training, as Opacus makes one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._module = network

    def forward(self, images: Tensor) -> Tensor:
        raise AssertionError("AWP's passes must run on the plain network")


def test_a_wrapped_model_and_another_memory_layout_give_the_same_gradients():
    defense = AWP(base=PGD_AT)
    images, labels = batch()

    def found(model: nn.Module, given: nn.Module, images: Tensor) -> list[Tensor]:
        torch.manual_seed(7)
        return gradients(model, defense.losses(given, images, labels).total.mean())

    model, other = network().train(), network().train()
    expected = found(model, model, images)
    assert all(map(torch.equal, found(other, Wrapped(other).train(), images), expected))
    last: Any = network().train()
    last = last.to(memory_format=torch.channels_last)
    pairs = zip(
        found(last, last, images.to(memory_format=torch.channels_last)), expected, strict=True
    )
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in pairs)


def test_in_bf16_every_parameter_gets_nearly_the_gradient_of_fp32():
    images, labels = contract.batch(32)
    flat = []
    for enabled in (False, True):
        model = contract.network().train()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = AWP(gamma=0.01, base=ERM()).losses(model, images, labels).total.mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in model.parameters())
        flat.append(torch.cat([p.grad.flatten() for p in model.parameters()]))  # pyright: ignore[reportOptionalMemberAccess]
    assert torch.cosine_similarity(*flat, dim=0) > 0.999


@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
@pytest.mark.parametrize("outer", ["awp", "residual_perturbation"])
def test_over_and_under_a_randomized_network_it_draws_anew_and_repeats_by_seed(
    strategy: str, outer: str
):
    noisy = {"name": "residual_perturbation", "strategy": strategy, "gamma": 0.5, "members": 2}
    moved = {"name": "awp", "gamma": 0.05, "base": PGD_AT}
    if outer == "awp":
        defense: Defense = AWP.model_validate(moved | {"base": noisy | {"base": PGD_AT}})
    else:
        defense = ResidualPerturbation.model_validate(noisy | {"base": moved})
    assert defense.randomized
    assert defense.couples_examples
    rows = contract.gradients(defense, *contract.batch())
    assert torch.isfinite(rows).all()
    assert torch.equal(rows, contract.gradients(defense, *contract.batch()))


def test_it_couples_examples_needs_the_batch_whole_and_ends_a_guarantee_only_when_on():
    private = DPSGD(noise_multiplier=1.0, accountant="rdp")
    off, on = AWP(gamma=0, base=private), AWP(base=ERM())
    assert (on.couples_examples, on.one_worker) == (True, True)
    assert not AWP(gamma=0, base=ERM()).couples_examples
    assert not AWP(gamma=0, base=ERM()).one_worker
    facts = Facts(nn.Identity(), 1000, 50, 5, 1e-5)
    assert off.guarantee(facts) == private.guarantee(facts)
    noisy = ResidualPerturbation(gamma=1.0)
    assert noisy.guarantee(facts) is not None
    assert AWP(base=noisy).guarantee(facts) is None


def test_clipped_gradients_and_a_second_move_are_refused():
    private = DPSGD(noise_multiplier=1.0)
    with pytest.raises(ValueError, match=r"awp over dp_sgd couples examples.*no guarantee"):
        AWP(base=private)
    with pytest.raises(ValueError, match=r"dp_sgd over awp couples examples.*no guarantee"):
        DPSGD(noise_multiplier=1.0, base=AWP(base=PGD_AT))
    with pytest.raises(ValueError, match="move the weights twice"):
        AWP(base=DeMem(base=AWP(base=ERM())))


def test_a_run_goes_on_from_a_checkpoint_with_the_bits_of_an_undisturbed_one(
    place: Workplace, work: Any
):
    """AWP keeps nothing between steps."""
    run = a_run(work, AWP(base=PGD_AT), momentum=0.9)
    whole = trained(run, place)
    torch.rand(17)
    rest = trained(run, place, state=whole[0][1])
    assert (len(whole), len(rest)) == (2, 1)
    expected, ours = whole[-1][1]["model"], rest[-1][1]["model"]
    assert all(torch.equal(ours[key], value) for key, value in expected.items())


def test_the_loss_and_its_gradient_are_what_the_paper_states():
    is_as_stated("awp")


@pytest.mark.parametrize("base", [PGD_AT, DEFENSES["trades"], DEFENSES["mart"]])
def test_awp_that_is_switched_off_is_its_base(base: Defense):
    pairs = zip(loss_and_gradients(AWP(gamma=0, base=base)), loss_and_gradients(base), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
