"""A real Slurm of two nodes that are both this machine: Debian's slurmctld, slurmd and munged."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from getpass import getuser
from pathlib import Path

from tests.made.clusters import free_port

DAEMONS = {
    name: shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin")
    for name in ("munged", "slurmctld", "slurmd")
}
INSTALLED = all(DAEMONS.values()) and shutil.which("sbatch")
NODES = ("n1", "n2")

CONF = """
ClusterName=made
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=2
SchedulerParameters=sched_interval=1,bf_interval=1
{nodes}
PartitionName=some Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Start it; give the environment in which sbatch and the others speak to it."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a socket's path is short
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(64))
    (folder / "munge.key").chmod(0o600)
    host = socket.gethostname().split(".")[0]
    at = f"NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000"
    nodes = "\n".join(f"NodeName={name} {at} Port={free_port()}" for name in NODES)
    conf = folder / "slurm.conf"
    conf.write_text(
        CONF.format(host=host, port=free_port(), user=getuser(), folder=folder, nodes=nodes)
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
    env["SLURM_CONF"] = str(conf)
    munge = ["--foreground", "--force", f"--key-file={folder}/munge.key"]
    munge += [f"--{word}={folder}/munge.{word.split('-')[0]}" for word in ("socket", "pid-file")]
    munge += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed"]
    try:
        with ExitStack() as stack:
            for name, options in (
                ("munged", munge),
                ("slurmctld", ["-D", "-c"]),
                *(("slurmd", ["-D", "-N", node]) for node in NODES),
            ):
                stack.enter_context(daemon([str(DAEMONS[name]), *options], env))
            wait_until_idle(env)
            yield env
            subprocess.run(["scancel", "--full", f"--user={getuser()}"], env=env)
            wait_until_idle(env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def daemon(command: list[str], env: dict[str, str]) -> Iterator[None]:
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as one:
        try:
            yield
        finally:
            one.terminate()


def wait_until_idle(env: dict[str, str], patience_s: float = 60) -> None:
    """Until no node has a job any more, and all answer."""
    end = time.monotonic() + patience_s
    command = ["sinfo", "--noheader", "--format=%T %D"]
    while (told := asked(command, env)) != f"idle {len(NODES)}":
        if time.monotonic() > end:
            raise TimeoutError(told)
        time.sleep(0.5)


def asked(command: list[str], env: dict[str, str]) -> str:
    """What a command of Slurm prints."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()
