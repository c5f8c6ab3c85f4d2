"""DP-SGD's step against the SGD step of the same network, and against Opacus' hooks.

    python benchmarks/dp_sgd.py
    python benchmarks/dp_sgd.py --model resnet18 --batch 32 --rounds 5

A network with GroupNorm, 32x32x3, cross-entropy, SGD with momentum, fp32, one thread. `sgd` and
`taps` are the runner's own steps, channels_last; `8 copies` is `taps` with `augmentations: 8`, on
as many images: an eighth of the examples, each in 8 copies. `hooks` is Opacus by itself,
GradSampleModule and DPOptimizer on torch's GroupNorm in NCHW, where its convolutions are right;
`engine: opacus` is the slow check, in channels_last. All take turns within one process, in CPU
time; a ratio is the median over rounds, with its range. Memory is that of processes of their own,
the median of three: the peak resident set of three steps less the one before them, after a step of
few images that loads what steps load.
Cost: about 3 minutes on one core. Results: benchmarks/results/dp_sgd.md.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from defense_cost import peak_kb
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from training_step import Step, compare, defended

from attacks.by_name import find
from defenses import Defense
from defenses.dp_sgd import DPSGD
from defenses.erm import ERM
from runner.models import ImageShape, Model
from runner.norms import GroupNorm

SHAPE = ImageShape(3, 32, 32, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
NOISE, CLIP = 1.0, 1.0
COPIES = 8
KEYS: dict[str, dict[str, Any]] = {
    "taps": {},
    "8 copies": {"augmentations": COPIES},
    "engine: opacus": {"engine": "opacus"},
}
TIMED = (("taps", "sgd"), ("8 copies", "taps"), ("hooks", "taps"), ("engine: opacus", "taps"))
HELD = (("taps", "hooks"), ("taps", "engine: opacus"), ("taps", "sgd"), ("8 copies", "taps"))
SIDES = ("sgd", "taps", "8 copies", "hooks", "engine: opacus")


def step_of(side: str, model: str, batch: int) -> Step:
    """A whole training step of one side on so many images, up to the new weights."""
    if side == "hooks":
        return by_hooks(model, batch)
    defense: Defense = ERM()
    if side in KEYS:
        defense = DPSGD(noise_multiplier=NOISE, max_grad_norm=CLIP, **KEYS[side])
    network, optimizer = made(model)
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return defended(defense, network, optimizer, batch // defense.copies)


def by_hooks(model: str, batch: int) -> Step:
    """The step as Opacus makes it."""
    network, optimizer = made(model)
    for parent in list(network.modules()):
        for name, norm in parent.named_children():
            if isinstance(norm, GroupNorm):
                plain = nn.GroupNorm(norm.num_groups, norm.num_channels, norm.eps)
                plain.weight, plain.bias = norm.weight, norm.bias
                setattr(parent, name, plain)
    hooked = GradSampleModule(network)
    private = DPOptimizer(
        optimizer, noise_multiplier=NOISE, max_grad_norm=CLIP, expected_batch_size=batch
    )

    def step(images: Tensor, labels: Tensor) -> None:
        private.zero_grad(set_to_none=True)
        answers = hooked(images.contiguous().requires_grad_())
        nn.functional.cross_entropy(answers, labels).backward()
        private.step()

    return step


def made(model: str) -> tuple[nn.Module, Optimizer]:
    """A network with GroupNorm, and its optimizer."""
    torch.manual_seed(0)
    fields = {"name": model, "norm": "group"}
    network = find("runner.models", model, Model).model_validate(fields).build(SHAPE).train()
    return network, SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)


def images_and_labels(num: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    images = torch.rand(num, 3, 32, 32).to(memory_format=torch.channels_last)
    return images, torch.randint(10, (num,))


def memory_mb(side: str, model: str, batch: int) -> float:
    """The peak memory of three steps in this process, beyond what it held before, in MB."""
    step = step_of(side, model, batch)
    step(*images_and_labels(COPIES))
    inputs = images_and_labels(batch)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew (Linux)
    before = peak_kb()
    for _ in range(3):
        step(*inputs)
    return (peak_kb() - before) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--batch", type=int, default=128, help="images per step (default 128)")
    parser.add_argument("--rounds", type=int, default=25, help="timed rounds (default 25)")
    parser.add_argument("--memory-of", choices=SIDES, help="print one side's memory, and end")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory_of:
        print(memory_mb(options.memory_of, options.model, options.batch))
        return
    steps = {side: step_of(side, options.model, options.batch) for side in SIDES}
    given = images_and_labels(options.batch)
    times = compare(steps, given, options.rounds, time.process_time)
    memory = {}
    for side in SIDES:
        again = [sys.executable, __file__, *sys.argv[1:], "--memory-of", side]
        alone = [subprocess.run(again, capture_output=True, text=True, check=True) for _ in "123"]
        memory[side] = statistics.median(float(each.stdout) for each in alone)
    told = (f"{s} {1e3 * statistics.median(times[s]):.0f} ms, {memory[s]:.0f} MB" for s in SIDES)
    print(f"{options.model}, batch {options.batch}, torch {torch.__version__}: {'; '.join(told)}")
    for a, b in TIMED:
        ratios = sorted(x / y for x, y in zip(times[a], times[b], strict=True))
        spread = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        print(f"time, {a} / {b}: {statistics.median(ratios):.2f} ({spread})")
    for a, b in HELD:
        print(f"memory, {a} / {b}: {memory[a] / memory[b]:.2f}")


if __name__ == "__main__":
    main()
