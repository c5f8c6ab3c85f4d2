"""What `runner plan --cluster` says beside what a run then takes, on this machine.

    python benchmarks/plan.py [CONFIG] [--models 16] [--set KEY=VALUE]

In a fresh storage: the command that `plan` gives to measure with is run, `plan` estimates the whole
experiment for a cluster of this machine's cores, and `run` is timed from its start to its end. Then
the same once more with more models: rates are those of the first run, and only what is missing is
done. Printed: estimate [fastest, slowest], actual, error, and the parts of the estimate.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def runner(command: str, *given: str) -> tuple[str, float]:
    """What a command of the runner prints, and the seconds it took."""
    started = time.monotonic()
    line = [sys.executable, "-m", "runner", command, *given]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(line)}\n{done.stdout}{done.stderr}")
    return done.stdout, time.monotonic() - started


def seconds(text: str) -> float:
    """The number of seconds in 1 h 2 min, or 3 min 4 s, or 5 s."""
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (h|min|s)\b", text))


def compare(what: str, given: list[str], cluster: Path) -> None:
    """Plan, run, and print both; `given` ends with the storage."""
    text, _ = runner("plan", *given, "--cluster", str(cluster))
    (line,) = re.findall(r"in all (.*) \[(.*) to (.*), if each", text)
    estimate, low, high = map(seconds, line)
    (parts,) = re.findall(r"  (lanes start.*)", text)
    started = time.time()
    _, actual = runner("run", *given)
    ended = sorted(
        at
        for path in Path(given[-1]).glob("runs/**/DONE")
        if (at := path.stat().st_mtime) > started
    )
    print(
        f"{what}: estimate {estimate:.0f} s [{low:.0f}, {high:.0f}], actual {actual:.0f} s, "
        f"error {100 * (estimate / actual - 1):+.0f} %\n  estimate: {parts}\n"
        f"  actual: {ended[0] - started:.0f} s until the first model was trained, "
        f"{ended[-1] - ended[0]:.0f} s from then until the last had answered all, "
        f"{started + actual - ended[-1]:.0f} s after that",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", default="quickstart")
    parser.add_argument("--models", type=int, default=16, help="of each arm, in the second run")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        cluster = Path(folder) / "here.yaml"
        cluster.write_text(f"nodes: 1\ncpus: {cores}\nspeed: 1\nprice_per_node_hour: 1\n")
        common = [asked.config, *(f"--set={each}" for each in asked.set)]
        half = [*common, f"--set=design.num_models={asked.models // 2}", "--storage", folder]
        text, _ = runner("plan", *half, "--cluster", str(cluster))
        (line,) = re.findall(r"^ +runner run (.*)$", text, re.M)
        _, took = runner("run", *shlex.split(line))
        print(f"measured as plan says, in {took:.0f} s: {line.partition('--set name')[2]}")
        compare(f"{asked.models // 2} models of each arm", half, cluster)
        whole = [*common, f"--set=design.num_models={asked.models}", "--storage", folder]
        compare(f"{asked.models} models of each arm, half of them done", whole, cluster)


if __name__ == "__main__":
    main()
