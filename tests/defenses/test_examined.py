"""Networks whose per-example gradients are right, and those that are refused by a layer's name."""

import copy
from collections.abc import Callable
from typing import Any, Literal, cast, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from attacks.by_name import find
from defenses import Defense
from defenses.demem import DeMem
from defenses.dp_sgd import DPSGD
from defenses.residual_perturbation import ResidualPerturbation
from runner.models import Model
from tests.made.dp_sgd import BASES, NUM, SHAPE, backward, batch, network, protected
from tests.made.networks import SMALL

LABELS = torch.tensor([0, 1, 2, 3])


class Runs(nn.Module):
    """Layers by their letters, and what is done with them."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.run = nn.ModuleDict(layers), run

    def forward(self, images: Tensor) -> Tensor:
        return self.run(self.layers, images)


def head(*layers: nn.Module, inputs: int = 24) -> nn.Module:
    """Layers on images of 8x8 pixels, and a linear layer on 2x2 averages of theirs."""
    pooled = (nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(inputs, 4))
    return nn.Sequential(*layers, *pooled)


def linear(inputs: int = 192) -> nn.Module:
    return nn.Linear(inputs, 4)


def conv() -> nn.Conv2d:
    return nn.Conv2d(3, 3, 3, padding=1)


def tied() -> nn.Module:
    one, two = conv(), conv()
    two.weight = one.weight
    return nn.Sequential(one, nn.Tanh(), two, nn.Flatten(), linear())


def frozen_bias() -> nn.Module:
    layer = nn.Conv2d(3, 6, 3)
    layer.weight.requires_grad_(False)
    return head(layer, nn.GroupNorm(2, 6).requires_grad_(False))


class Scaled(nn.Module):
    """A layer with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.conv = nn.Parameter(torch.rand(3, 1, 1)), conv()

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images) * self.scale


class InFloat32(nn.GroupNorm):
    """A norm that answers in float32, as of many vision transformers."""

    def forward(self, input: Tensor) -> Tensor:
        scale, shift = self.weight.float(), self.bias.float()
        return F.group_norm(input.float(), self.num_groups, scale, shift, self.eps)


Padding = Literal["zeros", "reflect", "replicate", "circular"]
PADDED: dict[str, Callable[[], nn.Module]] = {
    f"Conv2d {mode} {padding} {keys}": (
        lambda mode=mode, padding=padding, keys=keys: head(
            nn.Conv2d(3, 6, 3, padding=padding, padding_mode=mode, **cast(Any, keys))
        )
    )
    for mode in get_args(Padding)
    for padding, keys in (
        (1, {}),
        ((1, 2), {"stride": 2, "bias": False}),
        ("same", {"dilation": 2, "groups": 3}),
    )
}
RIGHT: dict[str, Callable[[], nn.Module]] = {
    **PADDED,
    "Conv1d": lambda: nn.Sequential(
        nn.Flatten(2), nn.Conv1d(3, 2, 4, padding="same", padding_mode="circular"), nn.Flatten(),
        linear(128),
    ),
    "Conv3d": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 2, 3, padding=1, padding_mode="reflect"),
        nn.Flatten(), linear(384),
    ),
    "ConvTranspose2d": lambda: head(nn.ConvTranspose2d(3, 6, 3, 2, 1, groups=3)),
    "an embedding with a padding index": lambda: Runs(
        lambda m, x: m["l"](m["e"]((x * 9).long().flatten(1)).flatten(1)),
        e=nn.Embedding(9, 2, padding_idx=3), l=linear(384),
    ),
    "LayerNorm without bias": lambda: nn.Sequential(
        nn.LayerNorm(8, bias=False), nn.Flatten(), linear()
    ),
    "norms": lambda: head(
        nn.Conv2d(3, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.RMSNorm(6), nn.GroupNorm(3, 6)
    ),
    "BatchNorm, replaced": lambda: nn.Sequential(
        nn.Conv2d(3, 16, 8), nn.BatchNorm2d(16, eps=0.1), nn.Flatten(), nn.BatchNorm1d(16),
        linear(16),
    ),
    "a layer used twice": lambda: Runs(
        lambda m, x: m["l"](m["c"](m["c"](x).tanh()).flatten(1)), c=conv(), l=linear()
    ),
    "tied weights": tied,
    "a large layer used twice": lambda: Runs(
        lambda m, x: m["l"](m["a"](m["a"](x.flatten(1)).tanh())), a=nn.Linear(192, 192), l=linear()
    ),
    "5x5, groups, dilation, stride 3, no bias, LayerNorm": lambda: head(
        nn.Conv2d(3, 6, 5, stride=3, padding=3, bias=False), nn.LayerNorm(4), nn.Tanh(),
        nn.Conv2d(6, 6, 2, dilation=2, padding="same", groups=3),
    ),
    "a parameter of its own": lambda: head(Scaled(), inputs=12),
    "frozen parts": frozen_bias,
    "weight_norm": lambda: head(parametrizations.weight_norm(nn.Conv2d(3, 6, 3))),
    "a norm in float32 whatever it is given": lambda: Runs(
        lambda m, x: m["l"](m["n"](m["c"](x).float()).to(x.dtype).flatten(1)),
        c=conv(), n=InFloat32(1, 3), l=linear(),
    ),
    "dropout": lambda: head(nn.Conv2d(3, 6, 3), nn.Dropout2d(), nn.Dropout()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # numbers carry no gradient
@pytest.mark.parametrize("engine", ["taps", "opacus"])
@pytest.mark.parametrize("name", [name for name in RIGHT if name != "dropout"])
def test_per_example_gradients_are_those_of_batches_of_one(
    name: str, engine: Literal["taps", "opacus"]
):
    def make_model() -> nn.Module:
        torch.manual_seed(0)
        return RIGHT[name]()

    defense = DPSGD(noise_multiplier=0.0, engine=engine)
    kit = protected(defense, make_model=make_model)
    alone = defense.build(make_model).train()
    backward(defense, kit, torch.arange(NUM))
    for i, (image, label) in enumerate(zip(*batch(), strict=True)):
        alone.zero_grad()
        F.cross_entropy(alone(image[None]), label[None]).backward()
        for p, q in zip(kit.model.parameters(), alone.parameters(), strict=True):
            if p.requires_grad:
                assert q.grad is not None
                ours: Any = p
                torch.testing.assert_close(ours.grad_sample[i], q.grad, rtol=1e-5, atol=1e-5)


def examined(make_model: Callable[[], nn.Module], defense: Defense | None = None) -> str:
    """What is said of a network, "" if it is good; it stays as it was."""
    torch.manual_seed(0)
    defense = defense or DPSGD(noise_multiplier=1.0)
    try:
        built = defense.build(make_model)
        before = copy.deepcopy(built.state_dict())
        state = torch.get_rng_state()
        images = torch.rand(4, 3, 8, 8).to(memory_format=torch.channels_last)
        torch.set_rng_state(state)
        defense.examine(built, images, LABELS)
    except ValueError as error:
        return str(error)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[key], value) for key, value in built.state_dict().items())
    assert not any(hasattr(p, "grad_sample") or p.grad is not None for p in built.parameters())
    return ""


@pytest.mark.parametrize("name", RIGHT)
def test_networks_with_right_gradients_pass(name: str):
    assert examined(RIGHT[name]) == ""


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_our_own_networks_pass(fields: dict[str, Any]):
    model = find("runner.models", fields["name"], Model).model_validate(fields)
    assert examined(lambda: model.build(SHAPE)) == ""


@pytest.mark.parametrize("name", BASES)
def test_every_base_passes(name: str):
    assert examined(network, DPSGD(base=BASES[name], noise_multiplier=1.0)) == ""


class Idle(nn.Module):
    """A layer that stays in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.GroupNorm(1, 3), linear()

    def train(self, mode: bool = True) -> "Idle":
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(self.norm(images).flatten(1))


class Squeezing(nn.Module):
    """Drops the axis of a batch of one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = linear()

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1).squeeze())


def with_own_buffer() -> nn.Module:
    layer = Scaled()
    layer.register_buffer("mean", torch.zeros(1))
    return head(layer, inputs=12)


def hooked() -> nn.Module:
    layer = nn.Conv2d(3, 6, 3)
    layer.weight_g = nn.Parameter(torch.ones(1))
    layer.register_forward_pre_hook(lambda *_: None)
    return head(layer)


WRONG: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "a weight used outside of its layer too": (
        lambda: Runs(
            lambda m, x: m["l"](F.linear(m["a"](x.flatten(1)).tanh(), m["a"].weight.t())),
            a=nn.Linear(192, 192), l=linear(),
        ),
        r"layers\.a \(Linear\): its per-example gradients are off by",
    ),
    "a weight used outside of its layer alone": (
        lambda: Runs(
            lambda m, x: F.linear(x.flatten(1), m["a"].weight), a=nn.Linear(192, 4, bias=False)
        ),
        r"layers\.a \(Linear\): its weights are used outside of it",
    ),
    "a penalty on a weight in the answer": (
        lambda: Runs(lambda m, x: m["l"](x.flatten(1)) / m["l"].weight.norm(), l=linear()),
        r"layers\.l \(Linear\): its per-example gradients are off",
    ),
    "rows that are no examples": (
        lambda: Runs(
            lambda m, x: m["l"](m["a"](x.reshape(-1, 24)).tanh().reshape(len(x), -1)),
            a=nn.Linear(24, 24), l=linear(),
        ),
        r"layers\.a \(Linear\): it is given 32 rows for 4 examples",
    ),
    "the batch on the second axis": (
        lambda: Runs(
            lambda m, x: m["l"](m["a"](x.reshape(-1, 8, 24).transpose(0, 1))[0]),
            a=nn.Linear(24, 24), l=linear(24),
        ),
        r"layers\.a \(Linear\): it is given 8 rows for 4 examples",
    ),
    "places without a batch": (
        lambda: Runs(
            lambda m, x: m["l"](x.flatten(1) + m["e"](torch.arange(192)).flatten()),
            e=nn.Embedding(192, 1), l=linear(),
        ),
        r"layers\.e \(Embedding\): it is given 192 rows for 4 examples",
    ),
    "examples in another order": (
        lambda: Runs(
            lambda m, x: m["l"](m["c"](x.flip(0)).flip(0).tanh().flatten(1)), c=conv(), l=linear()
        ),
        r"layers\.c \(Conv2d\): its per-example gradients are off",
    ),
    "examples that meet": (
        lambda: Runs(lambda m, x: m["l"]((x - x.mean(0)).flatten(1)), l=linear()),
        "depends on which others are in the batch",
    ),
    "examples that meet behind autograd": (
        lambda: Runs(lambda m, x: m["l"]((x - x.detach().mean(0)).flatten(1)), l=linear()),
        "depends on which others are in the batch",
    ),
    "a layer that nobody calls": (
        lambda: Runs(lambda m, x: m["l"](x.flatten(1)), l=linear(), z=conv()),
        r"layers\.z \(Conv2d\): a parameter takes no part in the loss",
    ),
    "in place": (
        lambda: head(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True)),
        r"1 \(ReLU\) changes a layer's output in place; use inplace=False",
    ),
    "in place by a function": (
        lambda: Runs(lambda m, x: m["l"](m["c"](x).relu_().flatten(1)), c=conv(), l=linear()),
        "an operation such as relu_",
    ),
    "layers that are run again on the way back": (
        lambda: Runs(
            lambda m, x: checkpoint(lambda h: m["l"](m["a"](h).tanh()), x.flatten(1).exp(),
                                    use_reentrant=False),
            a=nn.Linear(192, 24), l=linear(24),
        ),
        r"torch\.utils\.checkpoint runs layers again .*; call them without it",
    ),
    "a layer under a transform": (
        lambda: Runs(lambda m, x: torch.vmap(m["l"])(x.flatten(1)), l=linear()),
        "it calls a layer under a transform such as torch.vmap; call the layer itself",
    ),
    "in eval mode": (Idle, r"norm \(GroupNorm\) is trained, but stays in eval mode"),
    "no batch of one": (Squeezing, "a batch that one example is drawn for cannot be trained on"),
    "attention": (
        lambda: Runs(
            lambda m, x: m["l"](m["a"](*[x.reshape(-1, 8, 24)] * 3)[0].flatten(1)),
            a=nn.MultiheadAttention(24, 4, batch_first=True), l=linear(),
        ),
        r"no per-example gradients of layers\.a \(MultiheadAttention\)",
    ),
    "spectral_norm": (
        lambda: head(parametrizations.spectral_norm(nn.Conv2d(3, 6, 3))),
        r"0 \(ParametrizedConv2d\) has weights to train and buffers",
    ),
    "weight_norm without bias": (
        lambda: head(parametrizations.weight_norm(nn.Conv2d(3, 6, 3, bias=False))),
        r"0\.parametrizations\.weight gives its weight to a layer without a bias",
    ),
    "a weight that a hook computes": (hooked, r"a hook computes the weight of 0 \(Conv2d\)"),
    "parameters beside buffers": (with_own_buffer, r"0 \(Scaled\) has weights to train and buff"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_networks_with_wrong_gradients_are_refused_in_a_sentence(name: str):
    make_model, why = WRONG[name]
    with pytest.raises(ValueError, match=f"^dp_sgd cannot train this network: .*{why}") as refused:
        raise ValueError(examined(make_model))
    assert "\n" not in str(refused.value)


def test_a_defense_over_dp_sgd_is_examined_as_it_is():
    over = DeMem(base=DPSGD(noise_multiplier=1.0), weight=0.0)
    assert examined(network, over) == ""
    assert "depends on which others" in examined(WRONG["examples that meet"][0], over)
    noisy = ResidualPerturbation(base=DPSGD(noise_multiplier=1.0), strategy="I", gamma=0.5)
    assert examined(network, noisy) == ""


def test_other_defenses_take_any_network():
    for name in ("erm", "pgd_at"):
        assert examined(WRONG["examples that meet"][0], BASES[name]) == ""
