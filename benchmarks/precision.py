"""Time a step in bf16 against fp32, of networks large and small, beside what `auto` takes.

    python benchmarks/precision.py

A training step of cross-entropy, SGD with momentum, channels_last, one thread. The two precisions
take turns within one process; a ratio is the median over rounds of bf16 / fp32. Ends with 1 if
`auto` takes bf16 for a network whose step takes longer in it than in fp32. Needs a CPU that
multiplies bf16. Cost: about 2 minutes on one core. Results: benchmarks/results/precision.md.
"""

import argparse
import statistics
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD
from training_step import Step, compare

from attacks.by_name import find
from runner.models import ImageShape, Model, Normalize
from runner.plan.precision import is_faster_in_bf16
from runner.train.bf16 import in_bf16

DIGITS = ImageShape(1, 8, 8, 10, (0.3,), (0.4,))
FASHION = ImageShape(1, 28, 28, 10, (0.286,), (0.353,))
CIFAR = ImageShape(3, 32, 32, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
OWN = {  # a small network with a layer of one's own after its convolutions
    "PyTorch's GroupNorm": lambda: nn.GroupNorm(8, 32),
    "InstanceNorm": lambda: nn.InstanceNorm2d(32),
    "GELU and dropout": lambda: nn.Sequential(nn.GELU(), nn.Dropout()),
    "the largest of a pixel's channels": lambda: _Largest(),
}
NETWORKS: tuple[tuple[dict[str, Any], ImageShape], ...] = (
    ({"name": "mlp"}, DIGITS),
    ({"name": "mlp"}, CIFAR),
    ({"name": "mlp", "hidden": (2048, 2048)}, CIFAR),
    ({"name": "small_cnn", "width": 16}, DIGITS),
    ({"name": "small_cnn", "width": 8}, CIFAR),
    ({"name": "small_cnn"}, CIFAR),
    ({"name": "resnet8", "width": 4}, CIFAR),
    ({"name": "resnet8"}, DIGITS),
    ({"name": "resnet8", "norm": "group"}, DIGITS),
    ({"name": "resnet8"}, FASHION),
    ({"name": "resnet8"}, CIFAR),
    ({"name": "resnet8", "norm": "group"}, CIFAR),
    ({"name": "resnet18", "width": 8}, CIFAR),
    ({"name": "resnet18", "width": 8, "norm": "group"}, CIFAR),
    ({"name": "wide_resnet", "depth": 10, "widen_factor": 1, "norm": "group"}, CIFAR),
    *(({"name": own}, CIFAR) for own in OWN),
)


class _Largest(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features + features.amax(1, keepdim=True)


def built(fields: dict[str, Any], shape: ImageShape) -> nn.Module:
    """A shipped network, or a small one with a layer of one's own."""
    torch.manual_seed(0)
    if (own := OWN.get(fields["name"])) is None:
        return find("runner.models", fields["name"], Model).model_validate(fields).build(shape)
    first, second = nn.Conv2d(shape.channels, 32, 3, 2, 1), nn.Conv2d(32, 32, 3, padding=1)
    layers = (first, own(), nn.ReLU(), second, own(), nn.ReLU())
    tail = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, shape.num_classes))
    return nn.Sequential(Normalize(shape), *layers, *tail)


def step_of(model: nn.Module) -> Step:
    model = model.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default 15)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wrong = []
    print(f"torch {torch.__version__}")
    print("| network | image | batch | fp32 ms | bf16 / fp32 | range | auto |")
    print("|---|---|---|---|---|---|---|")
    for fields, shape in NETWORKS:
        name = " ".join(str(value) for value in fields.values())
        for size in (32, 128):
            images = torch.rand(size, *shape[:3]).to(memory_format=torch.channels_last)
            labels = torch.randint(10, (size,))
            sides = {"fp32": step_of(built(fields, shape))}
            sides["bf16"] = step_of(in_bf16(built(fields, shape)))
            times = compare(sides, (images, labels), options.rounds, time.process_time)
            pairs = zip(times["bf16"], times["fp32"], strict=True)
            ratios = sorted(low / full for low, full in pairs)
            auto = "bf16" if is_faster_in_bf16(built(fields, shape), shape, size) else "fp32"
            wrong += [f"{name}, batch {size}"] * (auto == "bf16" and statistics.median(ratios) > 1)
            sides_of = f"{shape.height}x{shape.width}x{shape.channels}"
            print(
                f"| {name} | {sides_of} | {size} | {1e3 * statistics.median(times['fp32']):.1f} "
                f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} | {auto} |"
            )
    sys.exit(f"slower than fp32 under auto: {'; '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
