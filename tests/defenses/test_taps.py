"""Taps: the same steps as Opacus', nothing else computed, and nothing left behind."""

import copy
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defenses import Kit
from defenses._engines import recording
from defenses._factored import Factored
from defenses._layer_gradients import FORMULAS
from defenses._per_example import PerExampleGradients
from defenses._taps import TappedGradients
from defenses.dp_sgd import DPSGD
from runner.norms import GroupNorm
from tests.made.dp_sgd import BASES, NUM, backward, batch, network, protected, wide


def stepped(defense: DPSGD, kit: Kit) -> Tensor:
    """All weights after one step, in one row; the signs of an attack would spread rounding."""
    torch.manual_seed(3)
    for parts in kit.steps(0):
        for part in parts:
            backward(defense, kit, part)
            kit.optimizer.step()
    return torch.cat([p.detach().flatten() for p in kit.model.parameters()])


@pytest.mark.parametrize("make_model", [network, wide])
@pytest.mark.parametrize("name", BASES)
def test_both_engines_take_the_same_step(name: str, make_model: Any):
    """Clipped, in parts of 7, with the noise of the same seed."""
    after = []
    for engine in ("taps", "opacus"):
        keys: Any = {"engine": engine, "physical_batch_size": 7}
        defense = DPSGD(base=BASES[name], noise_multiplier=0.3, max_grad_norm=0.4, **keys)
        after.append(stepped(defense, protected(defense, make_model=make_model)))
    before = torch.cat([p.detach().flatten() for p in make_model().parameters()])
    assert (after[0] - before).abs().max() > 0.01
    torch.testing.assert_close(after[0], after[1], rtol=1e-5, atol=1e-6)


def test_large_layers_gradients_are_kept_in_factors():
    defense = DPSGD(base=BASES["trades"], noise_multiplier=0.0)
    kit = protected(defense, make_model=wide)
    backward(defense, kit, torch.arange(NUM))
    kept = {n for n, p in kit.model.named_parameters() if isinstance(_of(p), Factored)}
    assert kept == {"_module.3.weight", "_module.6.weight"}


def _of(p: nn.Parameter) -> Any:
    return getattr(p, "grad_sample", None)


@pytest.mark.parametrize("shape", [(8, 3, 2), (32,), (8, 4)])
@pytest.mark.parametrize("frozen", ["weight", "bias", ""])
def test_our_norms_gradients_are_autograds_of_batches_of_one(shape: tuple[int, ...], frozen: str):
    torch.manual_seed(0)
    norm, given = GroupNorm(shape[0]), torch.randn(5, *shape)
    for name, p in norm.named_parameters():
        nn.init.normal_(p).requires_grad_(name != frozen)
    layouts = [given]
    if given.ndim == 4:
        layouts.append(given.to(memory_format=torch.channels_last))
    for images in layouts:
        model = TappedGradients(norm)
        upstream = torch.randn_like(images)
        (model(images) * upstream).sum().backward()  # of which each example has a fifth
        for name, p in norm.named_parameters():
            assert (_of(p) is None) == (name == frozen)
            for i in range(len(images)) if name != frozen else ():
                alone = (norm(images[i : i + 1]) * upstream[i]).sum()
                (slow,) = torch.autograd.grad(alone, p)
                torch.testing.assert_close(_of(p)[i] / 5, slow, rtol=1e-5, atol=1e-5)
            of: Any = p
            of.grad_sample = None


def test_no_gradient_of_a_batch_is_computed_nor_any_of_the_images():
    defense = DPSGD(noise_multiplier=0.0)
    kit = protected(defense)
    backward(defense, kit, torch.arange(NUM))
    assert all(p.grad is None and len(_of(p)) == NUM for p in kit.model.parameters())
    model, (images, _) = kit.model, batch()
    stem = model(images).grad_fn
    seen, todo = set(), [stem]
    while todo:
        if (node := todo.pop()) is not None and node not in seen:
            seen.add(node)
            todo += [following for following, _ in node.next_functions]
    names = [node.name() for node in seen]
    assert names.count("_TapBackward") > names.count("ConvolutionBackward0") > 0


def test_outside_of_a_recorded_pass_the_network_is_as_it_was():
    model = TappedGradients(network())
    inner, (images, _) = model._module, batch()
    before = [*inner.parameters()]
    model(images)
    twin = copy.deepcopy(inner)
    with torch.no_grad():
        for p in twin.parameters():
            p.zero_()
    assert not twin(images).any()
    with pytest.raises(RuntimeError):
        model(images[:, :1].repeat(1, 2, 1, 1))
    model(images).sum()
    assert all(a is b for a, b in zip(inner.parameters(), before, strict=True))
    assert not any("forward" in vars(m) for m in inner.modules())
    torch.autograd.grad(inner(images).sum(), before)  # an ordinary network again
    with torch.no_grad():
        model(images)
    model.eval()(images).sum().backward()
    assert all(_of(p) is None and p.grad is not None for p in before)


@pytest.mark.parametrize("make_model", [network, wide])
def test_an_attack_through_the_recording_network_itself_leaves_no_trace(make_model: Any):
    """`crafting` gives the plain network; who forgets it gets the same step."""
    kits = [protected(DPSGD(noise_multiplier=0.0), make_model=make_model) for _ in range(2)]
    images, labels = batch()
    moved = images.clone().requires_grad_()
    answers = kits[0].model(moved)
    torch.autograd.grad(nn.functional.cross_entropy(answers, labels), moved, retain_graph=True)
    assert all(_of(p) is None for p in kits[0].model.parameters())
    nn.functional.cross_entropy(answers, labels).backward()
    backward(DPSGD(noise_multiplier=0.0), kits[1], torch.arange(NUM))
    for a, b in zip(*(kit.model.parameters() for kit in kits), strict=True):
        torch.testing.assert_close(_of(a) + 0, _of(b) + 0)


@pytest.mark.parametrize("make_model", [network, wide])
def test_a_network_that_computes_in_bf16_itself_has_gradients_of_its_weights_precision(
    make_model: Any,
):
    """Autocast, which a network may use inside, leaves bf16 to every layer but the first."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = make_model()

        def forward(self, images: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return self.inner(images).float()

    defense, own = DPSGD(noise_multiplier=0.0), Own()
    images, labels = batch()
    parameters = [*own.parameters()]
    losses = nn.functional.cross_entropy(own(images), labels, reduction="none")
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in losses]
    kit = protected(defense, make_model=lambda: own)
    backward(defense, kit, torch.arange(NUM))
    for p, column in zip(parameters, zip(*rows, strict=True), strict=True):
        found, right = _of(p) + 0, torch.stack(column)
        assert found.dtype == torch.float32
        assert (found - right).abs().max() < 0.02 * right.abs().max()  # bf16 has 8 bits
    kit.optimizer.step()


def test_nothing_is_held_once_the_gradients_are_cleared():
    """Without a collection of garbage, which would come too late for the next step."""
    defense = DPSGD(base=BASES["trades"], noise_multiplier=1.0)
    kit = protected(defense, make_model=wide)
    held = []
    for layer in kit.model.modules():
        if "weight" in layer._parameters:
            layer.register_forward_hook(lambda *args: held.append(weakref.ref(args[2])))
    backward(defense, kit, torch.arange(NUM))
    assert held
    assert not any(answer() for answer in held)
    held += [weakref.ref(t) for p in kit.model.parameters() for t in _parts(_of(p))]
    kit.optimizer.step()
    kit.optimizer.zero_grad()
    assert not any(answer() for answer in held)


def _parts(gradients: Any) -> tuple[Tensor, ...]:
    factored = isinstance(gradients, Factored)
    return (gradients.inputs, gradients.gradients) if factored else (gradients,)


def test_a_second_backward_pass_before_the_gradients_are_cleared_is_refused():
    defense = DPSGD(noise_multiplier=0.0)
    kit = protected(defense, make_model=wide)
    backward(defense, kit, torch.arange(NUM))
    kit.optimizer.step()
    with pytest.raises(ValueError, match="haven't been cleared"):
        kit.model(batch()[0]).sum().backward()


@pytest.mark.parametrize("num", [1, 2])
def test_a_batch_of_one_or_two_has_the_gradients_of_its_examples(num: int):
    defense, other = DPSGD(noise_multiplier=0.0), DPSGD(noise_multiplier=0.0, engine="opacus")
    kits = [protected(each, make_model=wide) for each in (defense, other)]
    for kit in kits:
        backward(defense, kit, torch.arange(num))
    for a, b in zip(*(kit.model.parameters() for kit in kits), strict=True):
        torch.testing.assert_close(_of(a) + 0, _of(b), rtol=1e-5, atol=1e-6)


def test_a_network_with_a_layer_that_is_not_known_goes_opacus_way_as_a_whole():
    known = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 2).requires_grad_(False))
    assert isinstance(recording(known, "taps"), TappedGradients)
    assert isinstance(recording(known, "opacus"), PerExampleGradients)
    unknown = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 2))
    assert isinstance(recording(unknown, "taps"), PerExampleGradients)


def test_a_formula_that_is_wrong_is_found_before_the_first_step(monkeypatch: pytest.MonkeyPatch):
    right = FORMULAS[nn.Linear]

    def wrong(*given: Any) -> dict[nn.Parameter, Tensor]:
        return {p: 1.1 * g for p, g in right(*given).items()}

    monkeypatch.setitem(FORMULAS, nn.Linear, wrong)
    images, labels = batch()
    with pytest.raises(ValueError, match=r"linear \(Linear\): its per-example gradients are off"):
        DPSGD(noise_multiplier=1.0).examine(network(), images[:4], labels[:4])
    DPSGD(noise_multiplier=1.0, engine="opacus").examine(network(), images[:4], labels[:4])
