"""What training in bf16 reaches is what fp32 reaches: of each attack, loss, penalty and noise."""

import copy
import functools
import pkgutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import attacks.evasion
import defenses
from attacks.by_name import find
from attacks.evasion import EvasionAttack
from attacks.evasion.pgd import PGD
from defenses import Defense, Losses
from defenses._residual_noise import NoisyJoin
from defenses.awp import AWP
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.residual_perturbation import ResidualPerturbation
from defenses.trades import TRADES, InnerPGD
from runner.ask.answers import logits_of
from runner.data import to_float
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.train.bf16 import in_bf16
from runner.train.fit import build_model, fit
from runner.train.train import train
from tests.conftest import TINY, place_of
from tests.made import defense_contract as contract
from tests.made.digits import digits

INNER = {"eps": 0.15, "step_size": 0.05, "num_steps": 10}
DEFENSES = [m.name for m in pkgutil.iter_modules(defenses.__path__) if m.name[0] != "_"]
ATTACKS = [m.name for m in pkgutil.iter_modules(attacks.evasion.__path__)]


@functools.cache
def _digits() -> tuple[nn.Module, Tensor, Tensor]:
    return digits(400)


def pair() -> tuple[nn.Module, nn.Module]:
    """The same trained network in fp32 and in bf16."""
    model = _digits()[0]
    return copy.deepcopy(model), in_bf16(copy.deepcopy(model))


def kl(model: nn.Module, images: Tensor, moved: Tensor) -> float:
    """The mean KL divergence of a network's answers, in float64."""
    network = copy.deepcopy(model).double()
    with torch.no_grad():
        p, q = (network(x.double()).softmax(1) for x in (images, moved))
    return (p * (p / q).log()).sum(1).mean().item()


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (model(images).argmax(1) == labels).double().mean().item()


def test_the_inner_attack_of_trades_reaches_in_bf16_what_it_reaches_in_fp32():
    """From 0.001 away; where log-probabilities were bf16 it climbed rounding errors."""
    (full, low), (_, images, labels) = pair(), _digits()
    trades = TRADES(attack=InnerPGD(**INNER))
    reached, left = [], []
    for model in (full, low):
        torch.manual_seed(0)
        moved = torch.cat([trades.craft(model, images, labels) for _ in range(3)])
        reached.append(kl(full, images.repeat(3, 1, 1, 1), moved))
        left.append(accuracy(full, moved, labels.repeat(3)))
    assert reached[0] > 1
    assert reached[1] == pytest.approx(reached[0], rel=0.08)
    assert left[1] == pytest.approx(left[0], abs=0.03)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "autoattack" else ()) for n in ATTACKS]
)
def test_an_attack_on_a_bf16_network_leaves_the_accuracy_that_it_leaves_in_fp32(name: str):
    """A user's attack that is found by name is meant too."""
    (full, low), (_, images, labels) = pair(), _digits()
    keys = {"eps": 0.15} | {"pgd": {"step_size": 0.03}, "square": {"num_queries": 300}}.get(
        name, {}
    )
    images, labels = (images[:60], labels[:60]) if name == "autoattack" else (images, labels)
    attack = find("attacks.evasion", name, EvasionAttack).model_validate(
        {"name": name, "eps": 0.15} | keys.get(name, {})
    )
    left = []
    for model in (full, low):
        torch.manual_seed(0)
        left.append(accuracy(full, attack.perturb(model, images, labels), labels))
    assert left[0] < accuracy(full, images, labels) - 0.2
    assert left[1] == pytest.approx(left[0], abs=0.03)


def losses_and_gradient(defense: Defense, model: nn.Module, dtype: torch.dtype) -> tuple:
    """Every term's losses and the gradient of the mean total, at the same images and weights."""
    generator = torch.Generator().manual_seed(1)
    images, labels = contract.batch(48)
    moved = (images + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    images, moved = images.to(dtype), moved.to(dtype)
    torch.manual_seed(2)
    losses = defense.losses_at(model, images, moved, labels)
    gradients = torch.autograd.grad(losses.total.mean(), [*model.parameters()])
    terms = {term: v.detach() for term, v in losses._asdict().items() if v is not None}
    return terms, torch.cat([g.double().flatten() for g in gradients])


class Distilled(Defense):
    """What a user might write: temperatures, a margin, a penalty on small differences."""

    name: Literal["distilled"] = "distilled"

    def losses_at(
        self, model: nn.Module, images: Tensor, adversarial: Tensor, labels: Tensor
    ) -> Losses:
        p, q = model(images), model(adversarial)
        near = F.kl_div(q.log_softmax(1), p.softmax(1), reduction="none").sum(1)
        top = p.topk(2, 1).values
        ce = F.cross_entropy(p, labels, reduction="none")
        return Losses(ce + near + (ce - ce.mean()) ** 2 + F.relu(1 - top[:, 0] + top[:, 1]))


def every_defense() -> list[Defense]:
    """Those of the docstrings, but what gets fp32 whatever is asked for or answers with noise."""
    found = [d for name in DEFENSES for d in contract.examples(name)]
    found += [Distilled(), DeMem(weight=0.5, base=TRADES()), AWP(base=TRADES())]
    found += [ResidualPerturbation(gamma=0, pi=0, members=3, average="probabilities")]
    return [d for d in found if not d.per_example_steps and not d.randomized]


@pytest.mark.parametrize("defense", every_defense(), ids=lambda d: str(d)[:60])
def test_losses_and_gradients_in_bf16_are_those_of_float64(defense: Defense):
    """Not to the last digit, as the network's own layers are rounded; and not beside them."""

    def network() -> nn.Module:
        model = defense.build(contract.network).train()
        for p in model.parameters():  # answers that are surer than a new network's
            p.data *= 2
        return model

    exact, gradient = losses_and_gradient(defense, network().double(), torch.float64)
    ours, ours_gradient = losses_and_gradient(defense, in_bf16(network()), torch.float32)
    assert F.cosine_similarity(gradient, ours_gradient, dim=0) > 0.999
    for term, expected in exact.items():
        error = (ours[term] - expected).abs().mean() / expected.abs().mean()
        assert error < 0.01, term


@pytest.mark.parametrize("size", [0.01, 0.05, 0.3])
def test_a_penalty_on_small_differences_is_made_of_differences_and_not_of_rounding(size: float):
    """DeMem's variance of losses that lie near 4, of a network whose answers bf16 has exactly."""

    class Given(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    logits = torch.zeros(64, 10)
    logits[:, 0] = 4 + size * torch.linspace(-1, 1, 64)
    logits, labels = logits.bfloat16().float(), torch.ones(64).long()
    defense = DeMem(weight=1000, base=ERM())
    images = logits.view(64, 10, 1, 1)
    ours = defense.losses(in_bf16(Given()), images, labels).total.mean()
    losses = F.cross_entropy(logits.double(), labels, reduction="none")
    expected = losses.mean() + 1000 * losses.var(correction=0)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize("strategy", ["I", "II", "enresnet"])
def test_noise_that_is_small_beside_a_feature_is_there_in_bf16_too(strategy: Any):
    """In bf16 8 + 0.01 n is 8."""
    x = torch.full((4, 8, 16, 16), 8.0) + torch.linspace(-1, 1, 16)
    join = NoisyJoin(strategy, 0.01, 0.0, True)
    stds = []
    for dtype in (torch.float64, torch.bfloat16):
        shortcut, mapping = x.to(dtype), torch.zeros(x.shape, dtype=dtype)
        torch.manual_seed(0)
        stds.append((join(shortcut, mapping).double() - shortcut.double()).std().item())
    assert stds[0] > 0.001
    assert stds[1] == pytest.approx(stds[0], rel=0.05)


@pytest.mark.parametrize(
    "keys",
    [
        {"gamma": 0.02, "pi": 0},
        {"gamma": 0.02, "strategy": "II", "eta": 0.1},
        {"gamma": 0.02, "strategy": "enresnet"},
        {"gamma": 0, "pi": 0.005},
        {"gamma": 0, "strategy": "II", "last_layer_noise": 0.005},
        {"gamma": 0.02, "members": 3, "average": "probabilities"},
    ],
    ids=str,
)
def test_a_randomized_network_answers_in_bf16_with_the_spread_of_fp32(keys: dict[str, Any]):
    defense = ResidualPerturbation.model_validate({"name": "residual_perturbation"} | keys)
    images = contract.batch(64)[0]
    spreads = []
    for low in (False, True):
        model = defense.build(contract.network)
        for p in model.parameters():
            p.data *= 2
        model = in_bf16(model) if low else model
        with torch.no_grad():
            spreads.append(torch.stack([model(images) for _ in range(300)]).std(0).mean().item())
    assert spreads[1] == pytest.approx(spreads[0], rel=0.08)


class Counted(nn.Module):
    """Tells under which autocast its layers and its caller are."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 4)
        self.inside: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.inside.append(torch.is_autocast_enabled("cpu"))
        return self.linear(images.flatten(1))


def test_whoever_calls_the_network_gets_float32_and_is_not_under_autocast_himself():
    model, images = in_bf16(Counted()), contract.batch()[0]
    weights = {name: p.detach() for name, p in model.named_parameters()}
    for logits in (model(images), functional_call(model, weights, (images,))):
        assert logits.dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")
    assert model.inside == [True, True]
    assert set(model.state_dict()) == {"linear.weight", "linear.bias"}
    with pytest.raises(RuntimeError):
        model(images[..., :-1])
    assert not torch.is_autocast_enabled("cpu")


def test_a_copy_of_the_network_computes_with_its_own_weights():
    """An average of weights, or a teacher, is a deep copy."""
    model, images = in_bf16(Counted()), contract.batch()[0]
    teacher = copy.deepcopy(copy.deepcopy(model))
    with torch.no_grad():
        for p in teacher.parameters():
            p.zero_()
    assert teacher(images).abs().max() == 0
    assert model(images).abs().max() > 0
    assert [model.inside, teacher.inside] == [[True], [True]]


def test_several_workers_share_a_network_in_bf16(tmp_path: Path):
    """Through DistributedDataParallel it answers and learns as by itself."""
    images, labels = contract.batch()
    alone = in_bf16(contract.network().train())
    defense = TRADES(attack=InnerPGD(eps=0.1, step_size=0.05, num_steps=2))
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        shared = nn.parallel.DistributedDataParallel(in_bf16(contract.network().train()))
        gradients = []
        for model in (alone, shared):
            torch.manual_seed(0)
            defense.losses(model, images, labels).total.mean().backward()
            gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))  # pyright: ignore[reportOptionalMemberAccess]
    finally:
        torch.distributed.destroy_process_group()
    assert torch.equal(*gradients)


def test_a_run_in_bf16_is_judged_in_fp32(place: Any, work: Any):
    """Its answers are those that float64 gives with the same weights."""
    base = work.plan.arms["erm"][0]
    run = replace(base, training=base.training.model_copy(update={"precision": "bf16"}))
    train(run, place)
    model = place.trained(run, "last")
    exact = copy.deepcopy(model).double()
    with torch.no_grad():
        expected = exact(place.pool_images.double() / 255).numpy()
    assert logits_of(model, place.pool_images) == pytest.approx(expected, abs=1e-3, rel=1e-4)


@pytest.mark.slow
def test_a_model_trained_in_bf16_withstands_what_one_in_fp32_does(tmp_path: Path):
    """Of the same weights at first and the same batches, so that little but rounding is between."""
    training = {"epochs": 10, "batch_size": 128, "precision": "fp32"}
    arms = {"trades": {"defense": {"name": "trades", "beta": 0.1, "attack": INNER}}}
    changed = {"model": {"name": "small_cnn", "width": 16}, "data": {"name": "digits"}}
    work = prepare(
        Experiment.model_validate({**TINY, **changed, "training": training, "arms": arms}), tmp_path
    )
    place = place_of(work)
    images, labels = to_float(place.test_images), place.test_labels
    attack = PGD(eps=0.15, step_size=0.02, num_steps=20)
    withstood: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for run in work.plan.arms["trades"][:3]:
        for precision, found in withstood.items():
            recipe = run.training.model_copy(update={"precision": precision})
            chosen = replace(run, training=recipe)
            *_, last = fit(chosen, place.pool_images, place.pool_labels, place.shape)
            trained = build_model(run, place.shape, torch.device("cpu"))
            trained.load_state_dict(last.model.state_dict())
            torch.manual_seed(0)
            moved = attack.perturb(trained.eval(), images, labels)
            found.append(accuracy(trained, moved, labels))
    full, low = (sum(found) / 3 for found in withstood.values())
    assert low == pytest.approx(full, abs=0.05)
