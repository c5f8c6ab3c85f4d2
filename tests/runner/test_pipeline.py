"""The whole command, as a user runs it, on a real local Ray cluster."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from rich.console import Console

from runner import pipeline
from runner.experiment import Experiment
from runner.work import prepare
from tests.conftest import NOISY, TINY

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HOUSE = Path(__file__).parents[2]
SLOWER = {
    **TINY,
    "training": {**TINY["training"], "epochs": 40},
}  # so that there is time to kill it
FLEET = {"checkpoint_every_s": 0.2}


def start(folder: Path, config: dict[str, Any], *options: str) -> subprocess.Popen[str]:
    """Start `runner run` on a configuration, as its own process."""
    (folder / "x.yaml").write_text(
        yaml.safe_dump({**config, "fleet": FLEET | config.get("fleet", {})})
    )
    command = [sys.executable, "-m", "runner", "run", str(folder / "x.yaml")]
    return subprocess.Popen(
        [*command, "--storage", str(folder / "storage"), *options],
        cwd=HOUSE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, config: dict[str, Any], *options: str) -> tuple[int, str]:
    """Run to the end; return the exit code and everything printed."""
    process = start(folder, config, *options)
    out, _ = process.communicate(timeout=300)
    return process.returncode, out


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "storage/experiments/tiny/results.json").read_text())


def figures(folder: Path) -> dict[str, Any]:
    """Everything in results.json that is not about this one command or its seconds."""
    found = results(folder)
    for arm in found["arms"].values():
        del arm["train_time_s"]
    return {key: found[key] for key in ("arms", "null_control", "data", "evaluation")}


def done(folder: Path) -> int:
    return len(list(folder.glob("storage/runs/*/DONE")))


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of SLOWER that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    code, out = run(folder, SLOWER)
    assert code == 0, out
    return folder


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


def test_the_same_command_again_trains_nothing_and_finds_the_same(undisturbed: Path):
    before = figures(undisturbed)
    code, out = run(undisturbed, SLOWER)
    assert code == 0, out
    assert results(undisturbed)["runs"] == {"trained": 0, "reused": 12}
    assert figures(undisturbed) == before


def test_more_models_train_only_the_new_ones(undisturbed: Path, tmp_path: Path):
    import shutil

    shutil.copytree(undisturbed / "storage", tmp_path / "storage")
    code, out = run(tmp_path, SLOWER, "--set", "design.num_models=8")
    assert code == 0, out
    assert results(tmp_path)["runs"] == {"trained": 4, "reused": 12}


def test_a_killed_driver_loses_nothing_that_was_finished(undisturbed: Path, tmp_path: Path):
    process = start(tmp_path, SLOWER)
    wait_for(lambda: done(tmp_path) >= 4, process)
    process.kill()
    process.communicate()
    finished = {p: p.stat().st_mtime_ns for p in tmp_path.glob("storage/runs/*/DONE")}
    assert 4 <= len(finished) < 12
    code, out = run(tmp_path, SLOWER)
    assert code == 0, out
    assert all(p.stat().st_mtime_ns == at for p, at in finished.items()), (
        "a finished Run was redone"
    )
    assert results(tmp_path)["runs"]["reused"] >= len(finished)
    assert figures(tmp_path) == figures(undisturbed)
    assert results(undisturbed)["events"] == []
    event = results(tmp_path)["events"][0]
    assert f"process {process.pid} on " in event["text"]
    assert "did not say how it ended" in event["text"]
    assert "in the report; the last was, at " in out


def test_a_killed_worker_is_replaced_and_the_figures_are_the_same(
    undisturbed: Path, tmp_path: Path
):
    process = start(tmp_path, SLOWER)
    wait_for(lambda: done(tmp_path) >= 2, process)
    workers = [
        child.pid
        for child in psutil.Process(process.pid).children(recursive=True)
        if "RayTrainWorker" in " ".join(child.cmdline())
    ]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    assert "died" in out
    assert figures(tmp_path) == figures(undisturbed)
    assert any("died" in event["text"] for event in results(tmp_path)["events"])
    page = (tmp_path / "storage/experiments/tiny/report/index.html").read_text()
    assert 'id="happened"' in page


def test_corrupt_files_are_named_set_aside_and_made_again(undisturbed: Path, tmp_path: Path):
    import shutil

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
    code, out = run(tmp_path, SLOWER)
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
    code, out = run(tmp_path, config)
    assert code == 0, out
    found = results(tmp_path)
    expected = {"on": "non_members", "num_examples": 60, "tpr_rule": "step_le"}
    assert found["evaluation"] == expected
    assert found["data"]["num_test"] == 0
    assert list(found["arms"]["erm"]["membership"]) == ["offline"]


def test_a_randomized_model_is_asked_again_and_never_trained_again(tmp_path: Path):
    """Quarters, a shadow of its own and one of another arm, over one draw and the mean of three."""
    config = {**NOISY, "name": "tiny"}
    code, out = run(tmp_path, config)
    assert code == 0, out
    assert results(tmp_path)["runs"] == {"trained": 8, "reused": 0}
    before = figures(tmp_path)
    erm, noisy = (before["arms"][name] for name in ("erm", "noisy"))
    assert erm["averaged"] is None
    assert noisy["averaged"]["draws"] == 3
    for read in (erm, noisy, noisy["averaged"]):
        for attack, shadow_arm in {"own": None, "plain": "erm"}.items():
            found = read["membership"][attack]
            assert found["shadow_arm"] == (shadow_arm or ("erm" if read is erm else "noisy"))
            assert found["auc"]["low"] <= found["auc"]["mean"] <= found["auc"]["high"]
            assert found["tpr_at_fpr"]["0.1"]["num_negatives"] == 50

    code, out = run(tmp_path, config)
    assert code == 0, out
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
    curves = {}
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        code, out = run(folder, {**config, "fleet": {"workers_per_run": workers}})
        assert code == 0, out
        curves[workers] = {
            path.parent.name.rsplit("-", 1)[0]: [
                json.loads(x)["loss_total"] for x in path.read_text().splitlines()
            ]
            for path in folder.glob("storage/runs/*/epochs.jsonl")
        }
    assert len(curves[1]) == 12
    for run_id, curve in curves[1].items():
        assert curves[2][run_id] == pytest.approx(curve, rel=1e-3)


def test_a_driver_waits_for_a_storage_that_is_away(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    share, elsewhere = tmp_path / "storage", tmp_path / "elsewhere"
    shutil.copytree(undisturbed / "storage", share)
    told = io.StringIO()
    work = prepare(Experiment.model_validate({**SLOWER, "fleet": FLEET}), share)
    train_and_ask = pipeline._train_and_ask

    def lose_the_storage(*given: Any) -> Any:
        monkeypatch.setattr(pipeline, "_train_and_ask", train_and_ask)
        share.rename(elsewhere)
        share.mkdir()  # the empty mount point
        threading.Timer(3.0, lambda: (share.rmdir(), elsewhere.rename(share))).start()
        return train_and_ask(*given)

    monkeypatch.setattr(pipeline, "_train_and_ask", lose_the_storage)
    before = figures(undisturbed)
    pipeline.run(work, Console(file=told, width=200))
    assert "is it mounted?; waits up to 300 s" in told.getvalue()
    assert figures(tmp_path) == before
    assert results(tmp_path)["runs"] == {"trained": 0, "reused": 12}


def test_a_disk_that_fills_up_ends_with_the_reason_and_the_same_command_goes_on(tmp_path: Path):
    storage = tmp_path / "storage"
    storage.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(storage)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        code, out = run(tmp_path, TINY)
        assert code == 2, out
        assert re.search(r"FAIL  disk: [\d.]+ MB to write, 0\.6 MB free; make room", out), out
        assert done(tmp_path) == 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(storage)], check=True)
        process = start(tmp_path, SLOWER)
        wait_for(lambda: done(tmp_path) >= 2, process)
        filler = storage / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 1, out
        assert "No space left on device" in out
        assert "run the same command again" in out
        filler.unlink()
        kept = done(tmp_path)
        assert kept >= 2
        code, out = run(tmp_path, SLOWER)
        assert code == 0, out
        assert results(tmp_path)["runs"]["reused"] >= kept
    finally:
        subprocess.run(["umount", str(storage)], check=True)
