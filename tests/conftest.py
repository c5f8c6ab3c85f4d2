"""A small real experiment that the tests share: a few digits, a small network, two epochs."""

import contextlib
import logging
import os
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported

import pytest
import torch

from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.train.workplace import Workplace, make_workplace

torch.set_num_threads(1)
pytest.register_assert_rewrite("tests.made")  # so that their assertions say what they compared
ROOT = Path(__file__).parents[1]

TINY = {
    "name": "tiny",
    "data": {"name": "digits", "num_examples": 200},
    "model": {"name": "small_cnn", "width": 4},
    "training": {"epochs": 2, "batch_size": 32, "precision": "fp32"},
    "design": {"name": "pairs", "num_models": 6},
    "arms": {
        "erm": {"defense": {"name": "erm"}},
        "pgd_at": {
            "defense": {"name": "pgd_at", "attack": {"eps": 0.1, "step_size": 0.05, "num_steps": 2}}
        },
    },
    "robustness": {
        "num_examples": 60,
        "attacks": {"pgd2": {"name": "pgd", "eps": 0.1, "step_size": 0.05, "num_steps": 2}},
    },
}

NOISY = {  # a randomized arm, and the protocol of residual perturbation's paper
    **TINY,
    "name": "noisy",
    "model": {"name": "resnet8", "width": 4, "norm": "group"},
    "training": {"epochs": 1, "batch_size": 32, "precision": "fp32"},
    "design": {"name": "quarters", "num_models": 4},
    "arms": {
        "erm": {"defense": {"name": "erm"}},
        "noisy": {"defense": {"name": "residual_perturbation", "gamma": 0.5}},
    },
    "answers": {"draws": 3},
    "membership": {
        "attacks": {
            "own": {"name": "shadow_mlp"},
            "plain": {"name": "shadow_mlp", "shadow_arm": "erm"},
        }
    },
}


@cache
def unit(file: str) -> str:
    """What goes to one process under `pytest -n`: a file, or all files that start Ray alike.

    Ray's own clusters of several nodes have ports in common, so only one is there at a time; a
    cluster that a command starts for itself finds its own.
    """
    text = (ROOT / file).read_text("utf-8")
    if "mark.ray" not in text:
        return file
    return "ray of several nodes" if "Cluster" in text or "tests.clusters" in text else "ray"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts Ray comes first: those are the largest units."""
    items.sort(key=lambda item: not unit(str(item.path.relative_to(ROOT))).startswith("ray"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out units. xdist's own groups are lost under pytest 9.2, which has no `_nodeid`."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Units(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid.split("::")[0])

    config.option.loadscopereorder = False  # it would sort by the number of tests
    return Units(config, log)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The options of URIs in a bucket called `bucket` of an S3 server on this machine."""
    pytest.importorskip("moto", reason="the S3 server of the tests; pip install -e '.[dev]'")
    from tests.s3 import serving

    with serving() as options:
        yield options


@pytest.fixture
def s3(s3_server: str) -> str:
    """A storage on S3 that nobody else writes to."""
    return f"s3://bucket/{uuid.uuid4().hex[:12]}{s3_server}"


@pytest.fixture
def tiny() -> Experiment:
    return Experiment.model_validate(TINY)


@pytest.fixture
def work(tiny: Experiment, tmp_path: Path) -> Work:
    return prepare(tiny, tmp_path / "storage")


@pytest.fixture
def noisy_work(tmp_path: Path) -> Work:
    return prepare(Experiment.model_validate(NOISY), tmp_path / "storage")


@pytest.fixture
def place(work: Work) -> Workplace:
    return place_of(work)


@pytest.fixture
def noisy_place(noisy_work: Work) -> Workplace:
    return place_of(noisy_work)


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray cluster of two CPUs in this process, for the tests of one file."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    yield
    ray.shutdown()


def place_of(work: Work) -> Workplace:
    """A workplace on this process's CPU that says nothing."""
    return make_workplace(
        work.dataset,
        torch.device("cpu"),
        work.store,
        checkpoint_every_s=0.0,
        tell=lambda word, part: None,
        note=lambda text: None,
    )


def do_here(work: Work) -> Work:
    """Train, ask, attack and score in this process, without Ray."""
    from runner import pipeline  # knows Ray, which machines that only train have not

    place = place_of(work)
    for run in work.plan.runs:
        for step in pipeline.task_of(work, run).steps:
            step(run, place)
    pipeline.score(work, in_ray=False)
    return work


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A new folder on a file system of its own, such as of "64m"."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Write until the disk is full, which is an OSError; the file `filler` stays."""
    with (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
