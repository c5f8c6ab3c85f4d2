"""Networks under residual perturbation: noise in its places, the off switch, and other defenses."""

import copy
import math
import pickle
from typing import Any

import pytest
import torch
from opacus import GradSampleModule
from torch import Tensor, nn
from torch.optim import SGD

from attacks.by_name import find
from defenses import Defense, Kit
from defenses._residual_noise import NoisyJoin
from defenses.demem import DeMem
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from defenses.pgd_at import PGDAT
from defenses.residual_perturbation import ResidualPerturbation
from defenses.trades import TRADES
from runner.models import ImageShape, Model
from tests.made import defense_contract as contract
from tests.made.noise import features, has_std, seeded

SHAPE = ImageShape(3, 8, 8, 5, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
RESIDUAL: list[dict[str, Any]] = [
    {"name": "resnet8", "width": 4},
    {"name": "resnet18", "width": 4},
    {"name": "wide_resnet", "depth": 10, "widen_factor": 1},
]
ATTACK = {"eps": 0.1, "step_size": 0.05, "num_steps": 2}


def perturbation(**fields: Any) -> ResidualPerturbation:
    return ResidualPerturbation.model_validate(fields)


def built(defense: Defense, fields: dict[str, Any] | None = None, seed: int = 0) -> nn.Module:
    """The defense's model on a network of ours, as the runner lays it out."""
    fields = fields or RESIDUAL[0]
    network = find("runner.models", fields["name"], Model).model_validate(fields)
    torch.manual_seed(seed)
    model = defense.build(lambda: network.build(SHAPE))
    return model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, 8, 8, generator=generator), torch.arange(n) % 5


def noises(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What each join adds to its sum in one pass, by the name of its block."""
    found: dict[str, Tensor] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
            found[name] = (output - inputs[0] - inputs[1]).detach().flatten()

        return hook

    noisy = [(name, m) for name, m in model.named_modules() if isinstance(m, NoisyJoin)]
    hooks = [m.register_forward_hook(note(name)) for name, m in noisy]
    model(images)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
@pytest.mark.parametrize("fields", RESIDUAL, ids=lambda fields: fields["name"])
def test_at_gamma_0_it_is_its_base_to_the_bit_and_draws_nothing(fields, strategy, training):
    ours, plain = built(perturbation(gamma=0, strategy=strategy), fields), built(ERM(), fields)
    assert list(ours.state_dict()) == list(plain.state_dict())
    images, labels = batch()
    before = torch.get_rng_state()
    for model in (ours, plain):
        model.train(training)
        perturbation(gamma=0).losses(model, images, labels).total.mean().backward()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(ours(images), plain(images))
    for mine, theirs in zip(ours.parameters(), plain.parameters(), strict=True):
        assert mine.grad is not None
        assert theirs.grad is not None
        assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("training", [True, False])
def test_strategy_i_adds_noise_of_std_gamma_independent_over_blocks_members_and_passes(training):
    model = built(perturbation(gamma=0.7, members=2), {"name": "resnet18", "width": 4})
    model.train(training)
    images = batch(128)[0]
    passes = [noises(model, images) for _ in range(2)]
    assert len(passes[0]) == 2 * 8
    assert all(has_std(noise, 0.7) for found in passes for noise in found.values())
    names = [f"members.{k}.blocks.{i}.join" for k in (0, 1) for i in (0, 1)]  # all of one shape
    draws = torch.stack([found[name] for found in passes for name in names])
    correlations = torch.corrcoef(draws.double()) - torch.eye(8)
    assert correlations.abs().max().item() < 4 / math.sqrt(draws.shape[1])


@pytest.mark.parametrize("gamma", [0.0, 0.5])
@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
def test_without_skip_connections_every_weight_keeps_a_gradient(strategy: str, gamma: float):
    model = built(perturbation(gamma=gamma, strategy=strategy, skip=False)).train()
    logits = seeded(lambda: model(batch()[0]))
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    with_skips = built(perturbation(gamma=gamma, strategy=strategy)).train()
    assert not torch.equal(seeded(lambda: with_skips(batch()[0])), logits)


@pytest.mark.parametrize(
    ("fields", "std"),
    [
        ({"strategy": "I", "gamma": 0.8}, 0.4),
        ({"strategy": "I", "gamma": 0.8, "pi": 0.1}, 0.1),
        ({"strategy": "II", "gamma": 0.8, "pi": 0.1}, 0.1),
        ({"strategy": "II", "gamma": 0.8}, 0.0),
        ({"strategy": "enresnet", "gamma": 0.8}, 0.0),
        ({"strategy": "I", "gamma": 0.8, "pi": 0.0}, 0.0),
    ],
)
def test_input_noise_has_std_pi_after_normalisation(fields: dict[str, Any], std: float):
    images = batch(500)[0]
    normalize, plain = built(perturbation(**fields)).normalize, built(ERM()).normalize
    assert isinstance(normalize, nn.Module)
    assert isinstance(plain, nn.Module)
    noise = normalize(images) - plain(images)
    assert has_std(noise, std) if std else torch.equal(noise, torch.zeros_like(noise))


def test_last_layer_noise_scales_with_the_norm_of_each_examples_features():
    model = built(perturbation(strategy="II", gamma=0.0, last_layer_noise=0.6))
    linear = model.linear
    assert isinstance(linear, nn.Linear)
    x = features(4000, linear.in_features)
    x[0] = 0.0
    x.requires_grad_(True)
    logits = seeded(lambda: linear(x))
    noise = (logits - nn.functional.linear(x, linear.weight, linear.bias)).detach()
    assert torch.equal(noise[0], torch.zeros(5))
    assert has_std(noise[1:] / x[1:].detach().norm(dim=1, keepdim=True), 0.6)
    assert torch.isfinite(torch.autograd.grad(logits.sum(), x)[0]).all()


def test_last_layer_noise_is_on_the_last_of_several_linear_layers():
    defense = perturbation(strategy="II", gamma=0.0, last_layer_noise=0.6)
    first, _, last = defense.build(
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    ).children()
    x = features(3, 4)
    assert torch.equal(first(x), first(x))
    assert not torch.equal(last(x), last(x))


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_an_ensemble_averages_members_that_start_and_draw_apart(average: str):
    model = built(perturbation(gamma=0.5, members=3, average=average)).double().eval()
    images = batch()[0].double()
    found = seeded(lambda: model(images))
    torch.manual_seed(3)
    each = [member(images) for member in model.get_submodule("members").children()]
    assert len(each) == 3
    weights = [name for name in model.state_dict() if name.endswith("linear.weight")]
    assert weights == [f"members.{k}.linear.weight" for k in range(3)]
    assert not torch.equal(*(model.state_dict()[name] for name in weights[:2]))
    if average == "probabilities":
        exp = [answer.exp() for answer in each]
        expected = torch.stack([e / e.sum(1, keepdim=True) for e in exp]).sum(0) / 3
        found = found.exp()
    else:
        expected = (each[0] + each[1] + each[2]) / 3
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_the_average_of_certain_members_stays_finite():
    model = built(perturbation(gamma=0.0, members=2, average="probabilities")).eval()
    for member in model.get_submodule("members").children():
        member.state_dict()["linear.bias"][0] = 1e4
    assert torch.isfinite(model(batch()[0])).all()


NOISY = [
    {"strategy": "I", "gamma": 0.5},
    {"strategy": "II", "gamma": 0.5},
    {"strategy": "II", "gamma": 0.5, "eta": 0.1, "pi": 0.2, "last_layer_noise": 0.3},
    {"strategy": "I", "gamma": 0.5, "members": 2, "average": "probabilities"},
    {"strategy": "I", "gamma": 0.5, "skip": False},
]


@pytest.mark.parametrize("fields", [*NOISY, {"strategy": "enresnet", "gamma": 0.5}])
def test_examples_meet_in_enresnet_alone(fields: dict[str, Any]):
    defense = perturbation(**fields)
    images, labels = contract.batch()
    other = images.clone()
    other[-1] = 1 - other[-1]
    before = contract.gradients(defense, images, labels)
    moved = (before - contract.gradients(defense, other, labels))[:-1].abs().max().item()
    assert (moved > 1e-5) == (fields["strategy"] == "enresnet") == defense.couples_examples


@pytest.mark.parametrize("fields", NOISY)
def test_opacus_takes_each_examples_own_gradient_from_a_noisy_network(fields: dict[str, Any]):
    defense, (images, labels) = perturbation(**fields), contract.batch()
    images.requires_grad_(True)  # or its hooks warn
    model = GradSampleModule(defense.build(contract.network).train())
    torch.manual_seed(2)
    defense.losses(model, images, labels).total.mean().backward()
    rows = [p.grad_sample.flatten(1) for p in model.parameters()]  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.allclose(
        torch.cat(rows, 1), contract.gradients(defense, images, labels), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("fields", NOISY)
def test_copies_and_loaded_weights_answer_alike_and_a_seed_fixes_the_answer(fields: dict[str, Any]):
    model, images = built(perturbation(**fields)).eval(), batch()[0]
    answer = seeded(lambda: model(images))
    assert torch.equal(seeded(lambda: model(images)), answer)
    assert not torch.equal(seeded(lambda: model(images), seed=4), answer)
    loaded = built(perturbation(**fields), seed=1).eval()
    loaded.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        assert torch.equal(seeded(lambda other=other: other(images)), answer)


def test_noise_adds_no_weight_and_no_name():
    plain = built(ERM()).state_dict()
    for fields in (*NOISY[:3], NOISY[4]):
        noisy = built(perturbation(**fields)).state_dict()
        assert list(noisy) == list(plain)
        assert all(torch.equal(noisy[name], plain[name]) for name in plain)


@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
@pytest.mark.parametrize(
    "base",
    [
        PGDAT.model_validate({"attack": ATTACK}),
        TRADES.model_validate({"attack": ATTACK}),
        DeMem(weight=0.2, base=TRADES.model_validate({"attack": ATTACK})),
    ],
    ids=lambda base: base.name,
)
def test_it_composes_with_other_defenses_above_and_below(base: Defense, strategy: str):
    noisy = perturbation(strategy=strategy, gamma=0.3, members=2, base=base)
    for defense in (noisy, DeMem(weight=0.2, base=noisy)):
        model = built(defense).train()
        losses = defense.losses(model, *batch(8))
        losses.total.mean().backward()
        assert losses.total.shape == (8,)
        assert torch.isfinite(losses.total).all()
        for p in model.parameters():
            assert p.grad is not None
            assert torch.isfinite(p.grad).all()
            assert p.grad.abs().sum() > 0


@pytest.mark.parametrize("fields", NOISY)
@pytest.mark.parametrize("order", ["noise over dp_sgd", "dp_sgd over noise"])
def test_dp_sgd_takes_a_step_on_a_noisy_network(fields: dict[str, Any], order: str):
    base = {"name": "dp_sgd", "noise_multiplier": 0.5, "base": "erm"}
    defense: Defense = perturbation(**fields, base=base)
    if order == "dp_sgd over noise":
        defense = DPSGD(noise_multiplier=0.5, base=perturbation(**fields))
    model, (images, labels) = built(defense).train(), batch(8)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = SGD(model.parameters(), lr=0.1)
    kit = defense.protect(Kit(model, optimizer, lambda epoch: (), torch.arange(8), 4, 0))
    (part, *_), *_ = kit.steps(0)
    kit.optimizer.zero_grad()
    defense.losses(kit.model, images[part], labels[part]).total.mean().backward()
    kit.optimizer.step()
    for p, old in zip(model.parameters(), before, strict=True):
        assert torch.isfinite(p).all()
        assert not torch.equal(p, old)


def test_bf16_activations_get_noise_under_autocast():
    images = batch()[0]
    for fields in (*NOISY, {"strategy": "enresnet", "gamma": 0.5}):
        model = built(perturbation(**fields)).train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images)
        logits.float().sum().backward()
        assert torch.isfinite(logits).all()


def test_it_is_built_on_the_meta_device_too():
    with torch.device("meta"):
        model = built(perturbation(**NOISY[2], members=2))
    assert all(weights.is_meta for weights in model.state_dict().values())


def test_a_model_is_randomized_by_any_noise_and_by_its_base():
    assert not perturbation(gamma=0, members=2).randomized
    assert perturbation(gamma=0.1).randomized
    assert perturbation(gamma=0, pi=0.1).randomized
    assert perturbation(gamma=0, strategy="II", last_layer_noise=0.1).randomized
    assert DeMem(weight=0.2, base=perturbation(gamma=0.1)).randomized


def test_remarks_name_what_departs_from_the_paper():
    def said(**fields: Any) -> str:
        return " ".join(perturbation(**fields).remarks(nn.Identity()))

    assert said(gamma=0) == ""
    assert "after normalisation" in said(gamma=0.8)
    assert said(gamma=0.8) == said(gamma=0.5)  # so that a report says it once
    assert "normalisation" not in said(gamma=0.8, pi=0)
    assert "sgn(0)" not in said(gamma=0.8, strategy="II")
    assert "sgn(0)" in said(gamma=0.8, strategy="II", eta=0.1)
    assert "projection" in said(gamma=0.8, strategy="II")
    assert "batch" in said(gamma=0.8, strategy="enresnet")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"gamma": 1, "eta": 0.1}, "eta belongs to strategy II"),
        ({"gamma": 1, "strategy": "enresnet", "eta": 0.1}, "eta belongs to strategy II"),
        ({"gamma": 1, "last_layer_noise": 0.1}, "last_layer_noise belongs to strategy II"),
        ({"gamma": 1, "base": {"name": "residual_perturbation", "gamma": 1}}, "its own base"),
        (
            {
                "gamma": 1,
                "base": {"name": "demem", "base": {"name": "residual_perturbation", "gamma": 1}},
            },
            "its own base",
        ),
        (
            {
                "gamma": 1,
                "strategy": "enresnet",
                "base": {"name": "dp_sgd", "noise_multiplier": 1},
            },
            "residual_perturbation over dp_sgd couples examples",
        ),
        ({"gamma": -1}, "expected a number of 0 or more, got -1"),
        ({"gamma": 1, "members": 0}, "expected a whole number from 1 to 100, got 0"),
    ],
)
def test_keys_without_a_meaning_are_refused(fields: dict[str, Any], reason: str):
    with pytest.raises(ValueError, match=reason):
        perturbation(**fields)


def test_a_network_without_the_layer_is_refused():
    with pytest.raises(ValueError, match=r"residual blocks.*Flatten has none"):
        perturbation(gamma=1).build(nn.Flatten)
    with pytest.raises(ValueError, match=r"`normalize`.*Flatten has none: set pi to 0"):
        perturbation(gamma=0, pi=1).build(nn.Flatten)
    with pytest.raises(ValueError, match="linear layer; Flatten has none"):
        perturbation(gamma=0, strategy="II", last_layer_noise=1).build(nn.Flatten)
