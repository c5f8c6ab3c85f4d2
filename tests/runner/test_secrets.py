"""What the environment keeps secret stands in no file of a run, and in no line that it prints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.clusters import HOUSE
from tests.conftest import TINY

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SECRETS = {
    "RAY_AUTH_TOKEN": "7f3a" * 16,
    "AWS_ACCESS_KEY_ID": "AKIAPLANTED12345",
    "AWS_SECRET_ACCESS_KEY": "planted+secret/0123456789abcdefghijklmnop",
    "AWS_SESSION_TOKEN": "planted-session-token-0123456789",
}


def test_no_secret_of_the_environment_is_written_or_printed(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(TINY))
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    options = ["--storage", str(tmp_path / "storage")]
    done = subprocess.run(
        [sys.executable, "-m", "runner", "run", str(tmp_path / "x.yaml"), *options],
        env=plain | SECRETS | {"HOME": str(tmp_path / "home")},
        capture_output=True,
        cwd=HOUSE,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr.decode()
    written = {p: p.read_bytes() for p in (tmp_path / "storage").rglob("*") if p.is_file()}
    assert len(written) > 50
    names = {path.name for path in written}
    assert {"experiment.json", "results.json", "index.html", "model.safetensors"} <= names
    for name, secret in SECRETS.items():
        assert secret.encode() not in done.stdout + done.stderr, name
        for path, content in written.items():
            assert secret.encode() not in content, f"{name} in {path}"
            assert name.encode() not in content, f"{name} in {path}"
    described = json.loads((tmp_path / "storage/experiments/tiny/experiment.json").read_text())
    assert described["command"][0] == "run"
    assert not (tmp_path / "home/.ray/auth_token").exists()  # the token that was given is enough
