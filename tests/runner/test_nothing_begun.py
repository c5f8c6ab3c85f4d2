"""Exit code 2: nothing was started or written, whatever was wrong with the request.

Each fault is given as a user gives it, in a folder of its own, and changes nothing in it.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from runner.driver.lock import LOCK
from runner.storage.store import TOPS
from tests.conftest import TINY, fill, small_disk
from tests.made.commands import invoke
from tests.made.given import member_of, write

SWEPT = {
    **TINY,
    "sweep": {
        "arm": "erm",
        "axes": {"training.lr": [0.1, 0.2]},
        "search": {"name": "grid"},
        "rungs": [6],
    },
}
Config = dict[str, Any]


def with_(base: Config, **changes: Any) -> Config:
    """TINY or so with other blocks; None removes one."""
    merged = {**base, **changes}
    return {key: value for key, value in merged.items() if value is not None}


CONFIGS: dict[str, Config] = {
    "no such defense": with_(TINY, arms={"a": {"defense": "no"}}),
    "an unknown key": with_(TINY, trainning={}),
    "no data": with_(TINY, data=None),
    "data that is not there": with_(
        TINY, data={"name": "mnist", "root": "nowhere", "download": False}
    ),
    "a file that is not there": with_(TINY, data={"name": "npz", "path": "none.npz"}),
    "a home of nobody": with_(TINY, data={"name": "npz", "root": "~nobody-here/x.npz"}),
    "more models than fit": with_(TINY, design={"name": "pairs", "num_models": 10**15}),
    "fewer images than asked for": with_(TINY, data={"name": "digits", "num_examples": 100_000}),
    "too few for a model": with_(TINY, data={"name": "digits", "num_examples": 3}),
    "a batch above the members": with_(
        TINY,
        training={**TINY["training"], "batch_size": 150},
        arms={"dp": {"defense": {"name": "dp_sgd", "noise_multiplier": 1.0}}},
    ),
    "an odd number of models": with_(TINY, design={"name": "pairs", "num_models": 7}),
    "an attack without shadows": with_(
        TINY, design={"name": "quarters", "num_models": 4}, membership={"attacks": {"x": "lira"}}
    ),
    "scores that are not there": with_(TINY, memorization={"file": "none.npz"}),
}
SWEEPS: dict[str, Config] = {
    "no sweep": TINY,
    "an axis of nothing": with_(SWEPT, sweep={**SWEPT["sweep"], "axes": {"training.epoch": [1]}}),
    "a rate below any": with_(
        SWEPT,
        membership={"false_positive_rates": [1e-9]},
        sweep={**SWEPT["sweep"], "objectives": {"false_positive_rate": 1e-9}},
    ),
    "a setting that cannot be": with_(
        SWEPT, sweep={**SWEPT["sweep"], "axes": {"training.lr": [0.1, -1.0]}}
    ),
    **{name: {**config, "sweep": SWEPT["sweep"]} for name, config in CONFIGS.items()},
}
FILES: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- a\n",
    "binary": bytes(range(256)),
    "UTF-16": "name: tiny\n".encode("utf-16"),
    "not YAML": b"a: [\n",
    "twice": b"name: a\nname: b\n",
}
SETS = ["=3", "", "a.=1", ".a=1", "training", "training.epochs=[", "name.x=1", " =3"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are given in, where a cluster that nobody answers at is named."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # whoever looked for it would fail otherwise
    return tmp_path / "here"


def lies_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path in a folder, with its size and time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        found[str(path)] = (stat.st_size, stat.st_mtime_ns) if path.is_file() else (0, 0)
    return found


def refused(here: Path, *words: str) -> str:
    """Hold that a command is refused in one message and changed nothing; what it said."""
    before = lies_in(here)
    code, out = invoke(*words)
    assert code == 2, (words, out)
    assert lies_in(here) == before, words
    assert "Traceback" not in out
    assert "127.0.0.1:1" not in out
    assert out.strip(), "it says why"
    return out


def given(here: Path, config: Config) -> str:
    (here / "x.yaml").write_text(yaml.safe_dump(config))
    return "x.yaml"


@pytest.mark.parametrize("command", ["plan", "run", "report"])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_an_experiment_lacks_is_found_before_anything_begins(
    here: Path, command: str, name: str
):
    refused(here, command, given(here, CONFIGS[name]), "--storage", "s")


@pytest.mark.parametrize("name", SWEEPS)
def test_what_a_sweep_lacks_is_found_before_anything_begins(here: Path, name: str):
    refused(here, "sweep", given(here, SWEEPS[name]), "--storage", "s")


@pytest.mark.parametrize("command", ["check", "plan", "run", "sweep", "report"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration(here: Path, command: str, name: str):
    (here / "x.yaml").write_bytes(FILES[name])
    assert refused(here, command, "x.yaml").startswith("runner: x.yaml: 1 fault\n")


@pytest.mark.parametrize("command", ["check", "plan", "run", "sweep", "report"])
def test_words_of_the_command_line_that_mean_nothing(here: Path, command: str):
    path = given(here, TINY)
    for override in SETS:
        refused(here, command, path, "--set", override)
    (here / "folder").mkdir()
    assert "it is a folder" in refused(here, command, "folder")
    refused(here, command, "none.yaml")
    refused(here, command)
    refused(here, command, path, "--no-such-option")
    refused(here, command, path, "more")


@pytest.mark.parametrize("command", ["plan", "run", "sweep", "report", "audit"])
def test_a_storage_that_cannot_be(here: Path, command: str):
    write(here / "answers", member_of())
    config = [given(here, SWEPT)]
    if command == "audit":
        config = ["--answers", "answers", "--member", "member.npy", "--no-ray"]
    (here / "file").write_bytes(b"")
    (here / "link").symlink_to(here / "nowhere" / "at all")
    (here / "part").mkdir()
    (here / "part" / "audits").write_bytes(b"")
    for storage in ("~nobody-here/x", "file", "file/below", "part", "ftp://host/x", "link"):
        out = refused(here, command, *config, "--storage", storage)
        assert storage.partition(":")[0] in out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_storage_that_may_not_be_written(here: Path):
    (here / "mine").mkdir()
    (here / "mine").chmod(0o500)
    assert "cannot be written" in refused(
        here, "run", given(here, TINY), "--storage", "mine/storage"
    )


AUDITS: dict[str, tuple[list[str], Callable[[Path], object]]] = {
    "no answers": (["--answers", "none"], lambda here: None),
    "a folder for a matrix": (["--member", "answers"], lambda here: None),
    "no matrix": (["--member", "none.npy"], lambda here: None),
    "a name that is none": (["--name", "A b"], lambda here: None),
    "an attack that needs more": (
        ["--set", "membership.attacks={x: {name: shadow_mlp, num_shadows: 7}}"],
        lambda here: None,
    ),
    "an attack of views": (
        ["--set", "membership.attacks={x: {name: lira, views: [plain, flip]}}"],
        lambda here: None,
    ),
    "one file of fewer": (
        [],
        lambda here: write(here / "answers", member_of(), logits=np.zeros((30, 3))),
    ),
    "rows of others": (
        [],
        lambda here: [
            write(here / "answers", member_of(num_examples=200)),
            np.save(here / "member.npy", member_of(num_examples=200)[[3, 2, 5, 4, 7, 6, 1, 0]]),
        ],
    ),
    "a configuration that is none": (["--config", "none.yaml"], lambda here: None),
}


@pytest.mark.parametrize("name", AUDITS)
def test_what_an_audit_lacks_is_found_before_anything_begins(here: Path, name: str):
    options, harm = AUDITS[name]
    write(here / "answers", member_of())
    harm(here)
    words = ["--answers", "answers", "--member", "member.npy", "--storage", "s"]
    refused(here, "audit", *words, *options)  # of an option given twice the last one counts


@pytest.mark.parametrize(
    "words",
    [
        ["no_such_command"],
        ["status", "--storage", "none"],
        ["status", "none.yaml", "--storage", "none"],
        ["status", "--watch", "0"],
        ["budget", "dp-sgd"],
        ["budget", "dp-sgd", "--batch-size", "9", "--num-examples", "5", "--epochs", "1"],
        ["budget", "audit", "--noise-multiplier", "0"],
        ["budget", "audit", "--noise-multiplier", "1", "--trials", "3"],
        ["budget", "residual", "--strategy", "III"],
        ["demo", "reversal", "--dt", "3", "--out", "out"],
        ["demo", "reversal", "--image", "none.png", "--out", "out"],
        ["demo", "rademacher", "--dim", "0", "--out", "out"],
        ["plan", "quickstart", "--cluster", "none", "--storage", "s"],
    ],
    ids=" ".join,
)
def test_other_commands_with_something_wrong(here: Path, words: list[str]):
    refused(here, *words)


def test_a_second_driver_leaves_the_folder_as_it_is(here: Path):
    path = given(here, TINY)
    for top in TOPS:
        (here / "s" / top).mkdir(parents=True)
    (here / "s" / "experiments" / "tiny").mkdir()
    with (here / "s" / "experiments" / "tiny" / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "works on it" in refused(here, "run", path, "--storage", "s")


def test_a_disk_that_is_full_keeps_no_folders(tmp_path: Path):
    with small_disk(tmp_path / "disk", "64k"):
        with pytest.raises(OSError, match="No space left"):
            fill(tmp_path / "disk")
        refused(
            tmp_path / "disk", "run", given(tmp_path, TINY), "--storage", str(tmp_path / "disk/s")
        )


def test_a_demonstration_into_a_file(here: Path):
    (here / "out").write_bytes(b"")
    for what in ("reversal", "rademacher"):
        refused(here, "demo", what, "--out", "out")
        refused(here, "demo", what, "--out", "out/below")
