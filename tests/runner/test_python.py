"""What `import runner` gives: models as they answered, frames as the figures were computed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import runner
import runner.audit
from runner.ask.answers import ask
from runner.data import to_float
from runner.experiment.config import ConfigError
from runner.faults import BadAnswers, UserFault
from runner.plan.work import Work
from runner.results.opened import Opened
from runner.statistics.metrics import auc
from runner.storage import store
from runner.storage.answers import read_answers
from runner.storage.cloud import StorageError
from runner.train.stored import read_stored
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.made.stored_before import unpacked


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Six models of a build that kept no mean and std beside its weights."""
    return unpacked(tmp_path)


@pytest.fixture
def given() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of 8 models that are surer of their members, the matrix, and labels."""
    rng = np.random.default_rng(0)
    half = rng.permuted(np.tile(np.arange(60) % 2, (4, 1)), axis=1)
    member = np.stack([half, 1 - half], axis=1).reshape(8, 60)
    labels = rng.integers(0, 3, 60)
    logits = rng.normal(size=(8, 60, 3)).astype(np.float32)
    logits[:, np.arange(60), labels] += 2 * member + 1
    return logits, member, labels


def test_a_model_of_today_answers_as_it_was_asked_without_its_data(work: Work, place: Workplace):
    run = work.plan.arms["erm"][0]
    train(run, place)
    questions = work.experiment.questions("erm")
    ask(run, place, questions)
    before = torch.get_rng_state()
    found = read_stored(place.store.root, run.id)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.shape == place.shape
    model = runner.load_model(run.id, place.store.root)
    assert not model.training
    logits = model(to_float(place.pool_images)).detach().numpy()
    said = read_answers(str(place.store.answers_file(run.id, questions.answers_id)), "logits")
    np.testing.assert_allclose(logits, said, atol=1e-5)


def test_a_model_stored_without_its_mean_takes_it_from_the_data_of_its_experiment(stored: Path):
    results = runner.open(stored, "stored_before")
    run = results.runs("erm")[0]
    model = runner.load_model(run, stored)
    described = store.results_in(results.folder / store.DESCRIBED)
    (answers,) = [at for at in described["asked"][run] if at.startswith("answers/")]
    said = read_answers(str(stored / "runs" / run / answers / store.ANSWERS), "logits")
    from runner.experiment.experiment import Experiment

    images = Experiment.model_validate(described["experiment"]).data.load().pool_images
    logits = model(to_float(torch.tensor(images))).detach().numpy()
    np.testing.assert_allclose(logits, said, atol=1e-5)


def test_frames_hold_what_the_figures_were_computed_from(stored: Path):
    results = runner.open(stored, "stored_before")
    (attack, *_), arm = results.raw["arms"]["erm"]["membership"], "erm"
    scores = results.scores(arm, attack)
    of_models = [auc(of.score, of.member == 1) for _, of in scores.groupby("model")]
    told = results.raw["arms"][arm]["membership"][attack]["auc"]["mean"]
    assert np.mean(of_models) == pytest.approx(told, abs=1e-9)
    curve = results.roc(arm, attack, model=0)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(of_models[0], abs=1e-9)
    assert list(results.roc(arm, attack).columns[:2]) == ["fpr", "tpr"]
    table = results.table().set_index(["arm", "metric"])["mean"]
    assert table[arm, "natural_accuracy"] == results.raw["arms"][arm]["natural_accuracy"]["mean"]
    assert "erm" in repr(results)


def test_what_is_not_there_is_refused_with_what_is(stored: Path):
    results = runner.open(stored, "stored_before")
    with pytest.raises(UserFault, match="no arm 'ermm'; there are erm"):
        results.scores("ermm", "lira_online")
    with pytest.raises(UserFault, match="no attack 'lira'; there are lira_online"):
        results.roc("erm", "lira")
    with pytest.raises(UserFault, match="model 6 of 6"):
        results.roc("erm", "lira_online", model=6)
    with pytest.raises(StorageError, match="did you mean 'stored_before'"):
        runner.open(stored, "stored_befor")
    run = results.runs("erm")[0]
    with pytest.raises(StorageError, match=f"near it: .*{run}"):
        runner.load_model(run[:-1], stored)
    with pytest.raises(StorageError, match=r"no best\.safetensors"):
        runner.load_model(run, stored, "best")
    with pytest.raises(ConfigError, match=r"training.epochs"):
        runner.load("quickstart", ["training.epochs=many"])


def test_arrays_are_audited_as_their_files_are(
    given: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
):
    from tests.made.commands import invoke

    logits, member, labels = given
    audit: Any = runner.audit  # a package by now, which does what the function does
    alone = "membership.attacks={lira: {name: lira}}"
    here = tmp_path / "here"
    results: Opened = audit(logits, member, labels, storage=here, overrides=[alone])
    (arm,) = results.arms
    files = tmp_path / "answers"
    files.mkdir()
    for number, of_model in enumerate(logits):
        np.savez(files / f"model_{number}.npz", labels=labels, logits=of_model)
    np.save(tmp_path / "member.npy", member)
    words = [
        "--answers",
        str(files),
        "--member",
        str(tmp_path / "member.npy"),
        "--no-ray",
        "--set",
        alone,
    ]
    code, out = invoke("audit", *words, "--storage", str(tmp_path / "there"))
    assert code == 0, out
    there = json.loads((tmp_path / "there" / "audits" / "given" / "results.json").read_bytes())
    assert results.raw["arms"][arm]["membership"] == there["arms"][arm]["membership"]
    assert results.raw["arms"][arm]["strongest"] == there["arms"][arm]["strongest"]


def test_arrays_of_other_shapes_are_refused_before_anything_is_written(
    given: tuple[np.ndarray, np.ndarray, np.ndarray], tmp_path: Path
):
    logits, member, labels = given
    with pytest.raises(BadAnswers, match=r"got answers \(8, 60, 3\), member \(60, 8\)"):
        runner.audit_arrays(logits, member.T, labels, storage=tmp_path / "here")
    assert not (tmp_path / "here").exists()
