"""Time GroupNorm in channels_last: the layer against PyTorch's, and networks against BatchNorm.

    python benchmarks/group_norm.py

Layers: forward and backward of the three feature maps of ResNet8 on 32x32 images, batch 128.
Networks: ResNet8 with GroupNorm against the same with BatchNorm: a training step, and a pass of an
attack (forward, and backward to the images alone) crafted in train mode, and in eval mode, where
BatchNorm is folded into the convolutions and no norm is left. The least such a pass takes is with a
compiled kernel that does all in one go: PyTorch's for a contiguous layout, given features as if
they lay so, which gives wrong numbers in the right time. One thread; freed memory is kept, as in
training. All sides of a precision take turns within one process; a ratio is the median over rounds.
Ends with 1 if one is above its limit. Cost: about 1 minute on one core. Results:
benchmarks/results/group_norm.md.
"""

import argparse
import copy
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from step_costs import SHAPE, images_and_labels
from torch import Tensor, nn
from torch.optim import SGD
from training_step import Step, compare, has_fast_bf16

from attacks.by_name import find
from attacks.evasion import crafting, input_gradient
from runner.models import Model
from runner.norms import GroupNorm, group_norm
from runner.train.bf16 import in_bf16
from runner.train.memory import keep_freed

MAPS = ((16, 32), (32, 16), (64, 8))  # channels, and pixels of a side
LIMITS = {  # of a ratio, in fp32 and in bf16
    "layer": (1.2, 0.3),  # against PyTorch's
    "a step": (1.2, 1.3),
    "an attack's pass in train mode": (1.2, 1.3),
    "an attack's pass in eval mode": (1.8, 2.0),
    "the least of such a pass": (math.inf, math.inf),
}


class InOneGo(torch.autograd.Function):
    """PyTorch's kernel on the memory of channels_last features as if it were contiguous."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, groups: int, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.sizes = n, channels, positions, _ = (*features.flatten(2).shape, groups)
        given = features.permute(0, 2, 3, 1).contiguous()
        out, *moments = torch.native_group_norm(
            given, weight, bias, n, channels, positions, groups, 1e-5
        )
        ctx.save_for_backward(given, *moments, weight)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0].permute(0, 2, 3, 1).contiguous()
        asked = (True, False, False)  # the features' gradient alone
        found = torch.ops.aten.native_group_norm_backward(
            gradient, *ctx.saved_tensors, *ctx.sizes, asked
        )
        return found[0].permute(0, 3, 1, 2), None, None, None


class NormInOneGo(GroupNorm):
    def forward(self, input: Tensor) -> Tensor:
        return InOneGo.apply(input, self.groups_of(input), self.weight, self.bias)


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
        least = copy.deepcopy(model)
        for module in least.modules():
            if type(module) is GroupNorm:
                module.__class__ = NormInOneGo
        sides[f"the least of such a pass | {norm}"] = pass_of(least, training=False)
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
    keep_freed()
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
            allowed = "none" if math.isinf(limit) else f"{limit:g}"
            over += [f"{precision}, {what}"] * (ratio > limit)
            ms, its = (1e3 * statistics.median(each) for each in (ours, theirs))
            print(
                f"| {precision} | {what} | {other} | {ms:.1f} | {its:.1f} | {ratio:.2f} "
                f"| {ratios[0]:.2f}-{ratios[-1]:.2f} | {allowed} |"
            )
    sys.exit(f"above its limit: {'; '.join(over)}" if over else 0)


if __name__ == "__main__":
    main()
