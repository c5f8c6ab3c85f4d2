"""GroupNorm in channels_last: PyTorch's figures by a slow oracle, and PyTorch itself elsewhere."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from runner.norms import GroupNorm, _by_rows, group_norm, narrow_norms
from tests.made.networks import CIFAR, images_of, make

LAST = torch.channels_last


def features_of(*shape: int, mean: float = 0.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Features in channels_last whose images and channels differ in mean and spread."""
    generator = torch.Generator().manual_seed(0)
    n, channels, *_ = shape
    spread = torch.rand(n, channels, 1, 1, generator=generator) + 0.5
    drawn = torch.randn(shape, generator=generator) * spread + spread + mean
    return drawn.to(dtype).to(memory_format=LAST)


def with_gradients(
    norm: Callable[..., Tensor], features: Tensor, groups: int, *affine: Tensor
) -> list[Tensor]:
    """What comes out, and the gradients of features, weight and bias for one of the output."""
    given = [t.detach().requires_grad_() for t in (features, *affine)]
    out = norm(given[0], groups, *given[1:])
    generator = torch.Generator().manual_seed(1)
    gradient = torch.randn(out.shape, generator=generator) + 0.3
    gradient = gradient.to(features.dtype).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, given, gradient)]


def affine_of(channels: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    weight, bias = torch.randn(2, channels, generator=generator).to(dtype)
    return weight, bias


SHAPES = [
    ((5, 16, 12, 12), 16),
    ((5, 32, 7, 3), 32),
    ((70, 64, 4, 4), 32),
    ((3, 48, 5, 5), 16),
    ((2, 6, 9, 1), 1),
    ((1, 8, 2, 2), 2),
    ((9, 4, 200, 200), 4),  # several parts
]


@pytest.mark.parametrize("mean", [0.0, 30.0, -1000.0])
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
def test_in_float32_it_is_as_near_to_float64_as_pytorchs(shape, groups, mean):
    features, affine = features_of(*shape, mean=mean), affine_of(shape[1])
    exact = with_gradients(F.group_norm, features.double(), groups, *(t.double() for t in affine))
    plain = with_gradients(F.group_norm, features.contiguous(), groups, *affine)
    ours = with_gradients(group_norm, features, groups, *affine)
    for one, theirs, right in zip(ours, plain, exact, strict=True):
        size = right.abs().max()
        assert (one - right).abs().max() <= 2 * (theirs - right).abs().max() + 1e-6 * size


@pytest.mark.parametrize("mean", [0.0, 30.0])
@pytest.mark.parametrize(("shape", "groups"), SHAPES, ids=str)
def test_in_bf16_it_rounds_once_as_pytorchs_does(shape, groups, mean):
    """All sums and products are in float32, and so are the gradients of weight and bias."""
    features, affine = features_of(*shape, mean=mean, dtype=torch.bfloat16), affine_of(shape[1])
    exact = with_gradients(F.group_norm, features.double(), groups, *(t.double() for t in affine))
    plain = with_gradients(F.group_norm, features.contiguous(), groups, *affine)
    ours = with_gradients(group_norm, features, groups, *affine)
    for one, theirs, right in zip(ours, plain, exact, strict=True):
        assert one.dtype == theirs.dtype
        assert (one - right).norm() <= 1.1 * (theirs - right).norm() + 2e-5 * right.norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("each", [False, True], ids=["of all images", "of each image"])
def test_images_are_the_same_however_many_are_taken_at_a_time(monkeypatch, each, dtype):
    features, affine = features_of(7, 16, 6, 5, dtype=dtype), affine_of(16)
    affine = [t.expand(7, 16).contiguous() for t in affine] if each else affine
    whole = with_gradients(group_norm, features, 8, *affine)
    for images in (1, 3):
        monkeypatch.setattr(_by_rows, "CHUNK", images * features[0].numel())
        parts = with_gradients(group_norm, features, 8, *affine)
        for ours, right in zip(parts, whole, strict=True):
            torch.testing.assert_close(ours, right)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_weights_and_for_features_alone(dtype):
    features = features_of(4, 16, 6, 6, dtype=dtype)
    exact = with_gradients(F.group_norm, features.double(), 4)
    for one, right in zip(with_gradients(group_norm, features, 4), exact, strict=True):
        torch.testing.assert_close(one.double(), right, rtol=0.01, atol=0.02 * right.std().item())
    norm, given = GroupNorm(16), features.requires_grad_()
    out = norm(given)
    (gradient,) = torch.autograd.grad(out.float().sum(), given)
    assert norm.weight.grad is None
    for made in (out, gradient):
        assert made.dtype == dtype
        assert made.is_contiguous(memory_format=LAST)
        assert not made.is_contiguous()


def test_weights_alone_have_their_gradients():
    norm, oracle = GroupNorm(16), GroupNorm(16).double()
    features = features_of(4, 16, 6, 6)
    for layer, given in ((norm, features), (oracle, features.double())):
        layer(given).square().sum().backward()
    for ours, right in zip(norm.parameters(), oracle.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, right.grad, check_dtype=False, rtol=1e-5, atol=1e-4)


def test_a_flat_map_is_left_at_its_bias():
    """Its variance is 0, and E[x^2] - E[x]^2 would be rounding."""
    features = torch.full((3, 16, 8, 8), 7.3).to(memory_format=LAST)
    weight, bias = affine_of(16)
    out = group_norm(features, 16, weight, bias)
    torch.testing.assert_close(out, bias.view(1, -1, 1, 1).expand_as(out), rtol=0, atol=1e-3)


def test_what_is_not_finite_stays_so_in_its_group_alone():
    features = features_of(2, 16, 4, 4)
    features[0, 3, 1, 1] = torch.inf
    out = group_norm(features, 8, *affine_of(16))
    assert out[0, 2:4].isnan().all()
    assert out[0, 4:].isfinite().all()
    assert out[1].isfinite().all()


@pytest.mark.parametrize(
    "features",
    [
        features_of(4, 16, 6, 6).double(),
        features_of(4, 16, 6, 6).contiguous(),
        features_of(4, 16, 1, 1),
        torch.randn(4, 16),
        torch.randn(4, 16, 5),
        torch.randn(2, 16, 3, 3, 3).to(memory_format=torch.channels_last_3d),
        features_of(4, 16, 6, 6)[:, :, ::2],
        features_of(4, 16, 6, 6)[:0],
        features_of(4, 16, 6, 6, dtype=torch.float16),
    ],
    ids=lambda t: f"{t.dtype} {tuple(t.shape)} {t.stride()}",
)
def test_all_else_is_pytorchs_own(features: Tensor):
    affine = affine_of(16, features.dtype)
    for ours, theirs in zip(
        with_gradients(group_norm, features, 8, *affine),
        with_gradients(F.group_norm, features, 8, *affine),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_on_the_meta_device_there_is_a_shape():
    features = features_of(4, 16, 6, 6).to("meta")
    assert group_norm(features, 8).shape == features.shape


def test_a_gradient_can_be_differentiated_again():
    """As a penalty on gradients does."""

    def twice(norm: Callable[..., Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
        features = features_of(3, 16, 5, 5).to(dtype).requires_grad_()
        weight, bias = (t.requires_grad_() for t in affine_of(16, dtype))
        hidden = features * 2
        out = norm(hidden, 8, weight, bias)
        (first,) = torch.autograd.grad(out.pow(3).sum(), features, create_graph=True)
        return torch.autograd.grad(first.square().sum(), (features, weight, bias))

    ours, right = twice(group_norm, torch.float32), twice(F.group_norm, torch.float64)
    for one, exact in zip(ours, right, strict=True):
        torch.testing.assert_close(one.double(), exact, rtol=1e-3, atol=1e-3 * exact.std().item())


def test_it_can_be_transformed():
    features, affine = features_of(3, 16, 5, 5), affine_of(16)

    def loss(given: Tensor) -> Tensor:
        return group_norm(given, 8, *affine).pow(3).sum()

    given = features.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(given), given)
    torch.testing.assert_close(torch.func.grad(loss)(features), expected, rtol=1e-4, atol=1e-3)
    each = torch.func.vmap(torch.func.grad(loss))(features.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(each, expected, rtol=1e-4, atol=1e-3)


def test_a_copy_of_the_layer_is_one():
    norm = GroupNorm(16)
    twin = copy.deepcopy(norm)
    with torch.no_grad():
        twin.weight.zero_()
    features = features_of(2, 16, 4, 4)
    assert norm(features).abs().max() > 1
    assert twin(features).abs().max() == 0


def test_a_look_at_a_network_sees_it_with_its_number_of_values():
    norm = GroupNorm(16)
    norm.groups_of = lambda _: 16  # pyright: ignore[reportAttributeAccessIssue]
    (told,) = narrow_norms(norm, torch.rand(2, 16, 2, 1).to(memory_format=LAST), 64)
    assert told.startswith("the GroupNorm normalises 2 values at a time, ")


class Slow(TorchDispatchMode):
    """Notes what takes many times as long in channels_last as in a contiguous layout."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        layouts = {kind for t in args if isinstance(t, Tensor) if (kind := layout_of(t))}
        name = func.overloadpacket.__name__
        draws = name in ("randn_like", "rand_like", "normal_", "uniform_", "bernoulli_")
        alone = "group_norm" in name or draws
        if len(layouts) > 1 or (alone and layouts == {"channels_last"}):
            self.seen.append(f"{name} {layouts}")
        return func(*args, **(kwargs or {}))


def layout_of(t: Tensor) -> str | None:
    """How features lie in memory; None if it does not matter."""
    if t.ndim != 4 or t.is_contiguous() == t.is_contiguous(memory_format=LAST):
        return None
    return "contiguous" if t.is_contiguous() else "channels_last"


def test_the_look_for_slow_layouts_finds_them():
    norm, features = nn.GroupNorm(4, 8), features_of(2, 8, 4, 4).requires_grad_()
    with Slow() as slow:
        norm(torch.relu(features)).mean((2, 3)).sum().backward()
        torch.randn_like(features)
    assert {each.split()[0] for each in slow.seen} >= {
        "native_group_norm",
        "native_group_norm_backward",
        "randn_like",
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["resnet8", "wide_resnet"])
def test_no_layer_of_a_network_with_group_norm_runs_in_a_slow_layout(name, training, dtype):
    fields = {"name": name, "norm": "group"} | ({"depth": 10} if name == "wide_resnet" else {})
    fields |= {"widen_factor": 1} if name == "wide_resnet" else {}
    model = make(fields, CIFAR).train(training)
    images = images_of(CIFAR).to(memory_format=LAST).requires_grad_()
    with Slow() as slow, torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        model(images).float().square().sum().backward()
    assert slow.seen == []


@pytest.mark.parametrize("layout", [torch.contiguous_format, LAST])
def test_a_scale_and_shift_of_each_image_has_gradients_of_each(layout: torch.memory_format):
    features = features_of(5, 16, 4, 3).to(memory_format=layout)
    weight, bias = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))
    out, *found = with_gradients(group_norm, features, 4, weight, bias)
    slow = [t.double() for t in (features, weight, bias)]
    for i in range(5):
        expected = F.group_norm(slow[0][i : i + 1], 4, slow[1][i], slow[2][i])
        torch.testing.assert_close(out[i].double(), expected[0], rtol=1e-5, atol=1e-5)
    of_all = with_gradients(of_each, slow[0], 4, *slow[1:])[1:]
    for ours, right in zip(found, of_all, strict=True):
        torch.testing.assert_close(ours.double(), right, rtol=1e-4, atol=1e-5)


def of_each(features: Tensor, groups: int, weight: Tensor, bias: Tensor) -> Tensor:
    """Each image normalised, scaled and shifted by itself."""
    trio = zip(features, weight, bias, strict=True)
    return torch.cat([F.group_norm(x[None], groups, w, b) for x, w, b in trio])
