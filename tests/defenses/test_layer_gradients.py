"""Every layer's gradients of each example against autograd's, one example at a time, in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defenses._factored import Factored
from defenses._layer_gradients import FORMULAS, formula_of
from runner.norms import GroupNorm
from tests.made.networks import CIFAR, DIGITS, SMALL, make

Case = tuple[Callable[[], nn.Module], tuple[int, ...]]  # a layer, and the shape of its input


def conv(shape: tuple[int, ...], *args: Any, kind: type = nn.Conv2d, **keys: Any) -> Case:
    return lambda: kind(shape[0], *args, **keys), shape


CASES: dict[str, Case] = {
    "5x5": conv((3, 9, 7), 4, 5, padding=2),
    "even kernel": conv((3, 8, 9), 4, (2, 4), padding=(0, 1)),
    "1x1": conv((6, 5, 4), 3, 1),
    "1x1 at every other pixel": conv((6, 5, 4), 3, 1, stride=2, bias=False),
    "stride 3, pixels left over": conv((3, 11, 10), 4, 3, stride=3, padding=1),
    "strides and dilations": conv((3, 11, 12), 4, 3, stride=(1, 2), dilation=(2, 1)),
    "same": conv((3, 7, 8), 4, 4, padding="same"),
    "same, dilated": conv((3, 7, 8), 4, 3, padding="same", dilation=(1, 2)),
    "valid": conv((3, 7, 8), 4, 3, padding="valid"),
    "reflect": conv((3, 7, 8), 4, 3, padding=(1, 2), padding_mode="reflect"),
    "circular": conv((16, 7, 8), 16, 3, padding=1, padding_mode="circular"),
    "replicate": conv((4, 7, 8), 4, 5, padding="same", padding_mode="replicate", groups=2),
    "groups": conv((6, 7, 8), 9, 3, groups=3, padding=1, stride=2),
    "depthwise": conv((5, 7, 8), 10, 3, groups=5, dilation=2, padding=1),
    "as groups": conv((16, 6, 5), 32, 3, padding=1, stride=2),
    "as groups, 1x1": conv((16, 6, 5), 32, 1),
    "one pixel": conv((3, 1, 1), 4, 3, padding=1),
    "factored": conv((40, 3, 3), 48, 3, padding=1),
    "factored, same and dilated": conv((40, 5, 4), 48, (3, 2), padding="same", dilation=2),
    "1d": conv((3, 9), 4, 3, kind=nn.Conv1d, stride=2, padding=1),
    "1d, circular": conv((3, 9), 4, 4, kind=nn.Conv1d, padding="same", padding_mode="circular"),
    "3d": conv((2, 5, 4, 3), 4, 3, kind=nn.Conv3d, padding=1, groups=2),
    "linear": (lambda: nn.Linear(6, 4), (6,)),
    "linear, factored": (lambda: nn.Linear(128, 96), (128,)),
    "linear at positions": (lambda: nn.Linear(6, 4, bias=False), (2, 3, 6)),
    "linear at positions, factored": (lambda: nn.Linear(128, 96), (3, 128)),
    "torch's group norm": (lambda: nn.GroupNorm(2, 6), (6, 3)),
    "torch's group norm without positions": (lambda: nn.GroupNorm(4, 32), (32,)),
    "instance norm": (lambda: nn.InstanceNorm2d(3, affine=True), (3, 4, 5)),
    "layer norm": (lambda: nn.LayerNorm(5), (3, 4, 5)),
    "layer norm of all": (lambda: nn.LayerNorm([3, 4, 5]), (3, 4, 5)),
    "layer norm without bias": (lambda: nn.LayerNorm([4, 5], bias=False), (3, 4, 5)),
    "rms norm": (lambda: nn.RMSNorm(5), (3, 5)),
}


def gradients_of(layer: nn.Module, given: Tensor, upstream: Tensor) -> Iterator[dict[str, Tensor]]:
    """Each example's gradients by autograd, a batch of one at a time."""
    for x, g in zip(given, upstream, strict=True):
        trained = {name: p for name, p in layer.named_parameters() if p.requires_grad}
        answer = layer(x[None])
        found = torch.autograd.grad(answer, [*trained.values()], g[None])
        yield dict(zip(trained, found, strict=True))


def compare(layer: nn.Module, given: Tensor) -> dict[str, Tensor]:
    """Hold a formula's gradients against autograd's, and return them.

    Also those of two examples, each shown in as many copies as there are rows, and in these.
    """
    upstream = torch.randn_like(layer(given))
    formula = formula_of(layer)
    assert formula is not None
    with torch.no_grad():
        by_formula = formula(layer, given, upstream)
    named = {name: by_formula[p] for name, p in layer.named_parameters() if p.requires_grad}
    assert len(named) == len(by_formula)
    alone = [*gradients_of(layer, given, upstream)]
    for i, slow in enumerate(alone):
        for name, expected in slow.items():
            torch.testing.assert_close(named[name][i], expected, rtol=1e-5, atol=1e-9)
    with torch.no_grad():
        twice = torch.cat([upstream, 2 * upstream])
        of_copies = formula(layer, torch.cat([given, given]), twice, len(given))
    for name, p in layer.named_parameters():
        for i in (0, 1) if p.requires_grad else ():
            whole = (i + 1) * sum(slow[name] for slow in alone)
            torch.testing.assert_close(of_copies[p][i], whole, rtol=1e-5, atol=1e-9)
    return named


def compare_in_float32(layer: nn.Module, given: Tensor) -> None:
    """Other kernels compute in float32: the same formula of the same numbers, to 1e-5."""
    upstream = torch.randn_like(layer(given))
    formula = formula_of(layer)
    assert formula is not None
    with torch.no_grad():
        expected = [*formula(layer, given, upstream).values()]
        found32 = [*formula(layer.float(), given.float(), upstream.float()).values()]
    layer.double()
    for ours, right in zip(found32, expected, strict=True):
        atol = 1e-5 * (right + 0).abs().max().item()
        torch.testing.assert_close((ours + 0).double(), right + 0, rtol=1e-5, atol=atol)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_autograds_of_batches_of_one_in_both_layouts(name: str):
    torch.manual_seed(0)
    make_layer, shape = CASES[name]
    layer = make_layer().double()
    for p in layer.parameters():
        nn.init.normal_(p)
    for num in (1, 5, 18):  # 18: more than are taken at once
        given = torch.randn(num, *shape, dtype=torch.float64)
        found = compare(layer, given)
        assert isinstance(found["weight"], Factored) == ("factored" in name)
        compare_in_float32(layer, given)
        if given.ndim == 4:
            given = given.to(memory_format=torch.channels_last)
            compare(layer, given)
            compare_in_float32(layer, given)
    frozen = layer.weight
    assert isinstance(frozen, nn.Parameter)
    frozen.requires_grad_(False)
    if [p for p in layer.parameters() if p.requires_grad]:
        assert [*compare(layer, given)] == ["bias"]


def test_an_embeddings_padding_row_stays_and_a_number_counts_as_often_as_it_occurs():
    torch.manual_seed(0)
    layer = nn.Embedding(7, 3, padding_idx=2).double()
    found = compare(layer, torch.randint(7, (5, 4, 6)))
    assert not found["weight"][:, 2].any()


def layers_of(fields: dict[str, Any]) -> dict[str, tuple[nn.Module, Tensor]]:
    """Every layer of a shipped network that is trained, with what it is given."""
    seen: dict[str, tuple[nn.Module, Tensor]] = {}
    shape = DIGITS if fields["name"] in ("resnet18", "resnet50") else CIFAR
    norm = {} if fields["name"] == "mlp" else {"norm": "group"}
    network = make(fields | norm, shape)
    for name, layer in network.named_modules():
        trained = any(p.requires_grad for p in layer.parameters(recurse=False))
        if trained and type(layer) is not GroupNorm:  # which has no formula, see test_taps.py
            layer.register_forward_hook(
                lambda m, given, _, name=name: seen.update({name: (m, given[0].detach())})
            )
    images = torch.rand(2, shape.channels, shape.height, shape.width)
    network(images.to(memory_format=torch.channels_last))
    for layer, _ in seen.values():
        layer._forward_hooks.clear()
    return seen


@pytest.mark.parametrize("fields", SMALL, ids=str)
def test_every_layer_of_every_shipped_network_is_known_and_right(fields: dict[str, Any]):
    torch.manual_seed(0)
    tried = set()
    for layer, given in layers_of(fields).values():
        if (case := (str(layer), given.shape)) not in tried:
            tried.add(case)
            compare(layer.double(), given.double())
    assert tried


def test_a_layer_goes_by_its_very_class_and_its_own_forward():
    class Twice(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * super().forward(input)

    changed: Any = nn.Linear(2, 2)
    changed.forward = lambda x: x
    assert formula_of(Twice(2, 2)) is None
    assert formula_of(changed) is None
    assert formula_of(nn.ConvTranspose2d(2, 2, 2)) is None
    assert formula_of(nn.Linear(2, 2)) is FORMULAS[nn.Linear]
