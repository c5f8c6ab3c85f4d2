"""The losses of Runs in work, as their workers' words told them."""

import inspect

from runner.driver._losses import MAX_POINTS, MAX_RUNS, Losses
from runner.driver.snapshot import Claim
from runner.train import train
from tests.made.snapshots import state


def seen(losses: Losses, *words: str, run: str = "a") -> list[float]:
    for word in words:
        losses.see(state(working={"l/0": Claim(run, word, 0.5, ticket=0)}))
    return losses.of(run)


def test_each_epoch_counts_once_and_other_words_not_at_all():
    words = ["starts", "epoch 1/9 loss 2.5", "epoch 1/9 loss 2.5", "epoch 3/9 loss 1.25"]
    words += ["epoch 4/9 loss nan", "epoch 5/9 loss odd", "natural images 500/1000 images"]
    assert seen(Losses(), *words) == [2.5, 1.25]


def test_the_words_are_those_that_training_says():
    assert 'f"epoch {ended}/{epochs} loss {loss:.3f}"' in inspect.getsource(train)


def test_what_is_no_longer_in_work_is_dropped():
    losses = Losses()
    seen(losses, "epoch 1/9 loss 2.5")
    assert seen(losses, "epoch 1/9 loss 9.0", run="b") == [9.0]
    assert losses.of("a") == []


def test_a_long_training_is_told_by_few_points_and_a_large_fleet_by_few_runs():
    losses = Losses()
    kept = seen(losses, *(f"epoch {i}/900 loss {i}.0" for i in range(1, 901)))
    assert MAX_POINTS // 2 <= len(kept) <= MAX_POINTS
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (1.0, 900.0)
    many = {f"l/{i}": Claim(f"r{i}", "epoch 1/9 loss 1.0", 0.1, i) for i in range(MAX_RUNS + 9)}
    losses.see(state(working=many))
    assert sum(bool(losses.of(f"r{i}")) for i in range(len(many))) == MAX_RUNS
