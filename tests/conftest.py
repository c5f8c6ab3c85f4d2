"""A small real experiment that the tests share: a few digits, a small network, two epochs."""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported

import pytest
import torch

from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.train.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from tests.made.nodes import Nodes

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


def pytest_configure() -> None:
    """Give this process a token for its Ray clusters, which Ray reads on its import, and Ctrl-C."""
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    # A job in the background ignores SIGINT, and so would what its tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def unit(file: str) -> str:
    """What goes to one process under `pytest -n`: a file, or all files that share a Ray cluster.

    Which one, the argument of the file's mark says: `ray("nodes")` is another than `ray`. Nodes
    have ports in common, so only one process may start some. The mark is read from the text, as
    whoever hands out units has imported no test.
    """
    marks = re.findall(r"\bmark\.ray\b(?:\(\"(\w+)\"\))?", (ROOT / file).read_text("utf-8"))
    return f"ray {marks[0]}" if marks else file


@cache
def turn(file: str) -> int:
    """When a file comes: the largest units first, so that at the end no process waits for one."""
    if unit(file) != file:
        return 0
    return 1 if "mark.slow" in (ROOT / file).read_text("utf-8") else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by their file's turn."""
    items.sort(key=lambda item: turn(item.path.relative_to(ROOT).as_posix()))


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
    from tests.made.s3 import serving

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


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of this process's Ray cluster: a head of two CPUs.

    It is started as users do, by `ray start`, with a dashboard for jobs.
    """
    from tests.made.clusters import client_environment, leave, started_head
    from tests.made.s3 import ALONE, KEYS

    environment = client_environment(tmp_path_factory.mktemp("home"))
    environment.pop("PYTHONUNBUFFERED", None)
    environment |= KEYS | ALONE  # its workers read and write the storage of `s3` too
    environment["RAY_AUTH_TOKEN"] = os.environ["RAY_AUTH_TOKEN"]
    environment["RAY_JOB_STOP_WAIT_TIME_S"] = "30"  # of the head: 3 s, and then it kills
    with started_head(environment, ["--num-cpus=2"]) as address:
        yield environment | {"RAY_ADDRESS": address}
        leave()


@pytest.fixture
def local_ray(cluster: dict[str, str]) -> None:
    """Ray in this process, over its cluster of two CPUs; it is left when the last test is over."""
    from tests.made.clusters import join

    join(cluster["RAY_ADDRESS"])


@pytest.fixture(scope="session")
def started_nodes() -> "Iterator[Nodes]":
    """A second cluster of this process: a head without CPUs, and the nodes that tests want."""
    from runner.cluster.connect import ENVIRONMENT
    from tests.made.clusters import leave
    from tests.made.nodes import Nodes

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        made = Nodes()
        yield made
        leave()
        made.shutdown()


@pytest.fixture
def nodes(started_nodes: "Nodes") -> "Nodes":
    """Ray in this process, over a cluster of which a test says what nodes it has."""
    from tests.made.clusters import join

    assert started_nodes.address
    join(started_nodes.address)
    return started_nodes


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
