"""SELENA: who sees what, what is taught, and a Run of both parts that may be stopped."""

from typing import Any, cast

import numpy as np
import pytest
import torch

from defenses import Kit
from defenses._split_ai import SplitAI, left_out, taught
from defenses.awp import AWP
from defenses.dp_sgd import DPSGD
from defenses.selena import SELENA
from runner.train.fit import build_model, lr_factor
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.made import defense_contract as contract
from tests.made.training import a_run, trained

SMALL = SELENA(num_models=4, left_out=2, split_epochs=2)


def test_each_member_is_left_out_of_so_many_models_chosen_evenly():
    found = left_out(4000, 5, 2, seed=1)
    assert found.sum(1).eq(2).all()
    assert found.double().mean(0).numpy() == pytest.approx(np.full(5, 0.4), abs=0.03)
    assert torch.equal(found, left_out(4000, 5, 2, seed=1))
    assert not torch.equal(found, left_out(4000, 5, 2, seed=2))


def test_a_lesson_is_the_mean_answer_of_the_models_that_never_saw_the_example():
    network = SplitAI(contract.network, 3).train()
    every: Any = network.networks
    for k, each in enumerate(every):
        torch.nn.init.constant_(each.linear.bias, 0.0)
        each.linear.bias.data[k] = 2.0
    images, _ = contract.batch(4)
    without = torch.tensor([[1, 0, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1]], dtype=torch.bool)
    found = taught(network, images, without)
    for row, image, of in zip(found, images, without, strict=True):
        teachers = [network.networks[k + 1] for k in range(3) if of[k]]
        expected = torch.stack([t(image[None])[0].softmax(0) for t in teachers]).mean(0)
        assert torch.allclose(row, expected, atol=1e-6)
    assert all(m.training for m in network.modules())


def kit_of(network: SplitAI, members: torch.Tensor) -> Kit:
    """Everybody in one batch; nobody takes a step."""
    return Kit(network, cast(Any, None), lambda epoch: [[members]], members, len(members), 5)


def test_a_sub_model_is_trained_on_no_example_that_it_teaches_and_members_alone_are_used():
    network = SplitAI(contract.network, 4)
    members = torch.tensor([3, 5, 6, 9, 12, 20, 21, 22, 30, 31, 40, 44, 45, 46, 50, 51])
    kit = SMALL.protect(kit_of(network, members))
    seen: dict[int, set[int]] = {k: set() for k in range(5)}
    teachers: dict[int, list[bool]] = {}
    for epoch in range(4):
        for parts in kit.steps(epoch):
            for batch in parts:
                assert network.part is not None
                seen[network.part.network] |= set(batch.tolist())
                assert (network.part.left_out is None) == (epoch < 2)
                if network.part.left_out is not None:
                    rows = network.part.left_out.tolist()
                    teachers |= dict(zip(batch.tolist(), rows, strict=True))
    assert seen[0] == set(members.tolist()) == teachers.keys()
    for example, of in teachers.items():
        assert sum(of) == 2
        assert [example not in seen[k + 1] for k in range(4)] == of


def test_a_step_moves_the_network_whose_turn_it_is_and_no_other(place: Workplace, work: Any):
    run = a_run(work, SMALL, epochs=4)
    start = build_model(run, place.shape, place.device).state_dict()
    states = [state["model"] for _, state in trained(run, place)]

    def moved(before: dict, after: dict, network: int) -> bool:
        names = [name for name in before if name.startswith(f"networks.{network}.")]
        return any(not torch.equal(before[name], after[name]) for name in names)

    assert [moved(start, states[1], k) for k in range(5)] == [False, True, True, True, True]
    assert [moved(states[1], states[3], k) for k in range(5)] == [True] + [False] * 4


def test_the_schedule_runs_once_in_each_part(place: Workplace, work: Any):
    run = a_run(work, SMALL, epochs=5)
    rates = [metrics["lr"] for metrics, _ in trained(run, place)]
    steps = 4  # of 100 members in batches of 32; of the last one each rate is told
    training = run.training
    expected = [
        training.lr * lr_factor(training.schedule, (epoch + 1) * steps - 1, steps, length)
        for length in (2, 3)
        for epoch in range(length)
    ]
    assert rates == pytest.approx(expected)


def test_it_goes_on_from_a_checkpoint_in_either_part_with_the_same_bits(
    place: Workplace, work: Any
):
    run = a_run(work, SMALL, epochs=4, momentum=0.9)
    whole = trained(run, place)
    for epoch in (0, 1, 2):
        torch.rand(17)
        rest = trained(run, place, state=whole[epoch][1])
        pairs = zip(whole[-1][1]["model"].values(), rest[-1][1]["model"].values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_finished_run_answers_by_the_distilled_network_and_learns(place: Workplace, work: Any):
    run = a_run(work, SELENA(num_models=3, left_out=1, split_epochs=8), epochs=16, lr=0.1)
    train(run, place)
    model = place.trained(run)
    shown = place.pool_images[:20].float() / 255
    assert isinstance(model, SplitAI)
    with torch.no_grad():
        assert torch.equal(model(shown), model.networks[0](shown))
        answers = model(place.pool_images.float() / 255).argmax(1)
    assert (answers == place.pool_labels).double().mean() > 0.5


def test_epochs_are_halved_unless_told_and_impossible_ones_are_refused():
    assert SELENA().resolved(100, 10, 7).split_epochs == 3
    assert SELENA().phases(7) == (3, 4)
    assert SELENA(split_epochs=5).phases(7) == (5, 2)
    with pytest.raises(ValueError, match=r"for 0 of 1 epochs.*training.epochs more"):
        SELENA().resolved(100, 10, 1)
    with pytest.raises(ValueError, match="none would be trained"):
        SELENA(num_models=3, left_out=3)


@pytest.mark.parametrize("images", [2, 3, 6])
def test_in_short_a_sub_model_at_least_is_trained_on_so_few_images(images: int):
    short = SELENA(split_epochs=2).in_short()
    assert SELENA.model_validate(short.model_dump()) == short
    assert short.split_epochs == 2
    network: Any = short.build(contract.network)
    assert len(network.networks) == 4
    for seed in range(20):
        kit = kit_of(network, torch.arange(images))._replace(seed=seed)
        assert [*next(iter(short.protect(kit).steps(0)))]
    assert SELENA(num_models=2, left_out=1).in_short() == SELENA(num_models=2, left_out=1)


@pytest.mark.parametrize("over", [AWP, DPSGD])
def test_nothing_can_be_put_over_it(over: Any):
    keys: dict[str, Any] = {"noise_multiplier": 1.0} if over is DPSGD else {}
    with pytest.raises(ValueError, match="selena decides itself which examples"):
        over(base=SMALL, **keys)
