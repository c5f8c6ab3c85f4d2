"""A training step on a CPU that keeps what memory the last one freed, against one that does not.

    python benchmarks/kept_memory.py [--rounds 8]

ResNet8 on 32x32x3, batch 128, SGD, fp32, one thread. What a process keeps is settled once, so each
side of each round is a process of its own, in turn; a figure is the median of 15 steps, the ratio
the median over rounds. Cost: about 1.5 minutes. Results: benchmarks/results/kept_memory.md.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from torch.optim import SGD

from attacks.by_name import find
from runner.models import ImageShape, Model
from runner.train.memory import keep_freed

SHAPE = ImageShape(3, 32, 32, 10, (0.5,) * 3, (0.25,) * 3)
STEPS = 15


def measured() -> tuple[float, float, float]:
    """Milliseconds of CPU and page faults of a step, and the most memory that was held, in MB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = find("runner.models", "resnet8", Model).model_validate({"name": "resnet8"})
    network = model.build(SHAPE).to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    images = torch.rand(128, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (128,))
    optimizer = SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step() -> float:
        began = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        return time.process_time() - began

    for _ in range(3):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    took = statistics.median(step() for _ in range(STEPS))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * took, (after.ru_minflt - before) / STEPS, after.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--side", choices=["given back", "kept"], help="measure one, and end")
    given = parser.parse_args()
    if given.side:
        if given.side == "kept":
            keep_freed()
        print(json.dumps(measured()))
        return
    found: dict[str, list[list[float]]] = {"given back": [], "kept": []}
    for _ in range(given.rounds):
        for side, figures in found.items():
            words = [sys.executable, __file__, "--side", side]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            figures.append(json.loads(done.stdout))
    print("| freed memory is | ms a step | page faults a step | peak MB |\n|---|---|---|---|")
    for side, figures in found.items():
        ms, faults, peak = (statistics.median(each) for each in zip(*figures, strict=True))
        print(f"| {side} | {ms:.1f} | {faults:.0f} | {peak:.0f} |")
    ratios = sorted(k[0] / g[0] for g, k in zip(*found.values(), strict=True))
    print(f"kept / given back: {statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
