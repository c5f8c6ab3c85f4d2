"""What a trained model answers under attack, in this process and without Ray."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from attacks.evasion.pgd import PGD
from runner import store
from runner.augment import to_float
from runner.experiment import Robustness
from runner.ids import seed_of
from runner.pipeline import Work
from runner.robustness import attack_all
from runner.train import train
from runner.workplace import Workplace


def folders(work: Work, run_id: str) -> set[str]:
    return {folder.name for folder in (work.store.run(run_id) / "robustness").iterdir()}


def read(folder: Path) -> tuple[dict[str, np.ndarray], Any]:
    """The columns and the facts of one attack's outcome."""
    table = pq.read_table(folder / "robustness.parquet").to_pydict()
    return {name: np.array(column) for name, column in table.items()}, store.facts(folder)


@pytest.mark.parametrize("on", ["test", "non_members"])
def test_robustness_is_written_example_by_example_and_an_attack_only_harms(
    place: Workplace, work: Work, on: str
):
    robustness = work.experiment.robustness.model_copy(update={"on": on, "num_examples": 40})
    run = work.plan.arms["erm"][0]
    train(run, place)
    attack_all(run, place, robustness, draws=10)
    accuracy = {}
    for attack in (None, "pgd2"):
        folder = work.store.robustness(run.id, robustness.id(attack, 1))
        table = pq.read_table(folder / "robustness.parquet").to_pydict()
        right = np.array(table["prediction"]) == np.array(table["label"])
        facts = store.facts(folder)
        assert facts == {"accuracy": right.mean(), "num_examples": 40}
        accuracy[attack] = right.mean()
        truth = work.dataset.test_labels if on == "test" else work.dataset.pool_labels
        assert (truth[table["example"]] == table["label"]).all()
        if on == "non_members":
            assert (run.member[table["example"]] == 0).all()
    assert accuracy["pgd2"] < accuracy[None]


@pytest.mark.parametrize("name", [None, "eot"])
def test_a_randomized_model_answers_an_attack_once_and_by_its_mean(
    noisy_place: Workplace, noisy_work: Work, name: str | None
):
    run, place, draws = noisy_work.plan.arms["noisy"][0], noisy_place, 3
    attack = PGD(eps=0.1, step_size=0.05, num_steps=2, draws=2)
    robustness = Robustness(num_examples=60, attacks={"eot": attack})
    train(run, place)
    attack_all(run, place, robustness, draws)
    attack_id = robustness.id(name, draws)
    found, facts = read(place.store.robustness(run.id, attack_id))

    model, labels = place.trained(run), place.test_labels[:60]
    torch.manual_seed(seed_of(run.seed, attack_id))
    images = to_float(place.test_images[:60])
    images = attack.perturb(model, images, labels) if name else images
    with torch.no_grad():
        logits = torch.stack([model(images) for _ in range(draws)]).double()
    once, mean = logits[0].argmax(1), logits.softmax(2).mean(0).argmax(1)
    assert (found["prediction"] == once.numpy()).all()
    assert (found["prediction_mean"] == mean.numpy()).all()
    assert (once != mean).any()
    assert facts == {
        "accuracy": (once == labels).double().mean().item(),
        "accuracy_mean": (mean == labels).double().mean().item(),
        "num_examples": 60,
    }


def test_draws_are_another_outcome_of_a_randomized_model_and_the_same_of_any_other(
    noisy_place: Workplace, noisy_work: Work
):
    robustness = Robustness(num_examples=10)
    for arm, expected in {"erm": 1, "noisy": 3}.items():
        run = noisy_work.plan.arms[arm][0]
        train(run, noisy_place)
        for draws in (1, 2, 5):
            attack_all(run, noisy_place, robustness, draws)
        assert len(folders(noisy_work, run.id)) == expected
        columns, _ = read(noisy_place.store.robustness(run.id, robustness.id(None, 1)))
        assert list(columns) == ["example", "label", "prediction"]


def test_an_attack_that_averages_draws_is_run_with_one_where_nothing_is_random(
    place: Workplace, work: Work
):
    run, weak = work.plan.arms["erm"][0], {"eps": 0.1, "step_size": 0.05, "num_steps": 2}
    train(run, place)
    once, eot = PGD(**weak), PGD(**weak, draws=8)
    attack_all(run, place, Robustness(num_examples=20, attacks={"eot": eot, "once": once}), 10)
    alone = Robustness(num_examples=20, attacks={"once": once})
    assert folders(work, run.id) == {alone.id(None, 1), alone.id("once", 1)}
