"""What follows from an experiment and its data before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from runner.experiment.experiment import Experiment
from runner.faults import DataMissing
from runner.forecast.forecast import forecast
from runner.plan.work import Work, prepare
from runner.storage import store
from runner.storage.answers import Source, column_of
from tests.conftest import NOISY

OWN = {"attacks": {"own": {"name": "shadow_mlp"}}}


def noisy(tmp_path: Path, **changes: Any) -> Work:
    return prepare(Experiment.model_validate({**NOISY, **changes}), tmp_path)


def test_the_audit_reads_a_randomized_arm_in_two_ways_and_any_other_in_one(noisy_work: Work):
    sources = noisy_work.sources
    assert list(sources) == [Source("erm", 1), Source("noisy", 1), Source("noisy", 3)]
    assert sources[Source("noisy", 1)] == sources[Source("noisy", 3)]
    assert all(len(paths) == 4 for paths in sources.values())
    columns = {s: [column_of(reads, s) for reads in ("log_odds", "logits")] for s in sources}
    assert columns[Source("noisy", 1)] == ["log_odds", "logits"]
    assert columns[Source("noisy", 3)] == ["log_odds_mean", "logits_mean"]


def test_where_one_draw_is_asked_for_there_is_no_mean(tmp_path: Path):
    work = noisy(tmp_path, answers={"draws": 1})
    assert list(work.sources) == [Source("erm", 1), Source("noisy", 1)]


def test_scores_are_of_exactly_these_answers_attacks_and_members(tmp_path: Path):
    scores = noisy(tmp_path).scores
    for same in (
        {"report": {"against": "gamma"}},
        {"guarantee": {"delta": 1e-7}},
        {"membership": {**NOISY["membership"], "thresholds": [0.9], "tpr_rule": "interp"}},
        {"robustness": {}},
    ):
        assert noisy(tmp_path, **same).scores == scores
    others = [
        {"answers": {"draws": 4}},
        {"seed": 1},
        {"design": {"name": "pairs", "num_models": 6}},
        {"membership": {"attacks": {"own": {"name": "shadow_mlp", "restarts": 2}}}},
    ]
    assert len({noisy(tmp_path, **other).scores for other in others} | {scores}) == 5


def test_draws_move_the_questions_of_a_randomized_arm_alone(tmp_path: Path):
    few, more = (noisy(tmp_path, answers={"draws": draws}) for draws in (3, 5))
    erm, random = (work.plan.arms for work in (few, more))
    for arm, moved in {"erm": False, "noisy": True}.items():
        pairs = zip(few.asked(erm[arm][0]), more.asked(random[arm][0]), strict=True)
        assert {a != b for a, b in pairs} == {moved}
        assert erm[arm][0].id == random[arm][0].id


def test_a_pool_that_leaves_a_quarter_nothing_to_train_on_is_refused(tmp_path: Path):
    data = {**NOISY["data"], "num_examples": 7}
    with pytest.raises(DataMissing, match="a pool of 7 images leaves a model 1 to train on"):
        noisy(tmp_path, data=data)
    data["num_examples"] = 8
    assert len(noisy(tmp_path, data=data).plan.runs[0].members) == 2
    with pytest.raises(DataMissing, match="a pool of 8 images leaves a model 1 to train on"):
        noisy(tmp_path, data=data, selection={"on": "held_out", "num_examples": 4})


def test_the_forecast_tells_models_to_do_and_the_smallest_rate_of_a_quarter(noisy_work: Work):
    run = noisy_work.plan.arms["erm"][0]
    store.finish(noisy_work.store.run(run.id), [], {"train_time_s": 2.0})
    text = forecast(noisy_work)
    assert "noisy: 8 models over 2 arms" in text
    assert "erm: 1 done, 3 to train (2.0 s each)" in text
    assert "noisy: 0 done, 4 to train (time not known yet)" in text
    assert "to ask: 1 trained models have not answered everything yet" in text
    assert "smallest false positive rate that one target resolves: 0.02 (50 non-members)" in text


def test_the_forecast_says_aloud_that_dp_sgd_replaces_batchnorm(tmp_path: Path):
    dp = {"name": "dp_sgd", "noise_multiplier": 1.0, "accountant": "rdp"}
    for norm in ("batch", "group"):
        arms = {"a": {"defense": dp, "model": {"norm": norm}}, "b": {"defense": "erm"}}
        lines = forecast(noisy(tmp_path, arms=arms, membership=OWN)).splitlines()
        said = [line for line in lines if line.startswith("note: a: DP-SGD: BatchNorm is replaced")]
        assert len(said) == (norm == "batch")
        assert not [line for line in lines if line.startswith("note: b")]
