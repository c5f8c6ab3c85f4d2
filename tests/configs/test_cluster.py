"""The ready-made files of configs/cluster, as far as they can be checked without starting Ray."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.version import Version

from runner.experiment import config
from runner.experiment.config import ConfigError

HOUSE = Path(__file__).parents[2]
CLUSTER = HOUSE / "configs" / "cluster"
SLURM = CLUSTER / "slurm.sh"


def rayjob() -> list[dict[str, Any]]:
    """The two objects of rayjob.yaml: the job, and who may reach its pods."""
    return list(yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text()))


def instructions(text: str) -> list[list[str]]:
    """The instructions of a container file, each as its words."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [shlex.split(line) for line in lines]


def ray_starts() -> dict[str, list[str]]:
    """Every `ray start` of the files -> its options, with the variables of the shell in them."""
    found = {}
    joined = SLURM.read_text().replace("\\\n", " ")
    (common,) = re.findall(r'exec ray start (.*?) "\$@"', joined)
    for n, options in enumerate(re.findall(r"^ *started .*? -- (.*)$", joined, re.M)):
        found[f"slurm {n}"] = shlex.split(f"{common} {options}")
    launcher = yaml.safe_load((CLUSTER / "launcher.yaml").read_text())
    for role in ("head", "worker"):
        (command,) = [c for c in launcher[f"{role}_start_ray_commands"] if "ray start" in c]
        found[f"launcher {role}"] = shlex.split(command.partition(" start ")[2])
    cluster = rayjob()[0]["spec"]["rayClusterSpec"]
    for role, group in (
        ("head", cluster["headGroupSpec"]),
        ("worker", cluster["workerGroupSpecs"][0]),
    ):
        found[f"rayjob {role}"] = [f"--{k}={v}" for k, v in group["rayStartParams"].items()]
    return found


STARTS = ray_starts()
FILES = [path for path in CLUSTER.iterdir() if path.is_file()]


def test_every_file_that_starts_a_cluster_is_known_to_the_tests():
    names = {"slurm 0", "slurm 1", "launcher head", "launcher worker", "rayjob head"}
    assert set(STARTS) == names | {"rayjob worker"}
    assert sorted(path.name for path in FILES) == [
        "Containerfile",
        "launcher.yaml",
        "rayjob.yaml",
        "slurm.sh",
    ]


@pytest.mark.parametrize("name", STARTS)
def test_ray_knows_the_options_of_every_ray_start(name: str):
    from ray.scripts.scripts import start

    values = {"$PORT": "6379", "$DASHBOARD_PORT": "8265", "$SLURM_CPUS_ON_NODE": "2"}
    options = [option for option in STARTS[name] if option != "${size[@]}"]
    for variable, value in values.items():
        options = [option.replace(variable, value) for option in options]
    start.make_context("start", options)  # raises for an option that Ray does not have


@pytest.mark.parametrize("name", ["slurm 0", "launcher head"])
def test_heads_offer_the_dashboard_on_loopback(name: str):
    assert "--dashboard-host=127.0.0.1" in STARTS[name]


@pytest.mark.parametrize("name", ["launcher head", "rayjob head"])
def test_heads_that_stay_train_nothing(name: str):
    assert "--num-cpus=0" in STARTS[name]


def test_every_file_asks_for_a_token_and_has_none_in_it():
    for path in FILES:
        text = path.read_text()
        assert "RAY_AUTH_MODE=token" in text or "mode: token" in text, path
        assert "RAY_AUTH_TOKEN=" not in text, path
        assert not re.search(r"\b[0-9a-f]{32,}\b", text), path


def test_every_file_opens_with_what_it_does_the_command_and_the_cost():
    for path in FILES:
        opening = "\n".join(re.findall(r"^#.*$", path.read_text(), re.M)[:8])
        assert "#   " in opening, path
        assert "Cost" in opening, path


def test_the_launcher_file_keeps_rays_schema_once_ray_has_filled_it():
    from ray.autoscaler._private.util import prepare_config, validate_config

    given = yaml.safe_load((CLUSTER / "launcher.yaml").read_text())
    filled = prepare_config(given)
    validate_config(filled)
    assert filled["max_workers"] == 8
    broken = {**filled, "head_start_ray_command": []}
    with pytest.raises(Exception, match="head_start_ray_command"):
        validate_config(broken)


def test_the_launcher_installs_what_the_readme_does_where_it_copies_this_folder():
    launcher = yaml.safe_load((CLUSTER / "launcher.yaml").read_text())
    (folder,) = [there for there, here in launcher["file_mounts"].items() if here == "."]
    (install,) = [command for command in launcher["setup_commands"] if "pip" in command]
    assert install.startswith(f"cd {folder} && ")
    assert install_line() in install
    starts = [c for role in ("head", "worker") for c in launcher[f"{role}_start_ray_commands"]]
    assert all(f"{folder}/.venv/bin/ray" in command for command in starts)


def install_line() -> str:
    """The installation as the README has it, by pip alone."""
    (line,) = re.findall(r" -m uv (pip install .* -e \.) && ", (HOUSE / "README.md").read_text())
    return line.replace(" --compile-bytecode", "")


def test_the_image_has_every_room_of_the_wheel_and_installs_as_the_readme_does():
    lines = instructions((CLUSTER / "Containerfile").read_text())
    assert [words[0] for words in lines if words[0] in ("FROM", "WORKDIR", "USER")] == [
        "FROM",
        "WORKDIR",
        "USER",
    ]
    copied = [name for words in lines if words[0] == "COPY" for name in words[1:-1]]
    assert all((HOUSE / name).exists() for name in copied)
    packages = re.findall(r"^packages = \[(.*)\]$", (HOUSE / "pyproject.toml").read_text(), re.M)
    assert set(re.findall(r'"(\w+)"', packages[0])) <= set(copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "constraints.txt"} <= set(copied)
    runs = [shlex.join(words[1:]) for words in lines if words[0] == "RUN"]
    assert install_line() in runs
    last_copy = max(n for n, words in enumerate(lines) if words[0] == "COPY")
    assert last_copy < lines.index(["RUN", *install_line().split()])


def test_the_image_leaves_root_before_it_ends_and_holds_no_data_or_results():
    lines = instructions((CLUSTER / "Containerfile").read_text())
    assert ["USER", "1000"] in lines
    assert not any("." in words[1:-1] for words in lines if words[0] == "COPY")


def test_the_images_of_the_job_are_one_and_its_cluster_is_of_the_ray_that_is_pinned():
    job, _ = rayjob()
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    assert {pod["containers"][0]["image"] for pod in pods} == {"runner:0.1"}
    pinned = re.findall(r"^ray==(.*)$", (HOUSE / "constraints.txt").read_text(), re.M)
    assert Version(cluster["rayVersion"]) == Version(pinned[0])
    assert cluster["authOptions"] == {"mode": "token"}
    for pod in pods:
        mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_storage_of_the_job_is_mounted_in_every_pod():
    job, _ = rayjob()
    words = job["spec"]["entrypoint"].split()
    storage = words[words.index("--storage") + 1]
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        mounts = group["template"]["spec"]["containers"][0]["volumeMounts"]
        assert storage in {mount["mountPath"] for mount in mounts}


def test_the_policy_of_the_job_guards_its_pods_and_nothing_else():
    job, policy = rayjob()
    assert policy["kind"] == "NetworkPolicy"
    chosen = policy["spec"]["podSelector"]["matchLabels"]
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert group["template"]["metadata"]["labels"] == chosen
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_the_job_gives_ray_no_runtime_environment_where_secrets_would_be_shown():
    assert "runtimeEnvYAML" not in rayjob()[0]["spec"]


def test_the_slurm_script_parses():
    done = subprocess.run(["bash", "-n", str(SLURM)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_shellcheck_finds_nothing_in_the_slurm_script():
    if not (shellcheck := shutil.which("shellcheck")):
        pytest.skip("no shellcheck here")
    done = subprocess.run([shellcheck, str(SLURM)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_files_of_a_cluster_are_no_experiments():
    with pytest.raises(ConfigError) as told:
        config.locate("rayjob")
    assert "cluster/" not in str(told.value)
