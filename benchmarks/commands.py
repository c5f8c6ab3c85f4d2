"""What commands cost before anything starts: CPU seconds and peak memory of `check` and `plan`.

    python benchmarks/commands.py [--rounds 5] [--beside ANOTHER_CHECKOUT]

Each command is a process of its own, with one thread. CPU seconds are user and system time, of
what it starts too; memory is its peak resident set. Checkouts take turns; printed are medians over
rounds, with the range, and the ratio of another checkout's to ours.
Cost: 1 minute a round, 2 with another checkout. Results: benchmarks/results/commands.md.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

OURS = Path(__file__).parents[1]
PRESETS = ("audits/canaries_digits", "audits/canaries_fashion", "audits/canaries_cifar10")
FIVE = {  # arms, each with something of its own to be tried
    "erm": "erm",
    "pgd_at": "pgd_at",
    "trades": "trades",
    "demem": {"name": "demem", "base": "trades"},
    "awp": {"name": "awp", "base": "pgd_at"},
}


class Cost(NamedTuple):
    """What one process took."""

    seconds: float
    megabytes: float


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the commands by what they are called; their files lie in a folder."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), np.uint8)
    np.savez(folder / "noise.npz", images=images, labels=np.arange(2000) % 10)
    large = {
        "name": "five_arms",
        "data": {"name": "npz", "root": str(folder / "noise.npz")},
        "model": {"name": "resnet18"},
        "training": {"epochs": 20, "precision": "fp32"},
        "arms": {name: {"defense": defense} for name, defense in FIVE.items()},
        "robustness": {"attacks": {"pgd20": {"name": "pgd", "num_steps": 20}}},
    }
    (folder / "five_arms.yaml").write_text(yaml.safe_dump(large))
    storage = ["--storage", str(folder / "storage")]
    return {
        "check, an unknown key": ["check", "quickstart", "--set", "training.epoch=3"],
        "check quickstart": ["check", "quickstart"],
        "plan quickstart": ["plan", "quickstart", *storage],
        **{f"check {name}": ["check", name] for name in (*PRESETS, "sweeps/dp_noise")},
        "plan, five arms of resnet18": ["plan", str(folder / "five_arms.yaml"), *storage],
    }


def cost_of(words: list[str], checkout: Path, folder: Path) -> Cost:
    """Return what one command costs in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "runner", *words]
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 2):
            sys.exit(f"{line}\n{(folder / 'said').read_text()}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def told(costs: list[Cost]) -> str:
    """Return a median with its range, and the peak memory."""
    seconds = [cost.seconds for cost in costs]
    middle, memory = statistics.median(seconds), statistics.median(c.megabytes for c in costs)
    return f"{middle:.2f} s [{min(seconds):.2f}, {max(seconds):.2f}], {memory:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="another checkout")
    asked = parser.parse_args()
    sides = [OURS, *([asked.beside.absolute()] if asked.beside else [])]
    with tempfile.TemporaryDirectory() as at:
        for name, words in commands(Path(at)).items():
            costs: dict[Path, list[Cost]] = {side: [] for side in sides}
            for _ in range(asked.rounds):
                for side in sides:
                    costs[side].append(cost_of(words, side, Path(at)))
            line = f"{name}: {told(costs[OURS])}"
            if asked.beside:
                theirs = costs[sides[1]]
                pairs = zip(theirs, costs[OURS], strict=True)
                ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
                line += f"; beside {told(theirs)}; ratio {ratio:.2f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
