"""Time GroupNorm in channels_last: the layer against PyTorch's, and networks against BatchNorm.

    python benchmarks/group_norm.py

Layers: forward and backward of the three feature maps of ResNet8 on 32x32 images, batch 128.
Networks: ResNet8 with GroupNorm against the same with BatchNorm: a training step, and a pass of an
attack (forward, and backward to the images alone) crafted in train mode, and in eval mode, where
BatchNorm is folded into the convolutions and no norm is left. One thread. All sides of a precision
take turns within one process; a ratio is the median over rounds. Ends with 1 if one is above its
limit. Cost: about 1 minute on one core. Results: benchmarks/results/group_norm.md.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from step_costs import SHAPE, images_and_labels
from torch import Tensor, nn
from torch.optim import SGD
from training_step import Step, compare, has_fast_bf16

from attacks.by_name import find
from attacks.evasion import crafting, input_gradient
from runner.models import Model
from runner.norms import group_norm
from runner.train.bf16 import in_bf16

MAPS = ((16, 32), (32, 16), (64, 8))  # channels, and pixels of a side
LIMITS = {  # of a ratio, in fp32 and in bf16
    "layer": (1.2, 0.3),  # against PyTorch's
    "a step": (1.2, 1.3),
    "an attack's pass in train mode": (1.2, 1.3),
    "an attack's pass in eval mode": (1.8, 2.0),
}


def layer(norm: Callable[..., Tensor], channels: int, side: int, dtype: torch.dtype) -> Step:
    """Forward and backward of one norm."""
    groups = min(32, channels)
    features = torch.randn(128, channels, side, side).to(dtype, memory_format=torch.channels_last)
    gradient = torch.randn_like(features)
    affine = (torch.ones(channels).requires_grad_(), torch.zeros(channels).requires_grad_())

    def step(*_: Tensor) -> None:
        given = features.detach().requires_grad_()
        out = norm(given, groups, *affine)
        torch.autograd.grad(out, (given, *affine), gradient)

    return step


def networks(bf16: bool) -> dict[str, Step]:
    """What is timed, by its name and its norm."""
    sides: dict[str, Step] = {}
    for norm in ("batch", "group"):
        chosen = find("runner.models", "resnet8", Model).model_validate(
            {"name": "resnet8", "norm": norm}
        )
        torch.manual_seed(0)
        model = chosen.build(SHAPE).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        model = in_bf16(model) if bf16 else model
        sides[f"a step | {norm}"] = step_of(model)
        for mode in ("train", "eval"):
            sides[f"an attack's pass in {mode} mode | {norm}"] = pass_of(model, mode == "train")
    return sides


def step_of(model: nn.Module) -> Step:
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(model.train()(images), labels).backward()
        optimizer.step()

    return step


def pass_of(model: nn.Module, training: bool) -> Step:
    def step(images: Tensor, labels: Tensor) -> None:
        with crafting(model, training) as network:
            given = images.detach().requires_grad_()
            input_gradient(F.cross_entropy(network(given), labels), given)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25, help="timed rounds (default 25)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch, over = images_and_labels(128), list[str]()
    print(f"resnet8 and its norms, batch 128 of 32x32x3, torch {torch.__version__}")
    print("| precision | what | against | ms | its ms | ratio | range | limit |")
    print("|---|---|---|---|---|---|---|---|")
    for bf16 in (False, True) if has_fast_bf16("cpu") else (False,):
        dtype = torch.bfloat16 if bf16 else torch.float32
        sides = networks(bf16)
        for channels, side in MAPS:
            at = f"layer, {channels} channels of {side}x{side}"
            sides[f"{at} | group"] = layer(group_norm, channels, side, dtype)
            sides[f"{at} | PyTorch's"] = layer(F.group_norm, channels, side, dtype)
        times = compare(sides, batch, options.rounds, time.process_time)
        for what in dict.fromkeys(name.partition(" | ")[0] for name in sides):
            other = "PyTorch's" if what.startswith("layer") else "batch"
            ours, theirs = times[f"{what} | group"], times[f"{what} | {other}"]
            ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
            limit = LIMITS[what.partition(",")[0]][bf16]
            precision, ratio = "bf16" if bf16 else "fp32", statistics.median(ratios)
            over += [f"{precision}, {what}"] * (ratio > limit)
            ms, its = (1e3 * statistics.median(each) for each in (ours, theirs))
            print(
                f"| {precision} | {what} | {other} | {ms:.1f} | {its:.1f} | {ratio:.2f} "
                f"| {ratios[0]:.2f}-{ratios[-1]:.2f} | {limit:g} |"
            )
    sys.exit(f"above its limit: {'; '.join(over)}" if over else 0)


if __name__ == "__main__":
    main()
