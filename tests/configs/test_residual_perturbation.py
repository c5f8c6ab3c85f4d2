"""Every shipped preset, shrunk to the fewest models and one epoch, on files of the same format.

The small preset of each pair is trained and audited in this process; what `runner run` adds, the
lanes and Ray Data, is tested with quickstart. The full one is planned, and held to ask the same:
then its table has the same metrics.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from defenses import Defense
from runner.experiment import config
from runner.experiment.experiment import Experiment
from runner.experiment.fields import dials
from runner.pipeline import task_of
from runner.plan.work import prepare
from tests.conftest import ROOT, place_of
from tests.made.datasets import write_cifar, write_idc, write_idx_files
from tests.made.presets import answers_images, cells, done, kinds, settings
from tests.made.training import do

pytestmark = pytest.mark.slow

FOLDER = ROOT / "configs" / "residual_perturbation"
PRESETS = sorted(FOLDER.glob("*.yaml"))
SMALL = [preset for preset in PRESETS if preset.stem.endswith("_small")]
FULL = [preset for preset in PRESETS if preset not in SMALL]
AUDITS = sorted((ROOT / "configs" / "audits").glob("canaries_*.yaml"))
SHRUNK = (
    "design.num_models=2",
    "answers.draws=2",
    "model.width=4",
    "training.epochs=1",
    "training.schedule=null",  # milestones would lie behind
    "fleet.checkpoint_every_s=1000",
)
ATTACKS = ("respert_paper", "adaptive")  # the paper's shadow and the defended one, in every table

TABLE = {"erm", "erm_group", "dp_sgd", "en1"}
ROWS = {  # what a row of the paper's table is called here
    "table_1_idc": TABLE | {"en5"},
    "table_2_mnist": TABLE,
    "table_2_mnist_small": TABLE - {"en1"} | {"en1_g05", "en1_g1", "en1_g25"},
    "table_3_cifar10": TABLE,
    "table_4_cifar100": TABLE,
    "table_5_idc": TABLE | {"en5"},
    "section_4d_skip": {"erm", "no_skip", "en5", "en5_no_skip"},
}
AXES = {  # figure: its lines, by members, and the noises that its text names
    "figure_3_idc": ({5}, {0.2}),
    "figure_3_idc_small": ({5}, set()),
    "figure_4_cifar10": ({5}, {0.75}),
    "figure_5_cifar100": ({5}, set()),
    "figure_6_members": ({1, 2, 5}, set()),
    "figure_9_idc": ({5}, set()),
    "figure_10_cifar10": ({5}, {2.0}),
    "figure_11_cifar100": ({5}, set()),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of every format that a preset reads."""
    root = tmp_path_factory.mktemp("data")
    write_cifar(root, "cifar10", per_file=40)
    write_cifar(root, "cifar100", per_file=200)
    write_idc(root, (120, 120))
    for name in ("mnist", "fashion_mnist"):
        write_idx_files(root / name)
    return root


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One storage for all presets, so that a Run that several have is trained once."""
    return tmp_path_factory.mktemp("storage")


def shrunk(
    preset: Path, root: Path, more: tuple[str, ...] = (), batch_size: int = 16
) -> Experiment:
    """The preset with few models, one epoch, and the small files as its data."""
    overrides: list[str] = [*SHRUNK, *more, f"training.batch_size={batch_size}"]
    whole = config.load(preset, [], Experiment)
    name = whole.data.name
    if whole.model.name.startswith("resnet"):
        overrides.append("model.name=resnet8")
    if name != "digits":
        overrides.append(f"data.root={root / name if (root / name).is_dir() else root}")
    if name == "idc":
        overrides += ["data.train_counts=[60,60]", "data.test_counts=[20,20]", "data.size=16"]
    else:
        overrides.append("data.num_examples=80")
    for arm, chosen in whole.arms.items():  # an arm's own recipe is shrunk as the shared one is
        if chosen.training.epochs != whole.training.epochs:
            overrides.append(f"arms.{arm}.training.epochs=1")
        if chosen.training.schedule != whole.training.schedule:
            overrides.append(f"arms.{arm}.training.schedule=null")
        if chosen.training.batch_size > batch_size:
            overrides.append(f"arms.{arm}.training.batch_size={batch_size}")
    return config.load(preset, overrides, Experiment)


@pytest.fixture(scope="module")
def finished(root: Path, storage: Path) -> Callable[[Path], dict[str, Any]]:
    """results.json of a small preset, shrunk further and done once for all tests."""
    return functools.cache(lambda preset: done(shrunk(preset, root), storage))


def has_its_rows(preset: Path, arms: Mapping[str, Defense]) -> None:
    """The arms are the rows of the paper's table, or the points of its figure."""
    full = preset.stem.removesuffix("_small")
    if full in ROWS:
        assert set(arms) == ROWS.get(preset.stem, ROWS[full])
    else:
        members, noises = AXES.get(preset.stem, AXES[full])
        points = [of for of in map(dials, arms.values()) if "gamma" in of]
        assert {of["members"] for of in points} == members
        assert noises <= {of["gamma"] for of in points}


@pytest.mark.parametrize("preset", SMALL, ids=lambda preset: preset.stem)
def test_a_small_preset_fills_each_row_and_axis_of_its_table_or_figure(
    preset: Path, root: Path, storage: Path, finished: Callable[[Path], dict[str, Any]]
):
    experiment, results = shrunk(preset, root), finished(preset)
    found = cells(storage, experiment.name)
    report = storage / "experiments" / experiment.name / "report"
    metrics = ["natural_accuracy", "train_accuracy", "generalization_gap"]
    metrics += [f"membership/{attack}/auc" for attack in ATTACKS]
    for arm, chosen in experiment.arms.items():
        for draws in ("1", "2") if chosen.defense.randomized else ("1",):
            assert {(arm, draws, metric) for metric in metrics} <= found
        assert results["arms"][arm]["dials"] == dials(chosen.defense)
        for attack in ATTACKS:
            thresholds = results["arms"][arm]["membership"][attack]["thresholds"]
            assert set(thresholds) == {"0.5", "0.6", "0.7", "0.8"}
    written = {path.name for path in report.iterdir()}
    assert {"roc.svg", "roc_linear.svg", "thresholds.svg", "index.html"} <= written
    # The small files are drawn, and of data that are not published no image is shown.
    assert ("samples.png" in written) == (experiment.data.name == "digits")
    assert set(results["arms"]) == set(experiment.arms)
    has_its_rows(preset, {arm: chosen.defense for arm, chosen in experiment.arms.items()})
    if preset.stem.removesuffix("_small") in AXES:
        assert results["report"]["against"] == "gamma"
        assert results["report"]["baseline"] == "erm"
        assert (report / "against.svg").exists()


@pytest.mark.parametrize("preset", FULL, ids=lambda preset: preset.stem)
def test_a_full_preset_is_planned_with_each_row_and_axis(preset: Path, root: Path, storage: Path):
    work = prepare(shrunk(preset, root), storage)
    assert {arm: len(runs) for arm, runs in work.plan.arms.items()} == dict.fromkeys(
        work.experiment.arms, 2
    )
    has_its_rows(preset, {arm: runs[0].defense for arm, runs in work.plan.arms.items()})
    assert answers_images(config.load(preset, [], Experiment), work.dataset)


@pytest.mark.parametrize("preset", FULL, ids=lambda preset: preset.stem)
def test_a_full_preset_asks_of_the_same_kinds_of_arms_what_its_small_one_asks(preset: Path):
    small = preset.with_stem(f"{preset.stem}_small")
    full, small = (config.load(path, [], Experiment) for path in (preset, small))
    assert kinds(full, "gamma") == kinds(small, "gamma")
    if preset.stem == "table_2_mnist":  # the small one has more noises than the table
        assert small.report.against == "gamma"
        small = small.model_copy(update={"report": full.report})
    assert settings(full) == settings(small)


@pytest.mark.parametrize(
    "name", ["table_1_idc", "table_2_mnist", "table_3_cifar10", "table_4_cifar100"]
)
def test_a_model_of_the_data_of_full_presets_is_trained_and_asked(
    name: str, root: Path, storage: Path
):
    work = prepare(shrunk(FOLDER / f"{name}.yaml", root), storage)
    run = work.plan.arms["en1"][0]
    do([run], task_of(work, run).steps, place_of(work))
    assert work.is_done(run)


def test_every_table_and_figure_has_a_preset_of_full_and_of_small_size():
    full = {name.removesuffix("_small") for name in (*ROWS, *AXES)}
    assert {preset.stem for preset in PRESETS} == full | {f"{name}_small" for name in full}


def test_dp_sgd_states_its_proved_epsilon_and_residual_perturbation_its_claim(
    finished: Callable[[Path], dict[str, Any]],
):
    arms = finished(FOLDER / "table_3_cifar10_small.yaml")["arms"]
    proved, claimed = arms["dp_sgd"]["guarantee"], arms["en1"]["guarantee"]
    assert (proved["status"], proved["of"]) == ("proved", "the weights")
    assert (claimed["status"], claimed["of"]) == ("claimed", "the weights")
    assert 0 < proved["epsilon"] < claimed["epsilon"]
    assert arms["erm"]["guarantee"] is None


@pytest.mark.parametrize("preset", AUDITS, ids=lambda preset: preset.stem)
def test_an_audit_bounds_epsilon_from_below_beside_what_is_proved(
    preset: Path, root: Path, storage: Path
):
    few = ("design.canaries.num=20", "fleet.num_gpus=0", "training.schedule=null")
    # The noise that a target epsilon takes is found twice as fast for nearly full batches.
    experiment = shrunk(preset, root, few, batch_size=60)
    results = done(experiment, storage)
    arms = results["epsilon"]["arms"]
    assert set(arms) == set(experiment.arms)
    assert {name for name, arm in arms.items() if arm["stated"] is None} == {"erm"}
    for arm in arms.values():
        assert 0 <= arm["lower_bound"] <= arm["most"]
    assert (storage / "experiments" / experiment.name / "report" / "epsilon.md").exists()


def test_presets_open_with_their_command_cost_and_figures():
    for preset in (*PRESETS, *AUDITS):
        text = preset.read_text()
        head = text[: text.index("\nname: ")]
        assert f"#   python -m runner run {preset.relative_to(ROOT)}\n" in head
        assert "# Cost: " in head
        assert "# Expected" in head or "# Measured" in head
