"""The whole command on a real Ray cluster; a part of it by itself, as a user starts it."""

import contextlib
import io
import json
import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.train.train import train
from tests.conftest import NOISY, TINY, do_here, fill, place_of, small_disk
from tests.made import commands
from tests.made.commands import done, results, wait_for
from tests.made.gate import Gate
from tests.made.shares import unmounted

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's own, of its own parts
]

ONE_WORKER = {**TINY, "fleet": {"max_workers": 1}}  # another takes seconds to start
GATED = {  # who stands at the gate has written a checkpoint
    **TINY,
    "arms": {"erm": TINY["arms"]["erm"]},
    "fleet": {"checkpoint_every_s": 0},
}
SECRETS = {
    "RAY_AUTH_TOKEN": "7f3a" * 16,
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED12345",
    "AWS_SECRET_ACCESS_KEY": "planted+secret/0123456789abcdefghijklmnop",
    "AWS_SESSION_TOKEN": "planted-session-token-0123456789",
}


def run(folder: Path, config: dict[str, Any], *options: str) -> tuple[int, str]:
    """The command in this process, to its end; the exit code and everything printed."""
    return commands.here("run", folder, config, *options)


def figures(folder: Path) -> dict[str, Any]:
    return commands.figures(results(folder))


def standing(folder: Path) -> int:
    """How many trainings have written a checkpoint and are not done."""
    found = folder.glob("storage/runs/*/checkpoint.pt")
    return sum(not path.with_name("DONE").exists() for path in found)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a command that nobody disturbed, with secrets in its environment."""
    folder = tmp_path_factory.mktemp("undisturbed")
    env = commands.without_ray() | SECRETS | {"HOME": str(folder / "home")}
    code, out = commands.run("run", folder, TINY, env=env)
    assert code == 0, out
    (folder / "printed").write_text(out)
    return folder


def again(folder: Path, config: dict[str, Any]) -> str:
    """Run to the end, and return what is printed on long lines."""
    told = io.StringIO()
    work = prepare(Experiment.model_validate(config), folder / "storage")
    pipeline.run(work, Console(file=told, width=200))
    return told.getvalue()


def test_a_run_leaves_results_of_the_promised_schema_and_a_report(undisturbed: Path):
    found = results(undisturbed)
    for arm in ("erm", "pgd_at"):
        for figure in (
            found["arms"][arm]["natural_accuracy"],
            found["arms"][arm]["robust_accuracy"]["pgd2"],
            found["arms"][arm]["membership"]["lira_online"]["auc"],
            found["arms"][arm]["membership"]["lira_online"]["tpr_at_fpr"]["0.1"],
        ):
            assert 0 <= figure["low"] <= figure["mean"] <= figure["high"] <= 1
            assert figure["num_models"] == 6
    zero = found["arms"]["erm"]["membership"]["lira_online"]["tpr_at_fpr"]["0.001"]
    assert zero["at_zero_false_positives"]
    assert zero["num_negatives"] == 100
    assert found["runs"] == {"trained": 12, "reused": 0}
    report = undisturbed / "storage/experiments/tiny/report"
    assert {"index.html", "table.md", "table.csv", "table.tex", "roc.svg", "roc.pdf"} <= {
        p.name for p in report.iterdir()
    }


def test_no_secret_of_the_environment_is_written_or_printed(undisturbed: Path):
    written = {p: p.read_bytes() for p in (undisturbed / "storage").rglob("*") if p.is_file()}
    assert len(written) > 50
    names = {path.name for path in written}
    assert {"experiment.json", "results.json", "index.html", "model.safetensors"} <= names
    printed = (undisturbed / "printed").read_bytes()
    for name, secret in SECRETS.items():
        assert secret.encode() not in printed, name
        for path, content in written.items():
            assert secret.encode() not in content, f"{name} in {path}"
            assert name.encode() not in content, f"{name} in {path}"
    described = undisturbed / "storage/experiments/tiny/experiment.json"
    assert json.loads(described.read_text())["command"][0] == "run"
    token = undisturbed / "home/.ray/auth_token"
    assert not token.exists(), "the token that was given is enough"


def test_the_same_again_trains_nothing_and_finds_the_same(undisturbed: Path, tmp_path: Path):
    shutil.copytree(undisturbed / "storage", tmp_path / "storage")
    again(tmp_path, TINY)
    assert results(tmp_path)["runs"] == {"trained": 0, "reused": 12}
    assert figures(tmp_path) == figures(undisturbed)


def test_more_models_train_only_the_new_ones(undisturbed: Path, tmp_path: Path):
    shutil.copytree(undisturbed / "storage", tmp_path / "storage")
    code, out = run(tmp_path, ONE_WORKER, "--set", "design.num_models=8")
    assert code == 0, out
    assert results(tmp_path)["runs"] == {"trained": 4, "reused": 12}


@pytest.mark.campaign
def test_a_killed_worker_and_then_a_killed_driver_lose_nothing_that_was_finished(
    undisturbed: Path, tmp_path: Path, cluster: dict[str, str]
):
    gate = Gate(tmp_path)
    gate.let_through(2)
    with commands.started("run", tmp_path, GATED, env=cluster, house=gate.house) as process:
        wait_for(lambda: len(done(tmp_path)) == standing(tmp_path) == 2, process)
        workers = training_for(cluster)
        assert len(workers) == 2
        workers[0].kill()
        wait_for(lambda: len(done(tmp_path)) == 4 and standing(tmp_path) == 2, process)
        wait_for(
            lambda: "died" in (tmp_path / "storage/experiments/tiny/driver.json").read_text(),
            process,
        )
        process.kill()
        out, _ = process.communicate()
    assert "died" in out
    finished = done(tmp_path)
    assert len(finished) == 4
    code, out = run(tmp_path, GATED, "--set", "fleet.max_workers=1")
    assert code == 0, out
    assert finished.items() <= done(tmp_path).items(), "a finished Run was redone"
    assert results(tmp_path)["runs"]["reused"] >= len(finished)
    assert figures(tmp_path) == alone(tmp_path / "alone", GATED)
    assert results(undisturbed)["events"] == []
    *of_workers, of_driver = (event["text"] for event in results(tmp_path)["events"])
    assert any("died" in text for text in of_workers)
    assert f"process {process.pid}, begun at " in of_driver, "no machine's name"
    assert "did not say how it ended" in of_driver
    assert "in the report; the last was, at " in out
    page = (tmp_path / "storage/experiments/tiny/report/index.html").read_text()
    assert 'id="happened"' in page


def alone(storage: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The figures that one process finds without Ray, and without anybody who ends it."""
    work = do_here(prepare(Experiment.model_validate(config), storage))
    found = pipeline.report(work, {"trained": len(work.plan.runs), "reused": 0})
    return commands.figures(found)


def training_for(cluster: dict[str, str]) -> list[psutil.Process]:
    """The processes in which a cluster trains: children of its raylet, which knows its port."""
    found, port = [], cluster["RAY_ADDRESS"].rpartition(":")[2]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "RayTrainWorker" in " ".join(process.cmdline()):
                parent = process.parent()
                if parent and re.search(rf"--gcs-address=\S+:{port}\b", " ".join(parent.cmdline())):
                    found.append(process)
    return found


def test_corrupt_files_are_named_set_aside_and_made_again(undisturbed: Path, tmp_path: Path):
    shutil.copytree(undisturbed / "storage", tmp_path / "storage")
    store = tmp_path / "storage"
    harmed = [
        next(store.glob("runs/erm-m000-*/model.safetensors")),
        next(store.glob("runs/erm-m001-*/answers/*/answers.parquet")),
        next(store.glob("runs/pgd_at-m002-*/robustness/*/robustness.parquet")),
        next(store.glob("experiments/tiny/scores/*/**/*.parquet")),
    ]
    for path in harmed:
        os.truncate(path, path.stat().st_size // 2)
    code, out = run(tmp_path, ONE_WORKER)
    assert code == 0, out
    for path in harmed:
        assert path.name in out
    assert len(list(store.rglob("*.corrupt-1"))) == len(harmed)
    assert results(tmp_path)["runs"]["trained"] == 1
    assert figures(tmp_path) == figures(undisturbed)


def test_the_demem_protocol_judges_train_and_test_and_attacks_non_members(tmp_path: Path):
    config = {
        **TINY,
        "data": {"name": "digits", "pool": "train+test", "num_examples": 200},
        "answers": {"views": ["identity", "shift_left"]},
        "robustness": {**TINY["robustness"], "on": "non_members"},
        "membership": {"attacks": {"offline": {"name": "lira", "mode": "offline"}}},
    }
    do_here(prepare(Experiment.model_validate(config), tmp_path / "storage"))
    again(tmp_path, config)
    found = results(tmp_path)
    expected = {"on": "non_members", "num_examples": 60, "tpr_rule": "step_le"}
    assert found["evaluation"] == expected
    assert found["data"]["num_test"] == 0
    assert list(found["arms"]["erm"]["membership"]) == ["offline"]


def test_a_randomized_model_is_asked_again_and_never_trained_again(tmp_path: Path):
    """Quarters, a shadow of its own and one of another arm, over one draw and the mean of three."""
    config = {**NOISY, "name": "tiny", "fleet": ONE_WORKER["fleet"]}
    do_here(prepare(Experiment.model_validate(config), tmp_path / "storage"))
    again(tmp_path, config)
    erm, noisy = (figures(tmp_path)["arms"][name] for name in ("erm", "noisy"))
    assert erm["averaged"] is None
    assert noisy["averaged"]["draws"] == 3
    for read in (erm, noisy, noisy["averaged"]):
        for attack, shadow_arm in {"own": None, "plain": "erm"}.items():
            found = read["membership"][attack]
            assert found["shadow_arm"] == (shadow_arm or ("erm" if read is erm else "noisy"))
            assert found["auc"]["low"] <= found["auc"]["mean"] <= found["auc"]["high"]
            assert found["tpr_at_fpr"]["0.1"]["num_negatives"] == 50

    before = figures(tmp_path)
    again(tmp_path, config)
    assert results(tmp_path)["runs"] == {"trained": 0, "reused": 8}
    assert figures(tmp_path) == before

    runs = tmp_path / "storage" / "runs"
    answered = {path: path.stat().st_mtime_ns for path in runs.glob("*/answers/*/DONE")}
    code, out = run(tmp_path, config, "--set", "answers.draws=4")
    assert code == 0, out
    assert results(tmp_path)["runs"] == {"trained": 0, "reused": 8}
    new = set(runs.glob("*/answers/*/DONE")) - set(answered)
    assert len(new) == 4
    assert all(path.parents[2].name.startswith("residual_perturbation-") for path in new)
    assert all(path.stat().st_mtime_ns == at for path, at in answered.items())
    after = figures(tmp_path)["arms"]
    assert after["erm"] == erm
    assert after["noisy"]["averaged"]["draws"] == 4
    assert after["noisy"]["train_accuracy"] == noisy["train_accuracy"]
    assert after["noisy"]["membership"] == noisy["membership"]


def test_two_workers_of_one_run_follow_the_loss_curve_of_one(tmp_path: Path):
    """Same global batch, GroupNorm, no random attack: only the order of additions differs."""
    config = {
        **TINY,
        "model": {"name": "small_cnn", "width": 8, "norm": "group"},
        "arms": {
            "erm": {"defense": {"name": "erm"}},
            "demem": {
                "defense": {"name": "demem", "weight": 0.5, "normaliser": "n-1", "base": "erm"}
            },
        },
    }
    alone = prepare(Experiment.model_validate(config), tmp_path / "alone" / "storage")
    for one in alone.plan.runs:
        train(one, place_of(alone))
    code, out = run(tmp_path, {**config, "fleet": {"workers_per_run": 2}})
    assert code == 0, out
    expected, found = curves(tmp_path / "alone"), curves(tmp_path)
    assert len(expected) == 12
    for run_id, curve in expected.items():
        assert found[run_id] == pytest.approx(curve, rel=1e-3)


def curves(folder: Path) -> dict[str, list[float]]:
    """The loss of every epoch, by a Run's arm and number."""
    return {
        path.parent.name.rsplit("-", 1)[0]: [
            json.loads(line)["loss_total"] for line in path.read_text().splitlines()
        ]
        for path in folder.glob("storage/runs/*/epochs.jsonl")
    }


def test_a_driver_waits_for_a_storage_that_is_away(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    share, back = tmp_path / "storage", threading.Event()
    shutil.copytree(undisturbed / "storage", share)
    train_and_ask = pipeline._train_and_ask

    def lose_the_storage(*given: Any) -> Any:
        monkeypatch.setattr(pipeline, "_train_and_ask", train_and_ask)
        unmounted(share, back.is_set)
        threading.Timer(3.0, back.set).start()
        return train_and_ask(*given)

    monkeypatch.setattr(pipeline, "_train_and_ask", lose_the_storage)
    before = figures(undisturbed)
    assert "is it mounted?; waits up to 300 s" in again(tmp_path, TINY)
    assert figures(tmp_path) == before
    assert results(tmp_path)["runs"] == {"trained": 0, "reused": 12}


def test_a_disk_that_fills_up_ends_with_the_reason_and_the_same_command_goes_on(
    tmp_path: Path, cluster: dict[str, str]
):
    gate, storage = Gate(tmp_path), tmp_path / "storage"
    config = {**GATED, "fleet": {**GATED["fleet"], "max_workers": 1}}
    gate.let_through(2)
    with small_disk(storage, "64m"):
        with commands.started("run", tmp_path, config, env=cluster, house=gate.house) as process:
            wait_for(lambda: len(done(tmp_path)) == 2 and standing(tmp_path) == 1, process)
            with pytest.raises(OSError, match="No space left"):
                fill(storage)
            gate.open()
            out, _ = process.communicate(timeout=300)
        assert process.returncode == 1, out
        assert "No space left on device" in out
        assert "run the same command again" in out
        (storage / "filler").unlink()
        kept = len(done(tmp_path))
        assert kept >= 2
        code, out = run(tmp_path, config)
        assert code == 0, out
        assert results(tmp_path)["runs"]["reused"] >= kept
        assert any("No space left" in event["text"] for event in results(tmp_path)["events"])


def test_a_disk_that_is_too_small_is_refused_before_anything_is_trained(tmp_path: Path):
    with small_disk(tmp_path / "storage", "900k"):
        code, out = run(tmp_path, TINY)
        assert code == 1, out  # by then Ray has been started, and the folder is held
        assert re.search(r"FAIL  disk: [\d.]+ MB to write, 0\.6 MB free; make room", out), out
        assert not done(tmp_path)
