"""What a trained model is asked, in this process and without Ray."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from attacks.evasion.pgd import PGD
from attacks.membership import log_odds
from runner.ask.answers import ask, logits_of
from runner.data import to_float, view
from runner.experiment.questions import Answers, Questions, Robustness
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.storage import store
from runner.storage.answers import has_column, read_answers, read_block, read_views
from runner.storage.ids import seed_of
from runner.train.train import train
from runner.train.workplace import Workplace

VIEWS = ("flip", "identity")
ONCE = ("log_odds", "logits", "correct")
COLUMNS = ("log_odds", "logits", "log_odds_mean", "logits_mean")


def asked(run: Run, place: Workplace, **question: Any) -> Path:
    """The file of a Run's answers, trained first where it is not."""
    settled = Answers(**question).settled(run.defense.randomized)
    questions = Questions(settled, Robustness(), "last")
    train(run, place)
    ask(run, place, questions)
    return Path(str(place.store.answers(run.id, questions.answers_id) / "answers.parquet"))


def facts_of(path: Path) -> dict[str, Any]:
    facts = store.facts(path.parent)
    assert facts is not None
    assert facts.pop("time_s") > 0
    assert facts.pop("device")
    return facts


@torch.no_grad()
def drawn(run: Run, place: Workplace, name: str, draws: Sequence[int]) -> np.ndarray:
    """The logits of one view by these draws of the noise, (D, N, C) float64."""
    model, images = place.trained(run), to_float(view(place.pool_images, name))
    logits = []
    for draw in draws:
        torch.manual_seed(seed_of(run.seed, "draw", name, draw))
        logits.append(model(images).double().numpy())
    return np.stack(logits)


def odds_of(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """log(p_y / (1 - p_y)) of (N, C) probabilities, as it is written."""
    p = probabilities[np.arange(len(labels)), labels]
    return np.log(p / (1 - p))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_answers_are_the_log_odds_of_the_trained_model_in_eval_mode(place: Workplace, work: Work):
    run, views = work.plan.arms["erm"][0], ("identity", "shift_left")
    path = asked(run, place, views=views)
    model = place.trained(run)
    assert not model.training
    with torch.no_grad():
        logits = model(to_float(view(place.pool_images, "shift_left"))).numpy()
    expected = log_odds(logits, work.dataset.pool_labels)
    assert read_answers(str(path), "log_odds")[:, 1] == pytest.approx(expected, rel=1e-5)
    assert read_views(str(path)) == views
    plain = read_answers(str(path), "logits")
    right = (plain.argmax(1) == work.dataset.pool_labels)[run.members]
    facts = facts_of(path)
    assert facts.pop("batch_dependence") < 1e-4
    assert facts == {"train_accuracy": right.mean()}


def test_the_logits_of_every_view_are_kept_where_they_are_asked_for(place: Workplace, work: Work):
    run, labels = work.plan.arms["erm"][0], work.dataset.pool_labels
    few = str(asked(run, place, views=VIEWS))
    path = str(asked(run, place, views=VIEWS, logits="all"))
    assert path != few
    assert not has_column(few, "view_logits")
    logits = read_answers(path, "view_logits")
    assert logits.shape == (len(labels), len(VIEWS), 10)
    np.testing.assert_array_equal(logits[:, 1], read_answers(path, "logits"))
    odds, correct = (read_answers(path, column) for column in ("log_odds", "correct"))
    for v in range(len(VIEWS)):
        np.testing.assert_allclose(odds[:, v], log_odds(logits[:, v], labels), rtol=1e-6)
        np.testing.assert_array_equal(correct[:, v], logits[:, v].argmax(1) == labels)
    block = read_block(path, 0, "view_logits")
    np.testing.assert_array_equal(block.answers, logits)
    np.testing.assert_array_equal(block.label, labels)


def test_adversarial_queries_are_the_attack_on_the_model_itself(place: Workplace, work: Work):
    run, labels = work.plan.arms["pgd_at"][0], work.dataset.pool_labels
    attack = PGD(eps=0.1, step_size=0.05, num_steps=3)
    path = str(asked(run, place, views=("flip",), adversarial={"pgd3": attack}))
    assert read_views(path) == ("flip", "pgd3")
    model = place.trained(run)
    torch.manual_seed(seed_of(run.seed, "adversarial", "pgd3"))
    moved = attack.perturb(model, to_float(place.pool_images), place.pool_labels)
    with torch.no_grad():
        expected = log_odds(model(moved).numpy(), labels)
    odds = read_answers(path, "log_odds")
    assert odds[:, 1] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    with torch.no_grad():
        natural = log_odds(model(to_float(place.pool_images)).numpy(), labels)
    assert (odds[:, 1] < natural + 1e-3).all()
    assert odds[:, 1].mean() < natural.mean() - 0.1
    assert path != str(asked(run, place, views=("flip",)))


def test_an_adversarial_query_does_not_take_the_name_of_a_view():
    with pytest.raises(ValueError, match="'flip' is the name of a view"):
        Answers(adversarial={"flip": PGD()})


def test_asking_in_batches_changes_no_answer(place: Workplace, work: Work):
    run = work.plan.arms["erm"][0]
    train(run, place)
    model = place.trained(run)
    whole = logits_of(model, place.pool_images)
    parts = np.concatenate([logits_of(model, part) for part in place.pool_images.split(7)])
    assert whole == pytest.approx(parts, abs=1e-4)


def test_a_model_that_is_not_randomized_is_asked_once_whatever_draws_says(
    place: Workplace, work: Work
):
    run = work.plan.arms["erm"][0]
    path = asked(run, place, draws=10)
    before = path.stat().st_mtime_ns
    assert asked(run, place, draws=1) == path
    assert path.stat().st_mtime_ns == before
    assert pq.read_schema(path).names == ["example", "label", *ONCE]
    assert list(facts_of(path)) == ["train_accuracy", "batch_dependence"]


def test_one_answer_of_a_randomized_model_is_its_first_draw(
    noisy_place: Workplace, noisy_work: Work
):
    run, labels = noisy_work.plan.arms["noisy"][0], noisy_work.dataset.pool_labels
    path = str(asked(run, noisy_place, views=VIEWS, draws=3))
    first, second = drawn(run, noisy_place, "identity", [0, 1])
    logits = read_answers(path, "logits")
    np.testing.assert_array_equal(logits, first.astype(np.float32))
    assert abs(first - second).max() > 0.1
    odds = read_answers(path, "log_odds")
    for v, name in enumerate(VIEWS):
        (logits,) = drawn(run, noisy_place, name, [0])
        np.testing.assert_allclose(odds[:, v], odds_of(softmax(logits), labels), 1e-4, 1e-4)


def test_the_mean_is_the_logarithm_of_the_mean_probabilities_over_all_draws(
    noisy_place: Workplace, noisy_work: Work
):
    run, labels = noisy_work.plan.arms["noisy"][0], noisy_work.dataset.pool_labels
    path = asked(run, noisy_place, views=VIEWS, draws=3)
    mean = {name: softmax(drawn(run, noisy_place, name, range(3))).mean(0) for name in VIEWS}
    found = read_answers(str(path), "logits_mean")
    np.testing.assert_allclose(found, np.log(mean["identity"]), 1e-5, 1e-5)
    odds = read_answers(str(path), "log_odds_mean")
    for v, name in enumerate(VIEWS):
        np.testing.assert_allclose(odds[:, v], odds_of(mean[name], labels), 1e-4, 1e-4)
    for key, by in {"train_accuracy": "logits", "train_accuracy_mean": "logits_mean"}.items():
        answers = read_answers(str(path), by).argmax(1)
        assert facts_of(path)[key] == (answers == labels)[run.members].mean()


def test_the_same_question_twice_gives_the_same_bytes(noisy_place: Workplace, noisy_work: Work):
    run = noisy_work.plan.arms["noisy"][1]
    path = asked(run, noisy_place, draws=3)
    before = path.read_bytes()
    (path.parent / "DONE").unlink()
    torch.rand(17)  # whatever happened in between
    assert asked(run, noisy_place, draws=3).read_bytes() == before


def test_more_draws_are_another_question_and_move_the_mean_alone(
    noisy_place: Workplace, noisy_work: Work
):
    run = noisy_work.plan.arms["noisy"][0]
    two, five = (asked(run, noisy_place, draws=draws) for draws in (2, 5))
    assert two != five
    first, more = ([read_answers(str(path), column) for column in COLUMNS] for path in (two, five))
    same = [np.array_equal(a, b) for a, b in zip(first, more, strict=True)]
    assert same == [True, True, False, False]
    one = asked(run, noisy_place, draws=1)
    assert pq.read_schema(one).names == ["example", "label", *ONCE]
    assert np.array_equal(read_answers(str(one), "logits"), first[1])
