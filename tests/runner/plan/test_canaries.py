from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runner import pipeline
from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.faults import DataMissing
from runner.plan.canaries import coins, planted
from runner.plan.plan import make_plan, member_matrix
from runner.plan.work import prepare
from tests.conftest import TINY, do_here
from tests.made.canaries import NUM, audited


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return audited().data.load()


def rows(images: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in images]


def test_a_mislabelled_canary_has_no_twin_with_its_own_label_that_is_trained_on(digits: Dataset):
    made = planted(digits, audited())
    assert len(made.pool_labels) == 200
    label = dict(zip(rows(digits.pool_images), digits.pool_labels, strict=True))
    assert len(label) == 200, "these digits are all different"
    canaries = rows(made.pool_images[160:])
    assert set(canaries) | set(rows(made.pool_images[:160])) == set(label)
    assert not set(canaries) & set(rows(made.pool_images[:160]))
    own = np.array([label[image] for image in canaries])
    assert (own != made.pool_labels[160:]).all()
    assert set((made.pool_labels[160:] - own) % 10) == set(range(1, 10))
    left = [label[image] for image in rows(made.pool_images[:160])]
    assert (made.pool_labels[:160] == left).all()


def test_blank_canaries_are_of_one_colour_each_and_differ_in_colour_or_label(digits: Dataset):
    made = planted(digits, audited(kind="blank", num=300))
    images, labels = made.pool_images[200:], made.pool_labels[200:]
    assert images.shape == (300, 1, 8, 8)
    assert (images == images[:, :, :1, :1]).all()
    assert len(set(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))) == 300
    assert set(labels) == set(range(10))
    assert (made.pool_images[:200] == digits.pool_images).all()


def test_noise_canaries_have_every_byte_as_often_as_any_other(digits: Dataset):
    made = planted(digits, audited(kind="noise", num=2000))
    counts = np.bincount(made.pool_images[200:].ravel(), minlength=256)
    expected = 2000 * 64 / 256
    assert np.square(counts - expected).sum() / expected < 400  # chi-square of 255 degrees
    assert np.bincount(made.pool_labels[200:]).min() > 150


def test_a_canary_and_its_copies_are_the_same_example_and_in_the_same_models(digits: Dataset):
    experiment = audited(num_models=5, copies=3)
    made = planted(digits, experiment)
    plan = make_plan(experiment, made)
    blocks = made.pool_images[160:].reshape(3, NUM, -1)
    assert len(made.pool_labels) == 160 + 3 * NUM
    assert (blocks == blocks[0]).all()
    for run in plan.arms["erm"]:
        copies = run.member[160:].reshape(3, NUM)
        assert (copies == plan.member[run.number, 160 : 160 + NUM]).all()
    assert (plan.member[:, 160 + NUM :] == -1).all()


def test_models_are_trained_on_all_ordinary_examples_and_judged_on_canaries_alone(digits: Dataset):
    experiment = audited()
    plan = make_plan(experiment, planted(digits, experiment))
    assert (plan.member[:, :160] == -1).all()
    assert set(np.unique(plan.member[:, 160:])) == {0, 1}
    for run, row in zip(plan.arms["erm"], plan.member, strict=True):
        expected = [*range(160), *np.flatnonzero(row == 1)]
        assert run.members.tolist() == expected
    assert plan.partner.tolist() == [0, 1, 2]
    assert [sorted(others) for others in plan.shadows] == [[1, 2], [0, 2], [0, 1]]


def test_coins_are_fair_and_independent_and_a_row_depends_on_the_seed_and_its_number_alone():
    judged = np.arange(100, 1100)
    member = coins(200, 1200, judged, seed=3)
    assert (np.delete(member, judged, axis=1) == -1).all()
    tossed = member[:, judged].astype(float)
    assert tossed.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(200 * 1000))
    by_row = np.corrcoef(tossed)[np.triu_indices(200, 1)]
    assert by_row.std() == pytest.approx(1 / np.sqrt(1000), rel=0.05)
    assert abs(by_row.mean()) < 1e-3
    assert (coins(7, 1200, judged, seed=3) == member[:7]).all()
    design = audited(num_models=7).design
    assert (member_matrix(design, 1200, 3, judged) == member[:7]).all()
    assert (coins(7, 1200, judged, seed=4) != member[:7])[:, judged].mean() > 0.4


def test_the_null_coins_are_others(digits: Dataset):
    experiment = audited(num_models=20)
    plan = make_plan(experiment, planted(digits, experiment))
    null, member = plan.null_member[:, 160:], plan.member[:, 160:]
    assert ((plan.null_member >= 0) == (plan.member >= 0)).all()
    assert (null == member).mean() == pytest.approx(0.5, abs=0.08)


def test_the_data_that_models_know_are_those_with_canaries(digits: Dataset, tmp_path: Path):
    def made(**changed: Any) -> tuple[str, set[str]]:
        work = prepare(audited(**changed), tmp_path, digits)
        digest = work.dataset.digest()
        assert {run.data_digest for run in work.plan.runs} == {digest}
        return digest, {run.id for run in work.plan.runs}

    plain, ids = made()
    assert plain != digits.digest()
    assert made() == (plain, ids)
    for changed in ({"kind": "blank"}, {"num": 30}, {"copies": 2}, {"changes": {"seed": 1}}):
        other, other_ids = made(**changed)
        assert other != plain
        assert not other_ids & ids
    assert made(num_models=4)[1] > ids


def test_the_pixels_mean_and_std_are_those_of_the_data_without_canaries(digits: Dataset):
    made = planted(digits, audited(kind="noise", num=150))
    assert (made.mean, made.std) == (digits.mean, digits.std)


def test_dp_sgd_counts_the_examples_that_it_is_trained_on(digits: Dataset):
    """The noise of a target epsilon follows from all of them, not from the judged ones."""
    private = {"name": "dp_sgd", "target_epsilon": 8, "accountant": "rdp"}
    experiment = audited(num_models=2, changes={"arms": {"dp": {"defense": private}}})
    for run in make_plan(experiment, planted(digits, experiment)).arms["dp"]:
        facts = run.facts(None, run.training.epochs)  # pyright: ignore[reportArgumentType]
        assert facts.num_members == len(run.members) > 160
        found = run.defense.guarantee(facts)
        assert found is not None
        assert found.epsilon == pytest.approx(8, abs=0.1)


def test_what_is_held_out_to_choose_checkpoints_is_ordinary_and_in_no_model(digits: Dataset):
    experiment = audited(changes={"selection": {"num_examples": 30}})
    for run in make_plan(experiment, planted(digits, experiment)).runs:
        assert run.selected_on is not None
        assert run.selected_on.max() < 160
        assert not set(run.selected_on) & set(run.members)
        assert (run.member[:160] == 1).sum() == 130


@pytest.mark.parametrize(
    ("canaries", "why"),
    [
        ({"num": 101}, "take no more than half"),
        ({"num": 2561, "kind": "blank"}, "there are 2560 blank images"),
    ],
)
def test_more_canaries_than_the_data_hold_are_refused(canaries, why, digits, tmp_path: Path):
    with pytest.raises(DataMissing, match=why):
        prepare(audited(**canaries), tmp_path, digits)


@pytest.mark.parametrize(
    ("changes", "at", "why"),
    [
        ({"design": {"name": "canaries"}}, "design.canaries", "needs to know what is planted"),
        ({"design": {"canaries": {}}}, "design.canaries", "plants nothing"),
        ({"robustness": {"on": "non_members"}}, "robustness.on", "use `on: test`"),
        ({"selection": {"on": "non_members"}}, "selection.on", "use `on: held_out`"),
        ({"membership": {}}, "membership.attacks.lira_online", "32 or more"),
        (
            {"membership": {"attacks": {"x": {"name": "label_only", "calibrate": "out"}}}},
            "membership.attacks.x",
            "label_only needs models with and without each canary",
        ),
        ({"memorization": {"arm": "erm"}}, "memorization", "design.name: pairs"),
        (
            {"sweep": {"arm": "erm", "axes": {"training.lr": [0.1, 0.2]}}},
            "sweep",
            "use `name: pairs`",
        ),
    ],
)
def test_what_does_not_go_with_canaries_is_refused_with_its_reason(changes, at, why):
    with pytest.raises(ValidationError) as refused:
        audited(changes=changes)
    faults = {".".join(map(str, e["loc"])): e["msg"] for e in refused.value.errors()}
    assert why in faults[at]


@pytest.mark.parametrize("name", ["threshold", "label_only", "shadow_mlp"])
def test_attacks_that_compare_no_models_with_and_without_an_example_go_with_few_models(name: str):
    attacks = {"x": {"name": name}}
    assert list(audited(changes={"membership": {"attacks": attacks}}).membership.attacks) == ["x"]


@pytest.mark.slow
def test_an_audit_of_trained_models_tells_a_memorising_training_from_a_private_one(tmp_path: Path):
    """ERM knows its wrong labels by heart; DP-SGD's bound stays below what is proved."""
    arms = {
        "erm": {"defense": "erm", "training": {"epochs": 40}},
        "dp_sgd": {"defense": {"name": "dp_sgd", "noise_multiplier": 1.2, "accountant": "rdp"}},
    }
    training = {"epochs": 4, "batch_size": 32, "precision": "fp32"}
    model = {"name": "small_cnn", "width": 8, "norm": "group"}
    changes = {"arms": arms, "training": training, "model": model}
    work = prepare(audited(num_models=2, num=80, changes=changes), tmp_path)
    do_here(work)
    results = pipeline.results_of(work, {"trained": 4, "reused": 0})
    erm, private = (results["epsilon"]["arms"][name] for name in arms)
    assert erm["lower_bound"] > 1.5
    assert private["lower_bound"] < private["stated"]["epsilon"]
    assert private["lower_bound"] < 1
    assert private["stated"]["status"] == "proved"
    assert (erm["stated"], erm["alarm"], private["alarm"]) == (None, None, None)
    assert results["design"]["canaries"] == {"kind": "mislabelled", "num": 80, "copies": 1}
    assert results["data"]["num_pool"] == 200
    assert results["arms"]["erm"]["train_accuracy"]["mean"] > 0.95
    assert results["arms"]["erm"]["membership"]["loss"]["auc"]["mean"] > 0.9
    page = pipeline.report(work, {"trained": 4, "reused": 0})
    assert page["epsilon"] == results["epsilon"]
    folder = work.folder / "report"
    assert "Lower bounds on epsilon" in (folder / "index.html").read_bytes().decode()
    assert (folder / "epsilon.md").read_bytes().decode().count("\n| ") == 4


def test_epsilon_is_read_off_canaries_and_nothing_else():
    with pytest.raises(ValidationError, match="read off canaries"):
        Experiment.model_validate({**TINY, "epsilon": {"guesses": [0.2]}})
    assert audited(changes={"epsilon": {"guesses": [0.2]}}).epsilon.guesses == (0.2,)
