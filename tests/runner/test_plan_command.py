"""`runner plan`: it answers where nothing is there yet, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.storage.store import TOPS
from tests.conftest import TINY
from tests.made.commands import invoke

CIFAR = {**TINY, "data": {"name": "cifar10", "num_examples": 400}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(here: Path, config: dict[str, Any], *words: str) -> tuple[int, str]:
    """What `plan` answers; it made nothing but was given the configuration."""
    (here / "x.yaml").write_text(yaml.safe_dump(config))
    code, out = invoke("plan", "x.yaml", *words)
    assert [path.name for path in here.iterdir()] == ["x.yaml"]
    return code, " ".join(out.split())


def test_a_known_data_set_is_planned_on_before_it_is_there(here: Path):
    code, out = planned(here, CIFAR, "--storage", "none/yet")
    assert code == 0, out
    assert "0 done, 6 to train" in out
    assert "(200 non-members)" in out
    assert "no CIFAR-10 under 'data', so networks were tried on noise of that shape" in out
    assert "a run downloads it first" in out
    forbidden = {**CIFAR, "data": {**CIFAR["data"], "download": False}}
    assert "a run is refused until it is there" in planned(here, forbidden)[1]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": "cifar10", "num_examples": 50_001}, "has only 50000 examples"),
        ({"name": "cifar10", "classes": [0, 10]}, "the classes of cifar10 are 0 to 9"),
        ({"name": "cifar10", "root": "nowhere", "download": False}, "no CIFAR-10 under 'nowhere'"),
        ({"name": "npz", "root": "mine.npz"}, "mine.npz"),
    ],
)
def test_what_a_run_would_refuse_of_data_is_refused_before_they_are_there(
    here: Path, data: dict[str, Any], said: str
):
    code, out = planned(here, {**TINY, "data": data})
    assert code == 2
    assert said in out


def test_a_storage_that_can_only_be_read_is_planned_on(here: Path):
    storage = here / "storage"
    for top in TOPS:
        (storage / top).mkdir(parents=True)
        (storage / top).chmod(0o500)
    storage.chmod(0o500)
    (here / "x.yaml").write_text(yaml.safe_dump(TINY))
    code, out = invoke("plan", "x.yaml", "--storage", str(storage))
    storage.chmod(0o700)
    assert code == 0, out
    assert sorted(path.name for path in storage.rglob("*")) == sorted(TOPS)


def test_a_sweep_is_planned_before_anything_of_it_is_there(here: Path):
    sweep = {"arm": "pgd_at", "base": "erm", "axes": {"arms.pgd_at.training.lr": [0.1, 0.2]}}
    sweep |= {"rungs": [6, 8], "objectives": {"false_positive_rate": None}}
    code, out = planned(here, {**CIFAR, "sweep": sweep}, "--cluster", "two_cores")
    assert code == 0, out
    assert "`runner sweep`: 2 settings at 6, 8 models 22 to 40 models over 2 arms" in out
    assert "time: not known, since nothing like it was measured: erm, pgd_at" in out
    blind = {**sweep, "objectives": {"false_positive_rate": 1e-9}}
    assert planned(here, {**CIFAR, "sweep": blind})[0] == 2
    code, out = planned(here, {**CIFAR, "sweep": {**sweep, "axes": {"training.lr": [0.1, -1.0]}}})
    assert code == 2


def test_what_nobody_measured_is_measured_here_if_that_is_asked_for(here: Path):
    few = {**TINY, "training": {**TINY["training"], "epochs": 2}}
    (here / "x.yaml").write_text(yaml.safe_dump(few))
    code, out = invoke("plan", "x.yaml", "--measure", "--cluster", "two_cores")
    assert code == 0, out
    assert "time not known yet" not in out
    assert "measured here on a few images, for at most 60 s: erm, pgd_at" in out
    assert "; measured on a few images" in out
    assert "in all " in out
    assert [path.name for path in here.iterdir()] == ["x.yaml"]
