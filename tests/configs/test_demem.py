"""Every DeMem preset and sweep, shrunk as in `test_presets`, on files of the same format.

A preset is trained unless it is a combination of what trained ones have: the settings of one, and
arms that differ from theirs in network, recipe, radius, steps and weights alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.pgd import PGD
from defenses import Defense
from runner.experiment import config
from runner.experiment.config import parse
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import grid
from runner.plan.work import prepare
from runner.sweep.settings import check, with_setting
from tests.conftest import ROOT
from tests.made.datasets import write_cifar, write_idx_files
from tests.made.presets import answers_images, cells, done, kinds, settings

CONFIGS = ROOT / "configs"
PRESETS = sorted((CONFIGS / "demem").rglob("*.yaml"))
SWEEPS = [
    p
    for p in (*PRESETS, *sorted((CONFIGS / "sweeps").glob("*.yaml")))
    if "figure_2" in p.stem or "figure_3" in p.stem or p.parent.name == "sweeps"
]
TABLE_1, FIGURE_1 = {"pgd_at", "pgd_at_dp_sgd"}, {"erm", "dp_sgd"}
TABLE_2 = {"pgd_at", "pgd_at_demem", "trades", "trades_demem"}
BASES = ("erm", "pgd_at", "trades", "mart", "awp")
ROWS = {
    "table_1_cifar100": TABLE_1,
    "table_1_fashion": TABLE_1,
    "table_2_cifar10": TABLE_2,
    "table_2_cifar100": TABLE_2,
    "table_2_fashion": TABLE_2 | {"pgd_at_demem_paper", "trades_demem_paper"},
    "figure_1_cifar100": FIGURE_1,
    "figure_1_digits": FIGURE_1,
    "figure_2_cifar100": {"base", "demem"},
    "figure_3_cifar100": {"base", "demem"},
    "bases_digits": {*BASES, *(f"{base}_demem" for base in BASES)},
    "queries_digits": {f"{base}{end}" for base in BASES[:3] for end in ("", "_demem")},
    "checkpoints_digits": {"pgd_at_last", "pgd_at_best"},
}
PLANNED = {  # and not trained
    "official_code/table_2_cifar10",
    "official_code/figure_3_cifar100",
    "paper/table_2_cifar10",
    "paper/table_2_cifar100",
    "paper/figure_3_cifar100",
}
NUMBERS = ("eps", "step_size", "num_steps", "weight")  # of attacks and of DeMem
SHRUNK = (
    "model.width=4",
    "training.epochs=1",
    "training.schedule=null",  # milestones would lie behind
    "training.batch_size=40",
    "data.num_examples=80",
    "robustness.num_examples=4",
    "fleet.num_gpus=0",
    "fleet.checkpoint_every_s=1000",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of every format that a preset reads, and published scores."""
    root = tmp_path_factory.mktemp("data")
    write_cifar(root, "cifar10", per_file=40)
    write_cifar(root, "cifar100", per_file=60)
    write_idx_files(root / "fashion_mnist")
    return root


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One storage for all presets, so that a Run that several have is trained once."""
    return tmp_path_factory.mktemp("storage")


def shrunk(preset: Path, root: Path) -> Experiment:
    """The preset with few models, one epoch, attacks of one step, and the small files."""
    whole = config.load(preset, [], Experiment)
    kept = whole.memorization is not None and whole.memorization.arm is not None
    sane = preset.stem == "checkpoints_digits"
    overrides = [*SHRUNK, f"design.num_models={8 if kept else 6}"]
    overrides.append(f"robustness.sanity.num_models={int(sane)}")
    if whole.model.name.startswith("resnet"):
        overrides.append("model.name=resnet8")
    if whole.data.name != "digits":
        own = root / whole.data.name
        overrides.append(f"data.root={own if own.is_dir() else root}")
    for name, attack in whole.robustness.attacks.items():
        if isinstance(attack, PGD):
            overrides.append(f"robustness.attacks.{name}.num_steps=1")
    for arm, chosen in whole.arms.items():
        for place, defense in {"defense": chosen.defense, **base_of(chosen.defense)}.items():
            if isinstance(getattr(defense, "attack", None), PGD):
                overrides.append(f"arms.{arm}.{place}.attack.num_steps=1")
    if whole.averages.num_models is not None:
        overrides.append("averages.num_models=4")
    if whole.selection is not None:
        overrides.append("selection.num_examples=10")
    if whole.memorization is not None and whole.memorization.file is not None:
        overrides.append(f"memorization.file={published(whole, root)}")
        overrides.append("data.num_examples=null")  # a published file is of the whole pool
    return config.load(preset, overrides, Experiment)


def base_of(defense: Defense) -> dict[str, Defense]:
    """What a defense is over, by its place in an arm."""
    base = getattr(defense, "base", None)
    return {} if base is None else {"defense.base": base}


def published(whole: Experiment, root: Path) -> Path:
    """A file of scores as Feldman and Zhang's, for part of the small pool."""
    data = whole.data.model_copy(update={"root": root})
    labels = data.load().pool_labels[:60]
    file = root / "scores.npz"
    np.savez(file, tr_mem=np.linspace(-0.1, 1, 60, dtype=np.float32), tr_labels=labels)
    return file


def name_of(preset: Path) -> str:
    return f"{preset.parent.name}/{preset.stem}"


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in PRESETS if name_of(p) not in PLANNED], ids=name_of)
def test_a_preset_fills_each_row_and_axis_of_its_table_or_figure(
    preset: Path, root: Path, storage: Path
):
    experiment = shrunk(preset, root)
    results = done(experiment, storage)
    found = cells(storage, experiment.name)
    assert set(results["arms"]) == ROWS[preset.stem]
    metrics = ["natural_accuracy", *(f"robust_accuracy/{a}" for a in experiment.robustness.attacks)]
    metrics += [f"membership/{attack}/auc" for attack in experiment.membership.attacks]
    for arm in experiment.arms:
        told = {metric for name, _, metric in found if name == arm}
        assert set(metrics) <= told, sorted(told)
    assert ("memorization" in preset.read_text()) == bool(results.get("memorization"))
    if results.get("memorization"):
        of_arms = results["memorization"]["arms"]
        assert set(of_arms) == FIGURE_1
        for rates in of_arms.values():
            assert len(rates["tpr"]["by_bin"]) == results["memorization"]["bins"]["used"] + 1


@pytest.mark.parametrize("preset", PRESETS, ids=name_of)
def test_a_preset_is_planned_with_each_row_and_axis(preset: Path, root: Path, storage: Path):
    work = prepare(shrunk(preset, root), storage)
    assert set(work.plan.arms) == ROWS[preset.stem]
    assert {len(runs) for runs in work.plan.arms.values()} == {work.experiment.design.num_models}
    assert answers_images(config.load(preset, [], Experiment), work.dataset)


def test_what_is_not_trained_has_its_settings_and_kinds_of_arms_from_what_is():
    every = {name_of(preset): config.load(preset, [], Experiment) for preset in PRESETS}
    assert set(every) > PLANNED
    trained = [experiment for name, experiment in every.items() if name not in PLANNED]
    arms = {kind for one in trained for kind in kinds(one, *NUMBERS, "model")}
    for name in PLANNED:
        assert settings(every[name]) in [settings(one) for one in trained], name
        assert kinds(every[name], *NUMBERS, "model") <= arms, name
        assert not every[name].memorization


@pytest.mark.parametrize("preset", SWEEPS, ids=name_of)
def test_every_setting_of_a_sweep_is_a_valid_experiment(preset: Path):
    data: dict[str, Any] = parse(preset.read_text())
    experiment = config.load(preset, [], Experiment)
    assert experiment.sweep is not None
    check(data, experiment, str(preset))  # raises with every fault


@pytest.mark.parametrize("version", ["official_code", "paper"])
def test_figure_3_attacks_each_model_at_its_own_radius_and_steps_follow(version: str):
    preset = CONFIGS / "demem" / version / "figure_3_cifar100.yaml"
    data, whole = parse(preset.read_text()), config.load(preset, [], Experiment)
    assert whole.sweep is not None
    radii = []
    for setting in grid(whole.sweep):
        made = with_setting(data, whole, setting, 128)
        one = config.validate(made, Experiment, "setting")
        attack = one.robustness.attacks["pgd20"]
        trained: Any = one.arms["base"].defense
        assert isinstance(attack, PGD)
        assert one.arms["demem"].defense.model_dump()["base"] == trained.model_dump()
        assert (attack.eps, attack.num_steps) == (trained.attack.eps, 20)
        part = 1.25 / 3 if version == "official_code" else 0.25
        assert trained.attack.step_size == pytest.approx(part * attack.eps)
        step = 1 / 255 if version == "official_code" else 0.25 * attack.eps
        assert attack.step_size == pytest.approx(step)
        radii.append(round(255 * attack.eps))
    assert radii == [1, 2, 4, 8]


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_the_two_versions_of_table_2_differ_as_the_documentation_says(data: str):
    code, paper = (
        config.load(CONFIGS / "demem" / version / f"table_2_{data}.yaml", [], Experiment)
        for version in ("official_code", "paper")
    )
    assert (code.model.name, paper.model.name) == ("resnet18", "resnet50")
    assert (code.data.normalize, paper.data.normalize) == (False, True)
    assert (len(code.answers.views), len(paper.answers.views)) == (10, 1)
    assert {arm.checkpoint for arm in code.arms.values()} == {"best"}
    assert {arm.checkpoint for arm in paper.arms.values()} == {"last"}
    for name in ("pgd_at_demem", "trades_demem"):
        one, other = (e.arms[name].defense.model_dump() for e in (code, paper))
        assert (one["on"], one["normaliser"]) == ("adversarial", "n-1")
        assert (other["on"], other["normaliser"]) == ("total", "n")
    assert code.arms["trades_demem"].defense.model_dump()["weight"] == (
        0.3 if data == "cifar100" else 0.2
    )
    for experiment in (code, paper):
        assert experiment.design.num_models == 128
        assert experiment.averages.model_dump() == {"num_models": 10, "interval": "normal"}


def test_presets_open_with_their_command_cost_and_figures():
    for preset in {*PRESETS, *SWEEPS}:
        text = preset.read_text()
        head = text[: text.index("\nname: ")]
        word = "sweep" if preset in SWEEPS else "run"
        assert f"#   python -m runner {word} {preset.relative_to(ROOT).as_posix()}\n" in head
        assert "# Cost: " in head
        assert "# Paper" in head
        assert "# Expected" in head or "# Measured" in head


def test_only_the_official_codes_version_chooses_epochs_on_what_it_is_judged_on():
    for preset in PRESETS:
        selection = config.load(preset, [], Experiment).selection
        judged = selection is not None and selection.on == "non_members"
        assert judged == (preset.parent.name == "official_code"), preset


def test_the_small_preset_of_checkpoints_runs_autoattack_and_restarts():
    preset = CONFIGS / "demem" / "small" / "checkpoints_digits.yaml"
    attacks = config.load(preset, [], Experiment).robustness.attacks
    assert isinstance(attacks["autoattack"], AutoAttack)
    assert isinstance(pgd := attacks["pgd20"], PGD)
    assert pgd.restarts > 1
