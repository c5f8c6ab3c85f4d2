"""Time and memory of one training step: no defense, residual perturbation, DP-SGD.

    python benchmarks/defense_cost.py
    python benchmarks/defense_cost.py --device cuda --batch 512

The efficiency claim of residual perturbation's paper (sections I-A and IV-B). ResNet8 with
GroupNorm everywhere, since DP-SGD needs it; cross-entropy, SGD with momentum, channels_last, fp32.
Times take turns within one process; a ratio is the median over rounds of defended / plain. Memory
is that of a process of its own for each: its peak resident set less the one before the first step,
or on a GPU the most that was allocated.
Cost: about 2 minutes on one core. Results: benchmarks/results/defense_cost.md.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import SGD
from training_step import SHAPE, Step, compare, defended, now_on_gpu

from attacks.by_name import find
from defenses import Defense
from runner.models import Model

SIDES = {
    "erm": {"name": "erm"},
    "residual perturbation, I": {"name": "residual_perturbation", "gamma": 1.0},
    "residual perturbation, II": {
        "name": "residual_perturbation",
        "strategy": "II",
        "gamma": 1.0,
    },
    "En5, I": {"name": "residual_perturbation", "gamma": 1.0, "members": 5},
    "dp_sgd": {"name": "dp_sgd", "noise_multiplier": 1.1},
}


def step_of(name: str, batch: int, device: str) -> Step:
    """A whole training step as runner/train/fit.py makes it."""
    facts = SIDES[name]
    defense = find("defenses", facts["name"], Defense).model_validate(facts)
    chosen = find("runner.models", "resnet8", Model).model_validate(
        {"name": "resnet8", "norm": "group"}
    )
    torch.manual_seed(0)
    model = defense.build(lambda: chosen.build(SHAPE))
    model = model.to(device=device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return defended(defense, model, optimizer, batch)


def memory_mb(name: str, batch: int, device: str) -> float:
    """The peak memory of three steps in this process, beyond what it held before, in MB."""
    step = step_of(name, batch, device)
    inputs = images_and_labels(batch, device)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
    before = peak_kb()
    for _ in range(3):
        step(*inputs)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return (peak_kb() - before) * 1024 / 1e6


def peak_kb() -> int:
    """The largest resident set of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def images_and_labels(batch: int, device: str) -> tuple[Tensor, Tensor]:
    images = torch.rand(batch, 1, 28, 28).to(device, memory_format=torch.channels_last)
    return images, torch.randint(10, (batch,), device=device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=128, help="images per step (default 128)")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default 15)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--memory-of", choices=SIDES, help="print one defense's memory, and end")
    options = parser.parse_args()
    batch, device = options.batch, options.device
    torch.set_num_threads(1)
    if options.memory_of:
        print(memory_mb(options.memory_of, batch, device))
        return
    clock = now_on_gpu if device == "cuda" else time.process_time
    sides = {name: step_of(name, batch, device) for name in SIDES}
    times = compare(sides, images_and_labels(batch, device), options.rounds, clock)
    print(f"resnet8, GroupNorm, batch {batch} of 28x28x1, {device}, torch {torch.__version__}")
    print("| defense | ms | times erm | range | memory, MB |")
    print("|---|---|---|---|---|")
    for name in SIDES:
        ratios = sorted(a / b for a, b in zip(times[name], times["erm"], strict=True))
        again = [sys.executable, __file__, "--batch", str(batch), "--device", device]
        alone = subprocess.run(
            [*again, "--memory-of", name], capture_output=True, text=True, check=True
        )
        print(
            f"| {name} | {1e3 * statistics.median(times[name]):.1f} "
            f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} "
            f"| {float(alone.stdout):.0f} |"
        )


if __name__ == "__main__":
    main()
