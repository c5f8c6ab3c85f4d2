"""Examples at risk, from answers and scores that no stage wrote, against counts one by one."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from runner.audit import vulnerable
from runner.audit.vulnerable import VulnerableExamples, examples_file, most_at_risk
from tests.made.vulnerable import PLANTED, Made, experiment_of


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(experiment_of(), tmp_path)


def test_planted_examples_are_found_and_stable_and_chance_expects_none(made: Made):
    found = made.find().figures["erm"]
    assert found["num_vulnerable"] == len(PLANTED)
    assert {one["example"] for one in found["top"][: len(PLANTED)]} == set(PLANTED)
    assert found["stability"]["jaccard"] == 1
    assert found["stability"]["by_chance"] < 0.1
    assert found["expected_by_chance"] < 1e-6
    assert found["num_likewise_outside"] == 0
    assert (found["least_in"], found["most_in"], found["num_examples"]) == (8, 8, 200)
    first = found["top"][0]
    assert (first["flagged_in"], first["num_in"], first["high"]) == (8, 8, 1)
    assert first["low"] == pytest.approx(0.025 ** (1 / 8))  # all of eight
    assert first["memorization"] == pytest.approx(1)


def test_random_scores_give_the_numbers_that_chance_expects(tmp_path: Path):
    """At one of four models, so that chance finds many."""
    made = Made(experiment_of(num_models=8, at_least=0.25), tmp_path)
    found, sums = made.find(), []
    negatives = made.plan.num_negatives
    assert found.figures["pgd_at"]["chance"] == pytest.approx(6 / (negatives + 1))
    random = np.random.default_rng(5)
    for _ in range(4):
        made.scores["pgd_at"] = random.normal(size=made.plan.member.shape)
        one = made.find().figures["pgd_at"]
        sums.append((one["num_vulnerable"], one["num_likewise_outside"]))
    expected = found.figures["pgd_at"]["expected_by_chance"]
    assert expected == pytest.approx(200 * (1 - (1 - 6 / (negatives + 1)) ** 4))
    spread = math.sqrt(expected / 4)  # of a mean of four counts
    assert abs(np.mean(sums, axis=0)[0] - expected) < 4 * spread
    assert abs(np.mean(sums, axis=0)[1] - expected) < 0.3 * expected


def test_of_examples_that_few_models_are_trained_on_nothing_is_said(tmp_path: Path):
    found = Made(experiment_of(num_models=6), tmp_path).find().figures["erm"]
    assert found["num_examples"] == found["num_vulnerable"] == found["expected_by_chance"] == 0
    assert found["least_in"] is found["stability"] is found["memorization_correlation"] is None
    assert found["top"] == []
    assert found["by_class"][0]["tpr"]["num_models"] == 6


def test_the_most_at_risk_come_first_and_what_is_found_anyway_comes_later(made: Made):
    one = made.find().examples["erm"]
    one.flagged_out[PLANTED] = 0
    one.flagged_out[PLANTED[:3]] = 5
    one.memorization[PLANTED[4]] = 0.5
    order = most_at_risk(one, 24)
    expected = [PLANTED[3], *PLANTED[5:], PLANTED[4], *PLANTED[:3]]
    assert order[: len(PLANTED)].tolist() == [int(i) for i in expected]
    rates = one.flagged_in[order] / one.num_in[order]
    assert (np.diff(rates) <= 0).all()
    assert len(most_at_risk(one, 0)) == 0


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.37])
def test_from_its_rate_on_an_example_is_called_a_member_in_half_of_the_models(
    tmp_path: Path, rate: float
):
    made = Made(experiment_of(false_positive_rate=rate), tmp_path)
    for one in made.find().examples.values():
        often = 2 * one.flagged_in >= one.num_in
        assert ((one.found_from <= np.float32(rate)) == often).all()


def _csv(made: Made, found: VulnerableExamples) -> str:
    content = examples_file(made.labels, found.examples, made.work.ids)["examples.csv"]
    assert content is not None
    return content.decode()


def test_a_file_has_a_row_for_each_example_and_is_parquet_where_there_are_many(
    made: Made, monkeypatch: pytest.MonkeyPatch
):
    found = made.find()
    ids = made.work.ids
    assert examples_file(made.labels, found.examples, ids)["examples.parquet"] is None
    rows = list(csv.DictReader(io.StringIO(_csv(made, found))))
    one = found.examples["pgd_at"]
    assert [int(row["place_in_pool"]) for row in rows] == list(range(200))
    assert [int(row["source_row"]) for row in rows] == ids["source_row"].tolist()
    assert [int(row["label"]) for row in rows] == made.labels.tolist()
    for key, values in one._asdict().items():
        assert [float(row[f"pgd_at.{key}"]) for row in rows] == values.tolist()
    monkeypatch.setattr(vulnerable, "MOST_LINES", 199)
    files = examples_file(made.labels, found.examples, ids)
    assert files["examples.csv"] is None
    table = pq.read_table(io.BytesIO(files["examples.parquet"] or b""))
    assert table.column("erm.flagged_in").to_pylist() == found.examples["erm"].flagged_in.tolist()


def test_an_attack_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"vulnerable\.attack"):
        experiment_of(attack="lira_onlin")


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_over_a_cluster_the_same_bits_are_found(made: Made):
    here, there = made.find(), made.find(in_ray=True)
    assert here.figures == there.figures
    for arm, one in here.examples.items():
        for mine, other in zip(one, there.examples[arm], strict=True):
            assert mine.tobytes() == other.tobytes()


def test_examples_that_are_not_judged_do_not_count(tmp_path: Path):
    """As where only canaries are judged: the others are -1 in every row."""
    made = Made(experiment_of(), tmp_path)
    made.plan.member[:, 100:] = -1
    found = made.find()
    one, figures = found.examples["erm"], found.figures["erm"]
    assert not one.num_in[100:].any()
    assert not one.num_out[100:].any()
    assert not one.flagged_in[100:].any()
    assert np.isnan(one.memorization[100:]).all()
    assert figures["num_examples"] == 100
    assert figures["num_vulnerable"] == (PLANTED < 100).sum()
    assert sum(c["num_examples"] for c in figures["by_class"]) == 100
    table = csv.DictReader(io.StringIO(_csv(made, found)))
    assert [row["erm.memorization"] == "" for row in table] == [False] * 100 + [True] * 100
