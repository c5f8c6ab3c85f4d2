"""What a trained model answers under attack, in this process and without Ray."""

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from attacks.evasion import EvasionAttack
from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.pgd import PGD
from runner.ask.robustness import attack_all
from runner.data import to_float
from runner.experiment.questions import Answers, Questions, Robustness, Sanity
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.storage.ids import seed_of
from runner.train.train import train
from runner.train.workplace import Workplace

WEAK = {"eps": 0.1, "step_size": 0.05, "num_steps": 2}


class Stopped(Exception):
    """The machine is gone."""


class Portioned(EvasionAttack):
    """PGD on 20 images at a time, which counts them and may be stopped at some portion."""

    portion: ClassVar[int] = 20
    attacked: ClassVar[list[int]] = []
    stops_at: ClassVar[int | None] = None

    name: Literal["portioned"] = "portioned"

    def perturb(self, model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        if len(self.attacked) == self.stops_at:
            raise Stopped
        self.attacked.append(len(images))
        return PGD(**WEAK).perturb(model, images, labels)


@pytest.fixture
def portioned() -> Portioned:
    Portioned.attacked.clear()
    Portioned.stops_at = None
    return Portioned()


def asked(
    attacks: dict[str, EvasionAttack], num_examples: int, draws: int = 1, **more
) -> Questions:
    """What a model is asked, without the sanity attacks unless they are given."""
    more = {"sanity": Sanity(num_models=0), **more}
    robustness = Robustness(num_examples=num_examples, attacks=attacks, **more)
    return Questions(Answers(draws=draws), robustness, "last")


def folders(work: Work, run_id: str) -> set[str]:
    return {path.parent.name for path in work.store.run(run_id).glob("robustness/*/DONE")}


def outcome(work: Work, run: Run, questions: Questions, name: str | None) -> Path:
    return Path(str(work.store.robustness(run.id, questions.robustness_id(name))))


def read(folder: Path) -> tuple[dict[str, np.ndarray], Any]:
    """The columns and the facts of one attack's outcome, beside its seconds and its device."""
    table = pq.read_table(folder / "robustness.parquet").to_pydict()
    facts = store.facts(folder)
    assert facts is not None
    assert facts.pop("time_s") > 0
    assert facts.pop("device")
    return {name: np.array(column) for name, column in table.items()}, facts


@pytest.mark.parametrize("on", ["test", "non_members"])
def test_robustness_is_written_example_by_example_and_an_attack_only_harms(
    place: Workplace, work: Work, on: str
):
    questions, run = asked({"pgd2": PGD(**WEAK)}, 40, on=on), work.plan.arms["erm"][0]
    train(run, place)
    attack_all(run, place, questions)
    accuracy = {}
    for attack in (None, "pgd2"):
        table, facts = read(outcome(work, run, questions, attack))
        right = table["prediction"] == table["label"]
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
    attack = PGD(**WEAK, draws=2)
    questions = asked({"eot": attack}, 60, draws)
    train(run, place)
    attack_all(run, place, questions)
    attack_id = questions.robustness_id(name)
    found, facts = read(Path(str(place.store.robustness(run.id, attack_id))))

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


def test_the_first_models_are_attacked_for_sanity_too_on_fewer_images(place: Workplace, work: Work):
    questions = asked({"pgd2": PGD(**WEAK)}, 30, sanity=Sanity(num_models=1, num_examples=10))
    first, second, *_ = work.plan.arms["erm"]
    for run in (first, second):
        train(run, place)
        attack_all(run, place, questions)
    varied = set(questions.robustness.sanity_attacks)
    assert {"sanity_eps_1", "sanity_steps_1", "sanity_square"} < varied
    for run, expected in ((first, {None, "pgd2"} | varied), (second, {None, "pgd2"})):
        assert folders(work, run.id) == {questions.robustness_id(name) for name in expected}
    table, _ = read(outcome(work, first, questions, "sanity_square"))
    assert table["example"].tolist() == list(range(10))


def undisturbed(run: Run, place: Workplace, questions: Questions) -> bytes:
    """What an attack that nothing interrupts ends with, which is then forgotten."""
    attack_all(run, place, questions)
    folder = place.store.robustness(run.id, questions.robustness_id("slow"))
    content = (folder / "robustness.parquet").read_bytes()
    assert {path.name for path in folder.rglob("*")} == {"DONE", "robustness.parquet"}
    for path in folder.rglob("*"):
        path.unlink()
    Portioned.attacked.clear()
    return content


def stop_after(portions: int, run: Run, place: Workplace, questions: Questions) -> None:
    Portioned.stops_at = portions
    with pytest.raises(Stopped):
        attack_all(run, place, questions)
    Portioned.stops_at = None


def test_an_attack_that_was_interrupted_goes_on_and_ends_with_the_same_bytes(
    place: Workplace, work: Work, portioned: Portioned
):
    questions, run = asked({"slow": portioned}, 90), work.plan.arms["erm"][0]
    train(run, place)
    expected, folder = undisturbed(run, place, questions), outcome(work, run, questions, "slow")
    stop_after(3, run, place, questions)
    assert store.facts(folder) is None
    parts = [f"part-{start:05d}.parquet" for start in (0, 20, 40)]
    assert sorted(path.name for path in folder.iterdir()) == parts
    torch.manual_seed(99)
    told: list[str] = []
    attack_all(run, place._replace(tell=lambda word, part: told.append(word)), questions)
    assert Portioned.attacked == [20, 20, 20, 20, 10]
    assert told == [f"slow {start}/90 images" for start in (0, 20, 40, 60, 80)]
    assert (folder / "robustness.parquet").read_bytes() == expected
    facts = store.facts(folder)
    assert facts is not None
    assert "time_s" not in facts  # of the portions before the interruption nobody knows any more
    assert {path.name for path in folder.iterdir()} == {"DONE", "robustness.parquet"}


@pytest.mark.parametrize("harm", ["cut", "flipped", "exchanged"])
def test_a_part_that_is_not_what_was_written_is_made_again(
    place: Workplace, work: Work, portioned: Portioned, harm: str
):
    questions, run = asked({"slow": portioned}, 60), work.plan.arms["erm"][0]
    train(run, place)
    expected, folder = undisturbed(run, place, questions), outcome(work, run, questions, "slow")
    stop_after(2, run, place, questions)
    first, second = sorted(folder.iterdir())
    content = bytearray(first.read_bytes())
    if harm == "cut":
        del content[-20:]
    elif harm == "flipped":
        content[60] ^= 1
    else:
        content = bytearray(second.read_bytes())
    first.write_bytes(content)
    notes: list[str] = []
    attack_all(run, place._replace(note=notes.append), questions)
    assert Portioned.attacked == [20, 20, 20, 20]
    assert (folder / "robustness.parquet").read_bytes() == expected
    assert len(notes) == (harm != "exchanged")
    assert all(str(first) in note and "attacked again" in note for note in notes)


def test_what_is_attacked_in_one_portion_leaves_no_part(place: Workplace, work: Work):
    questions, run = asked({}, 60), work.plan.arms["erm"][0]
    train(run, place)
    attack_all(run, place, questions)
    folder = outcome(work, run, questions, None)
    assert {path.name for path in folder.iterdir()} == {"DONE", "robustness.parquet"}


def test_portions_have_different_seeds_and_the_first_has_the_attacks_own(
    place: Workplace, work: Work, portioned: Portioned
):
    questions, run = asked({"slow": portioned}, 40), work.plan.arms["erm"][0]
    train(run, place)
    attack_all(run, place, questions)
    found, _ = read(outcome(work, run, questions, "slow"))
    model, attack_id = place.trained(run), questions.robustness_id("slow")
    expected = []
    for start, seed in ((0, seed_of(run.seed, attack_id)), (20, seed_of(run.seed, attack_id, 20))):
        some = slice(start, start + 20)
        torch.manual_seed(seed)
        images, labels = to_float(place.test_images[some]), place.test_labels[some]
        expected.append(model(PGD(**WEAK).perturb(model, images, labels)).argmax(1))
    assert (found["prediction"] == torch.cat(expected).numpy()).all()


def test_autoattack_is_made_in_smaller_portions_than_what_is_quick():
    assert AutoAttack.portion < PGD.portion == EvasionAttack.portion


def test_draws_are_another_outcome_of_a_randomized_model_and_the_same_of_any_other(
    noisy_place: Workplace, noisy_work: Work
):
    for arm, expected in {"erm": 1, "noisy": 3}.items():
        run = noisy_work.plan.arms[arm][0]
        train(run, noisy_place)
        for draws in (1, 2, 5):
            answers = Answers(draws=draws).settled(run.defense.randomized)
            attack_all(run, noisy_place, asked({}, 10)._replace(answers=answers))
        assert len(folders(noisy_work, run.id)) == expected
        columns, _ = read(outcome(noisy_work, run, asked({}, 10), None))
        assert list(columns) == ["example", "label", "prediction"]


def test_an_attack_that_averages_draws_is_run_with_one_where_nothing_is_random(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    train(run, place)
    both: dict[str, EvasionAttack] = {"eot": PGD(**WEAK, draws=8), "once": PGD(**WEAK)}
    robustness = asked(both, 20).robustness.settled(randomized=False)
    attack_all(run, place, asked(both, 20)._replace(robustness=robustness))
    alone = asked({"once": both["once"]}, 20)
    assert folders(work, run.id) == {alone.robustness_id(None), alone.robustness_id("once")}
