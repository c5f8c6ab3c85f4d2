"""DP-SGD on several augmented copies of each example, whose mean gradient is clipped."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from defenses import Defense, Facts, dp_sgd
from defenses._engines import recording
from defenses.dp_sgd import DPSGD
from runner.data import Augment
from runner.experiment.experiment import Experiment
from runner.forecast.costs import operations
from runner.models import ImageShape
from runner.models.resnet import ResNet
from runner.train.workplace import Workplace
from tests.conftest import TINY
from tests.made.dp_sgd import BASES, NUM, SHAPE, network, protected, wide
from tests.made.training import a_run, trained

K = 3
BOTH = ("taps", "opacus")


def views(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Four examples, K different images of each one behind the other, and their labels."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(4 * K, 3, 8, 8, generator=generator, dtype=dtype)
    labels = torch.randint(0, 4, (4,), generator=generator)
    return images, labels.repeat_interleave(K)


def of_micro_batches(base: Defense, model: nn.Module, images: Tensor, labels: Tensor) -> list:
    """The gradient of the mean loss of each example's views, in a batch of their own, by autograd.

    Attacks that start at random would start elsewhere, so the images are those to train at.
    """
    found = []
    for i in range(0, len(images), K):
        shown, shown_as = images[i : i + K], labels[i : i + K]
        loss = base.losses_at(model, shown, shown.flip(3), shown_as).total.mean()
        found.append(torch.autograd.grad(loss, [*model.parameters()]))
    return [torch.stack(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("make_model", [network, wide])
@pytest.mark.parametrize("name", ["erm", "pgd_at", "trades", "mart"])
def test_gradients_are_those_of_a_batch_of_each_examples_views(
    name: str, make_model: Any, engine: str, layout: torch.memory_format
):
    model = make_model().double().train().to(memory_format=layout)
    images, labels = views()
    images = images.to(memory_format=layout)
    slow = of_micro_batches(BASES[name], model, images, labels)
    recorded = recording(model, engine, K)
    BASES[name].losses_at(recorded, images, images.flip(3), labels).total.mean().backward()
    for p, expected in zip(model.parameters(), slow, strict=True):
        found: Any = p
        assert found.grad_sample.shape == expected.shape
        most = expected.abs().max().item()
        torch.testing.assert_close(found.grad_sample + 0, expected, rtol=1e-5, atol=1e-5 * most)


@pytest.mark.parametrize("engine", BOTH)
@pytest.mark.parametrize("part", [None, 2 * K, 2 * K + 1, K])
def test_a_step_is_the_sum_of_clipped_means_and_parts_hold_whole_examples(part: Any, engine: Any):
    defense = DPSGD(
        noise_multiplier=0.0,
        max_grad_norm=3.9,
        augmentations=K,
        physical_batch_size=part,
        engine=engine,
    )
    kit = protected(defense, batch_size=NUM)
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(NUM * K, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 4, (NUM,), generator=generator).repeat_interleave(K)
    slow = of_micro_batches(defense.base, network().train(), images, labels)
    rows = torch.cat([g.flatten(1) for g in slow], 1).double()
    norms = rows.norm(dim=1, keepdim=True)
    assert norms.min() < 3.9 < norms.max()
    expected = (rows * (3.9 / norms).clamp(max=1)).sum(0) / NUM
    before = torch.cat([p.detach().flatten() for p in kit.model.parameters()])
    sizes = []
    for parts in kit.steps(0):
        for chosen in parts:
            assert chosen.reshape(-1, K).eq(chosen[::K, None]).all()
            rows_of = (chosen[::K, None] * K + torch.arange(K)).flatten()
            kit.optimizer.zero_grad(set_to_none=True)
            losses = defense.losses(kit.model, images[rows_of], labels[rows_of])
            losses.total.mean().backward()
            kit.optimizer.step()
            sizes.append(len(chosen))
    assert sum(sizes) == NUM * K
    assert max(sizes) == (part // K * K if part else NUM * K)
    moved = before - torch.cat([p.detach().flatten() for p in kit.model.parameters()])
    torch.testing.assert_close(moved.double(), expected, rtol=1e-4, atol=1e-5)


def test_the_memory_bound_counts_each_copy(monkeypatch: pytest.MonkeyPatch):
    size = 4 * sum(p.numel() for p in network().parameters())
    monkeypatch.setattr(dp_sgd, "GRADIENT_BYTES", 8 * size + 1)
    defense = DPSGD(noise_multiplier=0.0, poisson_sampling=False, augmentations=K)
    sizes = [len(part) for parts in protected(defense).steps(0) for part in parts]
    assert sizes == NUM // 2 * [2 * K]


def augmenting(work: Any, defense: Defense, **training: Any) -> Any:
    return replace(a_run(work, defense, **training), augment=Augment(crop_padding=2, flip=True))


def test_both_engines_train_alike_on_copies_that_are_augmented_apart(place: Workplace, work):
    keys: Any = {"noise_multiplier": 0.5, "augmentations": 4, "max_grad_norm": 0.3}
    after = []
    for engine in BOTH:
        run = augmenting(work, DPSGD(engine=engine, **keys), lr=0.1, epochs=1)
        after.append(trained(run, place)[-1])
    for name, weights in after[0][1]["model"].items():
        torch.testing.assert_close(weights, after[1][1]["model"][name], rtol=1e-4, atol=1e-5)
    once = augmenting(work, DPSGD(**keys | {"augmentations": 1}), lr=0.1, epochs=1)
    apart = trained(once, place)[-1][1]["model"]
    assert any(not torch.equal(w, apart[name]) for name, w in after[0][1]["model"].items())


@pytest.mark.parametrize("base", ["erm", "pgd_at"])
def test_without_noise_and_clipping_it_is_its_base_on_that_many_copies(
    place: Workplace, work, base: str
):
    """Of copies that are all alike, as nothing is augmented: then it is the base itself."""
    off = {"noise_multiplier": 0.0, "max_grad_norm": 1e9, "poisson_sampling": False}
    steady = BASES[base]
    if base == "pgd_at":  # from the images themselves, or each copy would start elsewhere
        attack = steady.attack.model_copy(update={"start": "none"})  # pyright: ignore[reportAttributeAccessIssue]
        steady = steady.model_copy(update={"attack": attack})
    plain = trained(a_run(work, steady, epochs=1), place)[-1]
    ours = trained(a_run(work, DPSGD(base=steady, augmentations=2, **off), epochs=1), place)[-1]
    for key, weights in plain[1]["model"].items():
        assert torch.allclose(ours[1]["model"][key], weights, rtol=0, atol=1e-5), key


def test_the_same_augmentations_come_again_after_a_checkpoint(place: Workplace, work):
    defense = DPSGD(noise_multiplier=1.0, augmentations=2, physical_batch_size=10)
    run = augmenting(work, defense, lr=0.05)
    whole = trained(run, place)
    rest = trained(run, place, state=whole[0][1])
    a, b = whole[-1][1]["model"], rest[-1][1]["model"]
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_copies_that_would_be_alike_are_refused_with_the_way_out():
    private = {"name": "dp_sgd", "noise_multiplier": 1.0, "augmentations": 8}
    keys: Any = {**TINY, "arms": {"private": {"defense": private}}}
    with pytest.raises(ValueError, match=r"example 8 times .* all of them alike.*add `data\.aug"):
        Experiment.model_validate(keys)
    below = {"name": "demem", "weight": 0, "base": private}
    with pytest.raises(ValueError, match="all of them alike"):
        Experiment.model_validate({**keys, "arms": {"private": {"defense": below}}})
    data = {**TINY["data"], "augment": {"flip": True}}
    given = Experiment.model_validate({**keys, "data": data})
    assert given.arms["private"].defense.copies == 8


def test_a_part_that_cannot_hold_one_examples_copies_is_refused():
    with pytest.raises(ValueError, match="physical_batch_size 7 is below augmentations 8"):
        DPSGD(noise_multiplier=1.0, augmentations=8, physical_batch_size=7)


def test_keys_that_are_left_alone_stay_out_of_what_a_runs_id_is_made_of(work):
    dumped = DPSGD(noise_multiplier=1.0).model_dump(mode="json")
    assert not {"augmentations", "max_batch_size"} & set(dumped)
    private = DPSGD(noise_multiplier=1.0, augmentations=2, max_batch_size=99)
    dumped = private.model_dump(mode="json")
    assert (dumped["augmentations"], dumped["max_batch_size"]) == (2, 99)
    assert DPSGD.model_validate(dumped) == private


def test_the_cost_of_a_step_counts_its_copies(work, tiny: Experiment):
    shape = ImageShape(1, 8, 8, 10, (0.3,), (0.4,))
    one, eight = (
        operations(a_run(work, DPSGD(noise_multiplier=1.0, augmentations=k)), shape) for k in (1, 8)
    )
    assert eight == (one[0], pytest.approx(8 * one[1]))


def test_the_guarantee_is_that_of_one_copy():
    facts = Facts(nn.Identity(), 1000, 50, 5, 1e-5)
    one, eight = (
        DPSGD(noise_multiplier=1.1, accountant="rdp", augmentations=k).guarantee(facts)
        for k in (1, 8)
    )
    assert one == eight


@pytest.mark.parametrize("engine", BOTH)
def test_a_network_is_examined_on_copies(engine: Any):
    images = torch.rand(3, 3, 8, 8)
    labels = torch.tensor([0, 1, 2])

    good = DPSGD(noise_multiplier=1.0, augmentations=8, engine=engine)
    good.examine(network(), images, labels)
    good.examine(ResNet(name="resnet18", width=4, norm="group").build(SHAPE), images, labels)
