"""First figures, from what DONE says of the models that are done."""

import pytest

from runner import pipeline
from runner.driver._figures import FirstFigures, results_of
from runner.plan.work import Work
from runner.storage.store import finish, write_json
from tests.made.half_done import of


def finished(work: Work, num: int) -> None:
    """The first Runs done, each a hundredth more accurate than the last."""
    pipeline.describe(work)
    for i, run in enumerate(work.plan.runs[:num]):
        finish(work.store.run(run.id), [], {})
        for at, folder in reversed([*enumerate(work.asked(run))]):  # a check may ask the same
            key = "train_accuracy" if at == 0 else "accuracy"
            finish(folder, [], {key: 0.9 - 0.1 * at + 0.01 * i})


def test_each_figure_is_the_mean_the_lowest_and_the_highest_of_its_models(work: Work):
    finished(work, 5)
    found = of(work, figures=FirstFigures(work.store))
    for arm, of_arm in found["arms"].items():
        done = [i for i, run in enumerate(work.plan.runs[:5]) if run in work.plan.arms[arm]]
        names = ("train accuracy", "natural accuracy", "robust accuracy, pgd2")
        assert [*of_arm["figures"]] == [*names], "what only checks the attack is left out"
        for at, name in enumerate(names):
            values = [0.9 - 0.1 * at + 0.01 * i for i in done]
            mean, low, high = sum(values) / len(values), min(values), max(values)
            expected = {"mean": mean, "low": low, "high": high, "num_models": len(done)}
            assert of_arm["figures"][name] == pytest.approx(expected)


def test_a_model_that_is_not_done_has_no_figures_and_without_asking_there_are_none(work: Work):
    finished(work, 0)
    assert "figures" not in of(work)["arms"]["erm"]
    found = of(work, figures=FirstFigures(work.store))
    assert found["arms"]["erm"]["figures"] == {}


def test_each_file_is_read_once_and_what_was_set_aside_counts_no_more(work: Work):
    finished(work, 5)
    figures = FirstFigures(work.store)
    before = of(work, figures=figures)
    for run in work.plan.runs[:5]:
        for folder in work.asked(run):
            finish(folder, [], {"train_accuracy": 0.0, "accuracy": 0.0})
    assert of(work, figures=figures) == before
    (work.store.run(work.plan.runs[0].id) / "DONE").unlink()
    after = of(work, figures=figures)["arms"]
    assert sum(arm["figures"]["train accuracy"]["num_models"] for arm in after.values()) == 4


def test_results_that_cannot_be_read_are_none(work: Work):
    assert results_of(work.folder, "results.json") is None
    write_json(work.folder / "results.json", ["no results"])
    assert results_of(work.folder, "results.json") is None
    write_json(work.folder / "results.json", {"arms": {}})
    assert results_of(work.folder, "results.json") == {"arms": {}}
