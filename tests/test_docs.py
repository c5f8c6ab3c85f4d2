"""The documentation is held to the code: examples run, links lead somewhere, schemas are whole."""

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import pytest
import torch
import typer
import yaml
from pydantic import TypeAdapter
from typer.testing import CliRunner

from attacks.by_name import Keys, find
from attacks.evasion import EvasionAttack
from attacks.membership import MembershipAttack
from attacks.membership.shadow_mlp import ShadowMLP
from defenses import Defense
from defenses.erm import ERM
from runner.__main__ import app
from runner.data import VIEWS, Augment, Data
from runner.experiment.config import parse
from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm, Report
from runner.experiment.fleet import Fleet
from runner.experiment.judging import Averages, LowerBounds, Membership, Stated, Vulnerable
from runner.experiment.questions import Answers, Robustness, Sanity
from runner.experiment.sweep import Axis, Constraint, Objectives, Search, Sweep
from runner.experiment.training import Canaries, Design, Schedule, Selection, Training
from runner.forecast.named_cluster import NodesOfOneKind
from runner.models import ImageShape, Model, image_shape
from runner.plan.work import Work, prepare
from runner.statistics import metrics
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.scores import members_to_bytes
from runner.storage.sources import ids_to_bytes
from runner.train.fit import fit
from tests import oracles
from tests.conftest import NOISY, TINY
from tests.made import defense_contract as contract
from tests.made.epsilon import with_everything
from tests.made.gathered import gathered
from tests.made.half_done import told as driver_told
from tests.made.memorization import DATA, Made, experiment_of, published
from tests.made.vulnerable import Made as AtRiskMade
from tests.made.vulnerable import experiment_of as at_risk_experiment

HOUSE = Path(__file__).parent.parent
PAGES = [*sorted((HOUSE / "docs").glob("*.md")), HOUSE / "README.md", HOUSE / "CONTRIBUTING.md"]
CONTRACTS = {
    "defenses": Defense,
    "attacks.evasion": EvasionAttack,
    "attacks.membership": MembershipAttack,
    "runner.models": Model,
    "runner.data": Data,
}


SECTIONS: dict[str, type[Keys]] = {  # heading of configuration.md -> whose keys its table has
    "The experiment": Experiment,
    "data": Data,
    "data.augment": Augment,
    "training": Training,
    "training.schedule": Schedule,
    "design": Design,
    "design.canaries": Canaries,
    "arms": Arm,
    "selection": Selection,
    "answers": Answers,
    "robustness": Robustness,
    "robustness.sanity": Sanity,
    "membership": Membership,
    "vulnerable": Vulnerable,
    "averages": Averages,
    "guarantee": Stated,
    "epsilon": LowerBounds,
    "report": Report,
    "sweep": Sweep,
    "sweep.axes": Axis,
    "sweep.search": Search,
    "sweep.objectives": Objectives,
    "sweep.constraint": Constraint,
    "fleet": Fleet,
    "A named cluster": NodesOfOneKind,
}
BY_NAME = {  # heading -> package, whose files' keys its table has
    "data": "runner.data",
    "model": "runner.models",
    "defense": "defenses",
    "Evasion attacks": "attacks.evasion",
    "Membership attacks": "attacks.membership",
}


def blocks(page: str, language: str = "python") -> list[str]:
    """The examples of a page in one language."""
    text = (HOUSE / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


EXAMPLES = {
    block.splitlines()[0].removeprefix("# "): block for block in blocks("docs/extending.md")
}


def package_of(path: str) -> str:
    """defenses/x.py -> defenses"""
    return ".".join(Path(path).parent.parts)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Every example as a file that the runner finds; by package, the class found."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    modules, classes = [], {}
    try:
        for path, text in EXAMPLES.items():
            file = tmp_path / "added" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            package = package_of(path)
            monkeypatch.setattr(
                importlib.import_module(package),
                "__path__",
                [*importlib.import_module(package).__path__, str(file.parent)],
            )
            module = f"{package}.{file.stem}"
            assert module not in sys.modules, f"{path} exists: the example needs another name"
            modules.append(module)
            classes[package] = find(package, file.stem, CONTRACTS[package])
            assert sys.modules[module].__file__ == str(file)
        yield classes
    finally:
        for module in modules:
            sys.modules.pop(module, None)
            package, _, name = module.rpartition(".")
            vars(sys.modules[package]).pop(name, None)


def test_there_is_one_example_of_everything_that_is_found_by_name():
    assert sorted(map(package_of, EXAMPLES)) == sorted(CONTRACTS)


def test_the_example_of_a_defense_keeps_the_contract_and_can_be_switched_off(added):
    assert "defenses" in added
    contract.losses_are_finite_and_one_per_example("confidence_penalty")
    contract.every_parameter_gets_a_gradient("confidence_penalty")
    contract.the_same_seed_gives_the_same_bits("confidence_penalty")
    contract.examples_meet_exactly_when_it_says_so("confidence_penalty")
    contract.it_survives_its_yaml("confidence_penalty")
    images, labels = contract.batch()
    off = contract.gradients(added["defenses"](strength=0), images, labels)
    assert torch.equal(off, contract.gradients(ERM(), images, labels))


def test_the_example_of_an_evasion_attack_stays_in_the_ball_and_harms(added):
    attack = added["attacks.evasion"](eps=0.2)
    model = contract.network().train()
    images, labels = contract.batch(32)
    torch.manual_seed(0)
    moved = attack.perturb(model, images, labels)
    assert moved.shape == images.shape
    assert (moved - images).abs().max() <= 0.2 + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    loss = torch.nn.CrossEntropyLoss(reduction="none")
    before, after = loss(model(images), labels), loss(model(moved), labels)
    assert (after >= before - 1e-5).all()
    assert after.mean() > before.mean() + 1e-3


def test_the_example_of_a_membership_attack_is_blind_to_the_target_and_finds_members(added):
    attack, random = added["attacks.membership"](), np.random.default_rng(0)
    member = np.zeros((8, 400), np.int8)
    member[::2] = random.random((4, 400)) < 0.5
    member[1::2] = 1 - member[::2]
    hard = random.normal(0, 3, (1, 400, 2))
    answers = hard + 2 * member[:, :, None] + random.normal(0, 1, (8, 400, 2))
    answers, partner = answers.astype(np.float32), np.arange(8) ^ 1
    examples = oracles.unlabelled(400)
    scores = attack.score_all(answers, member, partner, examples, {})
    assert scores.shape == (8, 400)
    assert scores.dtype == np.float64
    usual = np.mean([answers[m, 7] for m in range(2, 8) if not member[m, 7]], axis=0)
    assert scores[0, 7] == pytest.approx(np.mean(answers[0, 7] - usual))
    assert scores[member == 1].mean() - scores[member == 0].mean() == pytest.approx(2, abs=0.1)
    other = member.copy()
    other[:2] = random.integers(0, 2, (2, 400))
    again = attack.score_all(answers, other, partner, examples, {})
    assert np.array_equal(again[0], scores[0])


@pytest.mark.usefixtures("added")
def test_check_refuses_the_example_of_a_membership_attack_where_coins_leave_it_too_few_models(
    tmp_path: Path,
):
    """Its file says nothing of what it needs, and `check` says what it says of LiRA."""
    file = tmp_path / "canaries.yaml"
    design = {"name": "canaries", "num_models": 6, "canaries": {"num": 40}}
    said = {}
    for name in ("calibrated", "lira"):
        attacks = {"attacks": {"x": {"name": name}}}
        data = {**TINY, "robustness": {}, "design": design, "membership": attacks}
        file.write_text(yaml.safe_dump(data))
        result = CliRunner().invoke(app, ["check", str(file)])
        assert result.exit_code == 2, result.output
        said[name] = " ".join(result.output.split())
    assert "calibrated needs models with and without each canary" in said["calibrated"]
    assert said["calibrated"] == said["lira"].replace("lira", "calibrated")


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32)])
def test_the_example_of_a_model_takes_images_of_any_size_in_pixel_units(added, channels, side):
    shape = ImageShape(channels, side, side, 5, (0.25,) * channels, (0.5,) * channels)
    model = added["runner.models"]().build(shape)
    images = torch.rand(2, channels, side, side)
    logits = model(images)
    assert logits.shape == (2, 5)
    assert torch.equal(model[1:]((images - 0.25) / 0.5), logits)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_example_of_a_data_set_loads_the_same_bytes_and_minds_pool_and_size(added):
    data = added["runner.data"]
    whole = data().load()
    assert whole.pool_images.shape == (400, 1, 8, 8)
    assert whole.pool_images.dtype == np.uint8
    assert whole.pool_labels.dtype == np.int64
    assert np.array_equal(np.bincount(whole.test_labels), [100] * 4)
    assert not np.array_equal(whole.pool_images, whole.test_images)
    assert data().load().digest() == whole.digest()
    assert len(data(pool="train+test").load().pool_labels) == 800
    assert np.array_equal(np.bincount(data(num_examples=40).load().pool_labels), [10] * 4)


def test_an_experiment_can_name_all_examples_at_once_and_a_model_of_it_learns(added, tmp_path):
    names = {package_of(path): Path(path).stem for path in EXAMPLES}
    experiment = Experiment.model_validate(
        {
            "name": "all_of_them",
            "data": {"name": names["runner.data"], "num_examples": 160},
            "model": {"name": names["runner.models"]},
            "training": {"epochs": 4, "lr": 0.05, "batch_size": 8, "precision": "fp32"},
            "design": {"num_models": 6},
            "arms": {"one": {"defense": {"name": names["defenses"]}}},
            "robustness": {"attacks": {"one": {"name": names["attacks.evasion"]}}},
            "membership": {"attacks": {"one": {"name": names["attacks.membership"]}}},
        }
    )
    work = prepare(experiment, tmp_path)
    images, labels = (
        torch.from_numpy(x) for x in (work.dataset.pool_images, work.dataset.pool_labels)
    )
    run = work.plan.arms["one"][0]
    epochs = [e.metrics["loss_total"] for e in fit(run, images, labels, image_shape(work.dataset))]
    assert epochs[-1] < 0.8 * epochs[0]


def test_the_snippet_reads_what_the_stages_write(work: Work, tmp_path: Path, monkeypatch):
    (snippet,) = blocks("docs/store.md")
    monkeypatch.chdir(tmp_path)
    at = store.Store(tmp_path / "results")
    at.check_writable()
    runs, experiment = work.plan.arms["erm"], work.experiment
    labels = work.dataset.pool_labels
    odds = np.random.default_rng(0).normal(size=(len(runs), len(labels), 1)).astype(np.float32)
    for run, answers in zip(runs, odds, strict=True):
        content = answers_to_bytes(
            labels, Answered(answers, np.zeros((len(labels), 10))), ["identity"]
        )
        store.write(at.answers_file(run.id, experiment.questions("erm").answers_id), content)
    folder = at.experiment("quickstart")
    described = {
        "experiment": experiment.model_dump(mode="json"),
        "runs": {"erm": [run.id for run in runs]},
        "asked": {run.id: [f"answers/{experiment.questions('erm').answers_id}"] for run in runs},
    }
    store.write_json(folder / "experiment.json", described)
    store.write(folder / "member.parquet", members_to_bytes(work.plan.member))
    store.write(folder / "pool.parquet", ids_to_bytes(labels, work.ids))
    read: dict[str, Any] = {}
    exec(snippet, read)
    assert np.array_equal(read["answers"], odds)
    assert np.array_equal(read["member"], work.plan.member)
    assert read["pool"]["source_row"].to_pylist() == work.ids["source_row"].tolist()


def simulated(random: np.random.Generator, sure: float, gap: float, spread: float) -> Any:
    """Logits (2000, 10) of a model, `gap` surer of its members, and their membership."""
    member = (np.arange(2000) % 2).astype(np.int8)
    logits = random.normal(size=(2000, 10))
    logits[:, 0] += sure + gap * member + spread * random.normal(size=2000)
    return logits, member


@pytest.mark.slow
def test_a_shadow_that_is_surer_than_the_target_finds_less_than_one_of_its_own_arm():
    """The simulation that docs/threat_models.md tells of, where members are there to be found."""
    found = {"plain": [], "own": []}
    for seed in range(4):
        random = np.random.default_rng(seed)
        target, member = simulated(random, 1.0, 0.8, 0.5)
        shadows = {
            "plain": simulated(random, 8.0, 4.0, 2.0),
            "own": simulated(random, 1.0, 0.8, 0.5),
        }
        for name, (logits, of_shadow) in shadows.items():
            shadow = logits[None], of_shadow[None]
            scores = ShadowMLP().score(target, *shadow, oracles.unlabelled(2000), seed)
            found[name].append(metrics.auc(scores, member == 1))
    assert abs(np.mean(found["plain"]) - 0.5) < 0.08
    assert min(found["own"]) > 0.58
    for plain, own in zip(found["plain"], found["own"], strict=True):
        assert plain < own - 0.02


def rows(heading: str, columns: int) -> list[list[str]]:
    """The cells of the tables with so many columns under one heading of configuration.md."""
    text = (HOUSE / "docs" / "configuration.md").read_text()
    (part,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    found = [re.split(r" *\| *", line)[1:-1] for line in part.splitlines() if line[:3] == "| `"]
    return [row for row in found if len(row) == columns]


def words(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def default(cls: type[Keys], key: str, cell: str) -> Any:
    """The value that a cell of the column "default" gives a key, or what it says in words."""
    field = cls.model_fields[key]
    if not cell.startswith("`"):
        return cell
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return TypeAdapter(kind).validate_python(parse(cell.strip("`")))


def defaults(cls: type[Keys]) -> dict[str, Any]:
    """The defaults of a class, with `required` where there is none."""
    return {
        key: "required" if field.is_required() else field.get_default(call_default_factory=True)
        for key, field in cls.model_fields.items()
    }


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_configuration_page_has_every_key_with_its_default_and_no_other(heading: str):
    cls = SECTIONS[heading]
    cells = {key.strip("`"): cell for key, _, cell, _ in rows(heading, 4)}
    assert set(cells) == set(cls.model_fields)
    expected = defaults(cls)
    if cls is Arm:  # _fill_arms fills them in
        expected |= dict.fromkeys(("model", "training"), "the experiment's")
    assert {key: default(cls, key, cell) for key, cell in cells.items()} == expected


@pytest.mark.parametrize("heading", BY_NAME)
def test_the_configuration_page_is_right_about_everything_found_by_name_that_it_tells_of(
    heading: str,
):
    package = BY_NAME[heading]
    contract, found = CONTRACTS[package], {}
    files = (HOUSE / package.replace(".", "/")).glob("[a-z]*.py")
    for module in files:
        (cls,) = subclasses(f"{package}.{module.stem}", contract)
        for name in get_args(cls.model_fields["name"].annotation):
            found[name] = cls
    assert found
    named = {name for row in rows(heading, 3 if heading == "data" else 5) for name in words(row[0])}
    assert named, f"docs/configuration.md, {heading}"
    assert named <= set(found), f"docs/configuration.md, {heading}"
    found = {name: cls for name, cls in found.items() if name in named}  # a new file needs no row
    told: dict[str, dict[str, Any]] = {name: {} for name in found}
    for names, key, _, cell, _ in rows(heading, 5):
        for name in words(names):
            if key.startswith("`"):
                told[name][key.strip("`")] = default(found[name], key.strip("`"), cell)
    own = {
        name: {k: v for k, v in defaults(cls).items() if k not in contract.model_fields}
        for name, cls in found.items()
    }
    assert told == own, f"docs/configuration.md, {heading}"


def subclasses(module: str, contract: type[Keys]) -> list[type[Keys]]:
    """The public classes that a file defines for a contract: what `find` looks at."""
    return [
        c
        for c in vars(importlib.import_module(module)).values()
        if isinstance(c, type) and issubclass(c, contract) and c.__module__ == module
    ]


def test_the_arms_of_the_configuration_page_override_single_keys():
    (arms,) = blocks("docs/configuration.md", "yaml")
    experiment = Experiment.model_validate(TINY | parse(arms))
    assert experiment.arms["erm"].training == experiment.training
    wide = experiment.arms["wide"]
    assert wide.model == experiment.model.model_copy(update={"width": 64})
    schedule = experiment.training.schedule.model_copy(update={"warmup_epochs": 1})
    assert wide.training == experiment.training.model_copy(
        update={"lr": 0.05, "schedule": schedule}
    )


def test_the_configuration_page_writes_a_file_of_images_that_loads(tmp_path: Path, monkeypatch):
    (snippet,) = blocks("docs/configuration.md")
    monkeypatch.chdir(tmp_path)
    written: dict[str, Any] = {}
    exec(snippet, written)
    whole = find("runner.data", "npz", Data).model_validate({"root": "my_images.npz"}).load()
    assert whole.pool_images.shape == (160, 3, 16, 16)
    assert whole.test_images.shape == (40, 3, 16, 16)
    assert whole.pool_images.sum() + whole.test_images.sum() == written["images"].sum()


def test_the_configuration_page_names_views_that_exist():
    text = (HOUSE / "docs" / "configuration.md").read_text()
    named = set(re.findall(r"`(identity|(?:flip_)?shift_\w+|flip)`", text)) - {"flip"}
    assert named < set(VIEWS)
    assert len(named) >= 7
    assert f"There are {len(VIEWS)} views" in text


def test_the_map_of_the_readme_has_a_row_for_every_room_of_the_house():
    (room_map,) = re.findall(
        r"^## Where things are\n(.*?)^## ", (HOUSE / "README.md").read_text(), re.M | re.S
    )
    rows = [row.split("|")[1] for row in room_map.splitlines() if row.startswith("| `")]
    assert len(rows) <= 25
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`(?:runner/)?([^`]+)`", row)}
    tracked = subprocess.run(["git", "ls-files"], cwd=HOUSE, capture_output=True, text=True)
    files = [name.split("/") for name in tracked.stdout.splitlines()]
    if not files:
        pytest.skip("no git checkout")
    rooms = {parts[0] for parts in files if len(parts) > 1 and parts[0] != ".ci"}
    rooms |= {parts[1] for parts in files if parts[0] == "runner"}
    assert rooms - {"runner", "__init__.py"} <= named


def test_the_ways_through_the_house_lead_past_what_is_there():
    """`path.py:name` in docs/architecture.md is a function or a class of that file."""
    text = (HOUSE / "docs" / "architecture.md").read_text()
    places = re.findall(r"`([\w/]+\.py):(\w+)`", text)
    assert len(places) > 20
    for path, name in places:
        tree = ast.parse((HOUSE / path).read_text())
        assert name in {getattr(node, "name", None) for node in tree.body}, f"{path}:{name}"
    changes = re.findall(r"^\| .* \| (\d+) \|$", text, re.M)
    assert len(changes) == 10


def test_the_schema_of_results_names_every_key_and_no_other(work: Work, tmp_path: Path):
    """What one draw of a randomized model gives and what their mean does have the same keys."""
    changed = {
        "data": {**NOISY["data"], "classes": [3, 8]},
        "report": {"against": "gamma", "by": "members", "baseline": "erm"},
        "guarantee": {"G": 1, "R": 1},
    }
    noisy = prepare(Experiment.model_validate({**NOISY, **changed}), tmp_path / "noisy")
    attacks = {"one": {"name": "pgd", "num_steps": 1}, "two": {"name": "pgd", "num_steps": 2}}
    private = {"name": "dp_sgd", "noise_multiplier": 20, "accountant": "rdp"}
    two = {
        "robustness": {"attacks": attacks},
        "selection": {"num_examples": 20},
        "averages": {"num_models": 4},
        "arms": {**TINY["arms"], "private": {"defense": private}},
    }
    several = prepare(Experiment.model_validate({**TINY, **two}), tmp_path / "several")
    driver_told(work.folder)  # how long it took
    found: dict[str, str] = {}
    for results in (
        *map(gathered, (work, noisy, several)),
        *by_memorization(tmp_path),
        at_risk(tmp_path),
        with_everything(tmp_path / "canaries"),
    ):
        results = json.loads(json.dumps(results))
        for arm in results.get("arms", {}).values():
            if (averaged := arm["averaged"]) is not None:
                once = {key: arm[key] for key in averaged}
                assert dict(flat(averaged)) == dict(flat(once))
                arm["averaged"] = {}
        found |= dict(flat(results))
    text = (HOUSE / "docs" / "results_schema.md").read_text()
    rows = dict(re.findall(r"^\| `([^`]+)` \| (\w+)", text, re.M))
    assert rows == found


def at_risk(folder: Path) -> dict[str, Any]:
    """The part of results.json that examples at risk have."""
    found = AtRiskMade(at_risk_experiment(num_models=8), folder / "risk").find().figures["erm"]
    return {"arms": {"erm": {"averaged": None, "vulnerable": found}}}


def by_memorization(folder: Path) -> Iterator[dict[str, Any]]:
    """The part of results.json that memorization has, by own scores and by a published file."""
    yield {"memorization": Made(experiment_of(arm="erm"), folder / "own").results()}
    file = published(folder / "m.npz", np.linspace(0, 1, 200), DATA.pool_labels[:200])
    yield {"memorization": Made(experiment_of(file=str(file)), folder / "file").results()}


FIGURE = {"mean", "low", "high", "num_models"}
NAMES = {  # what holds names of the user's -> how the schema writes them
    "arms": "<arm>",
    "versions": "<package>",
    "robustness": "<attack>",
    "robust_accuracy": "<attack>",
    "membership": "<attack>",
    "tpr_at_fpr": "<rate>",
    "at_shadow_thresholds": "<rate>",
    "null_controls": "<attack>",
    "thresholds": "<threshold>",
    "dials": "<number>",
    "worst_case": "<eps>",
    "views": "<attack>",
    "chosen": "<attack>",
    "at_fpr": "<rate>",
}
TYPES = {bool: "bool", int: "int", float: "float", str: "string", list: "list"}


def flat(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each key of results.json with its type, names of the user's replaced; null has none."""
    if isinstance(value, dict) and set(value) >= FIGURE:
        yield ".".join(path), "figure"
        value = {key: rest for key, rest in value.items() if key not in FIGURE}
    if isinstance(value, dict):
        if not value and path[-1] == "averaged":
            yield ".".join(path), "object"
        for key, inner in value.items():
            yield from flat(inner, (*path, NAMES.get(path[-1] if path else "", str(key))))
    elif value is not None:
        yield ".".join(path), TYPES[type(value)]


VERDICTS = {"held", "held in part", "contradicted", "not tested"}
CLAIMS = HOUSE / "docs" / "claims.md"


def claims() -> dict[int, tuple[str, str, str]]:
    """Each claim of docs/claims.md by its number: its name, its verdict, and the rest of it."""
    parts = re.findall(
        r"^### (\d+)\. ([^\n]+)\n\n\*\*([^*]+?)\.?\*\*(.*?)(?=^#|\Z)",
        CLAIMS.read_text(),
        re.M | re.S,
    )
    return {int(number): (name, verdict.lower(), rest) for number, name, verdict, rest in parts}


def test_every_claim_has_one_of_four_verdicts_and_the_table_on_top_says_the_same():
    found = claims()
    assert list(found) == [*range(1, CLAIMS.read_text().count("\n### ") + 1)]
    assert {verdict for _, verdict, _ in found.values()} <= VERDICTS
    rows = re.findall(
        r"^\| (\d+) \| \[(.+?)\]\(.+?\) \| .+? \| (.+?) \| ", CLAIMS.read_text(), re.M
    )
    told = {int(number): (name, verdict.strip("*")) for number, name, verdict in rows}
    assert told == {number: (name, verdict) for number, (name, verdict, _) in found.items()}


def test_a_claim_says_what_gives_our_figure_in_commands_that_there_are():
    for number, (_, verdict, rest) in claims().items():
        told = dict(re.findall(r"^- ([a-z ]+)[,:] *(.*?)(?=^- |\Z)", rest, re.M | re.S))
        needed = {"paper"} | ({"here", "command", "differs"} if verdict != "not tested" else set())
        assert needed <= set(told), number
        assert verdict == "not tested" or "`python " in told["command"], number
        for line in re.findall(r"`(python [^`]+)`", rest):
            there_is(*shlex.split(line)[1:])


def test_a_figure_of_a_claim_stands_on_the_page_where_it_was_measured():
    measured = [p for p in PAGES if p != CLAIMS] + [*HOUSE.glob("benchmarks/results/*.md")]
    figure = r"\d[\d.]* \[[\d.]+, [\d.]+\]"
    there = {f for page in measured for f in re.findall(figure, " ".join(page.read_text().split()))}
    claimed = re.findall(figure, " ".join(CLAIMS.read_text().split()))
    assert len(claimed) > 100
    assert not set(claimed) - there


def there_is(first: str, *words: str) -> None:
    """Fail unless a command line (without its `python`) is one of ours, of files that are there."""
    files = [word for word in (first, *words) if word.endswith((".py", ".yaml"))]
    assert all((HOUSE / file).is_file() for file in files), files
    if first != "-m":
        assert files[:1] == [first]
        return
    at: Any = typer.main.get_command(app)
    words = words[1:]
    while hasattr(at, "commands"):
        at, words = at.commands[words[0]], words[1:]
    at.make_context("claims", list(words))  # raises for an option that there is not


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_every_file_that_is_named_exists(page: Path):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    for link in links:
        target, _, part = link.partition("#")
        there = (page.parent / target) if target else page
        assert there.exists(), link
        if part:
            heads = re.findall(r"^#+ (.*)$", there.read_text(), re.M)
            assert part in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads]
    rooms = "attacks|defenses|runner|configs|tests|docs|benchmarks"
    for name in re.findall(rf"`((?:{rooms})/[\w/.*-]+)`", text):
        assert name in EXAMPLES or any(HOUSE.glob(name)), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_defense_is_spelled_one_way(page: Path):
    assert "defence" not in page.read_text().lower()
