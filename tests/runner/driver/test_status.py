"""`runner status`, over folders as runs leave them; time is passed in."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from runner.driver import events
from runner.driver._standing import names, not_begun, standing
from runner.driver.status import details, line
from runner.plan.work import Work
from runner.storage.store import Store
from tests.made.half_done import NOW, half_done, of, told

HOUSE = Path(__file__).parents[3]


def test_what_is_done_is_what_has_answered_and_the_rest_is_what_the_driver_said(work: Work):
    told(work.folder, half_done(work))
    found, runs = of(work), work.plan.runs
    assert found["state"] == "running"
    assert found["models"] == {"total": 12, "done": 3, "running": 1, "failed": 1}
    arms = {name: [run.id for run in of_arm] for name, of_arm in work.plan.arms.items()}
    for name, arm in found["arms"].items():
        assert arm["total"] == 6
        assert arm["done"] == sum(run.id in arms[name] for run in runs[:3])
        assert [w["run"] for w in arm["running"]] == [runs[5].id] * (runs[5].id in arms[name])
        failed = {runs[4].id: "ValueError: odd"} if runs[4].id in arms[name] else {}
        assert arm["failed"] == failed, "what is done has not failed"
    text = details(found, NOW)
    assert "experiment tiny: running (training), 3/12 models done, 1 in work, 1 failed" in text
    assert "7 waiting" in text
    assert f"{runs[5].id} epoch 1/2 loss 0.1 (45%)" in text
    assert f"{runs[4].id} failed: ValueError: odd" in text
    assert re.search(r"^  \d{4}-\d\d-\d\dT\S+\+00:00: a note$", text, re.M)


def test_the_end_is_told_and_nears_as_time_passes(work: Work):
    state = half_done(work)
    told(work.folder, state, remaining_s=600)
    assert of(work)["remaining_s"] == 600
    at = time.strftime("%H:%M", time.localtime(NOW + 600))
    assert line(of(work, NOW + 60), NOW + 60).endswith(f"ends about {at} (in 9 min 0 s)")
    assert of(work, NOW + 179)["remaining_s"] == pytest.approx(421)
    told(work.folder, state, remaining_s=600, stage="audit")
    assert of(work)["remaining_s"] is None
    told(work.folder, state, remaining_s=600, ended=143)
    assert of(work)["remaining_s"] is None


@pytest.mark.parametrize(
    ("changes", "seconds", "state", "shown"),
    [
        ({}, 29, "running", "running (training), 3/12"),
        ({}, 40, "running", "last heard of 40 s ago"),
        ({}, 180, "not heard of", "not heard of, its driver was last heard of 3 min 0 s ago"),
        ({"ended": 143, "why": "stopped"}, 9999, "stopped", "stopped, 3/12 models done"),
        ({"ended": 130, "why": "stopped"}, 0, "stopped", "stopped, 3/12 models done"),
        ({"ended": 1, "why": "2 models\n  failed"}, 0, "failed", "failed, 3/12 models done"),
        ({"ended": 2, "why": "no room"}, 0, "failed", "failed, 3/12 models done"),
        ({"ended": 0}, 0, "stopped", "stopped, 3/12 models done"),
    ],
)
def test_a_state_follows_from_the_drivers_end_or_its_silence(
    work: Work, changes: dict[str, Any], seconds: float, state: str, shown: str
):
    told(work.folder, half_done(work), **changes)
    found = of(work, NOW + seconds)
    assert found["state"] == state
    assert shown in line(found, NOW + seconds)
    if state != "running":
        assert found["models"]["running"] == 0
    if why := changes.get("why"):
        assert all(part.strip() in details(found, NOW) for part in why.splitlines())


def test_a_sweep_ends_as_its_settings_do(tmp_path: Path):
    at = Store(tmp_path)
    at.check_writable()
    earlier = "2001-09-09T01:36:40+00:00"  # 10 minutes
    told(at.sweep("s"), settings={"total": 8, "ended": 2}, stage="search", since=earlier)
    found = standing(at, "sweep", "s", NOW + 60)
    assert found["remaining_s"] == pytest.approx(6 * 600 / 2 - 60)
    assert "sweep s: running (search), " in line(found, NOW)
    assert "2/8 settings" in line(found, NOW)
    told(at.sweep("s"), settings={"total": 8, "ended": 0}, stage="search")
    assert standing(at, "sweep", "s", NOW)["remaining_s"] is None


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_without_a_name_everything_there_has_one_line(work: Work):
    at = work.store
    told(work.folder, half_done(work), ended=143)
    told(at.audit("given"), stage="audit", ended=1, why="odd")
    told(at.sweep("s"), settings={"total": 8, "ended": 2}, ended=0)
    assert names(at) == [("experiment", "tiny"), ("sweep", "s"), ("audit", "given")]
    code, out = invoke("--storage", str(at.root))
    assert code == 0
    assert out.splitlines() == [
        "experiment tiny: stopped, 3/12 models done, 1 failed, 8 to do",
        "sweep s: stopped, 2/8 settings",
        "audit given: failed",
    ]


def test_a_name_or_a_configuration_that_is_not_well_is_exit_code_1(work: Work, tmp_path: Path):
    told(work.folder, half_done(work), ended=143, why="stopped")
    config = tmp_path / "other.yaml"
    config.write_text("name: tiny\n")
    for named in ("tiny", str(config)):
        code, out = invoke(named, "--storage", str(work.store.root))
        assert code == 1
        assert "3/12 models done" in out
    code, out = invoke("tiny", "--json", "--storage", str(work.store.root))
    assert code == 1
    assert json.loads(out)[0]["models"]["done"] == 3
    code, out = invoke("tiny", "--watch", "1", "--storage", str(work.store.root))
    assert code == 1
    assert len(out.splitlines()) == 1


def test_what_is_not_there_is_exit_code_2_and_names_the_nearest(work: Work, tmp_path: Path):
    told(work.folder, half_done(work))
    code, out = invoke("tini", "--storage", str(work.store.root))
    assert code == 2
    assert "did you mean 'tiny'?" in out
    code, out = invoke("--storage", str(tmp_path / "nowhere"))
    assert code == 2
    assert "not there; name it with --storage" in out
    assert "not begun" in line(not_begun("tini"), NOW)


def test_a_watch_ends_with_what_it_watches_and_tells_each_change_once(work: Work):
    at, state = work.store, half_done(work)
    now = events.now()
    told(work.folder, state, at=now, remaining_s=60)
    command = [sys.executable, "-m", "runner", "status", "tiny", "later", "--watch", "0.1"]
    command += ["--storage", str(at.root)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert "running (training), 3/12" in process.stdout.readline()
        assert "later: not begun" in process.stdout.readline()
        time.sleep(0.3)
        told(work.folder, state, ended=143)
        assert "stopped, 3/12" in process.stdout.readline()
        told(at.audit("later"), ended=0)
        rest, _ = process.communicate(timeout=30)
    assert len(rest.splitlines()) == 1
    assert "audit later" in rest
    assert process.returncode == 1


def test_it_answers_without_ray_and_torch(tmp_path: Path):
    at = Store(tmp_path)
    at.check_writable()
    told(at.audit("given"), ended=0)
    absent = "sys.modules.update(dict.fromkeys(['ray', 'torch', 'numpy', 'pyarrow']))"
    run = f"import sys; {absent}; sys.argv = ['runner', 'status', '--storage', {str(tmp_path)!r}]"
    run += "; from runner.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", run], cwd=HOUSE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "audit given: stopped\n"
