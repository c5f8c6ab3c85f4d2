"""Time one step of every defense, with BatchNorm and with GroupNorm, in fp32 and in bf16.

    python benchmarks/step_costs.py

ResNet8 on 32x32x3, batch 128, one thread, attacks of ten steps, SGD with momentum, as
runner/train/fit.py makes a step. A unit is one pass forward and backward through one network, and a
pass without gradients a third of one: the units of a step are counted while it runs, and a row's
ratio is what a unit of it costs in units of the BatchNorm ERM step of the same precision. Steps
take turns within one process; a ratio is the median over rounds. Ends with 1 if one is above 2, or
if a step of fast_at takes more than a quarter of one of PGD-10, with the same norm and precision.
Cost: about 4 minutes on one core. Results: benchmarks/results/step_costs.md.
"""

import argparse
import statistics
import sys
import time
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD
from training_step import Step, compare, defended, has_fast_bf16

from attacks.by_name import find
from defenses import Defense
from runner.models import ImageShape, Model
from runner.train.bf16 import in_bf16

SHAPE = ImageShape(3, 32, 32, 10, (0.49, 0.48, 0.45), (0.25, 0.24, 0.26))
LIMIT, QUARTER = 2.0, 0.25
ATTACK = {"eps": "8/255", "step_size": "2/255", "num_steps": 10}
TRADES = {"name": "trades", "attack": ATTACK}
NOISY = {"name": "residual_perturbation", "gamma": 0.5}
DEFENSES: dict[str, dict[str, Any]] = {
    "erm": {"name": "erm"},
    "pgd_at": {"name": "pgd_at", "attack": ATTACK},
    "fast_at": {"name": "fast_at", "eps": "8/255"},
    "trades": TRADES,
    "mart": {"name": "mart", "attack": ATTACK},
    "awp over trades": {"name": "awp", "base": TRADES},
    "demem over trades": {"name": "demem", "base": TRADES},
    "residual perturbation, I": NOISY,
    "residual perturbation, II": NOISY | {"strategy": "II", "eta": 0.1, "last_layer_noise": 0.5},
    "En5, I": NOISY | {"members": 5},
    "dp_sgd": {"name": "dp_sgd", "noise_multiplier": 1.1},
}


def step_of(facts: dict[str, Any], norm: str, bf16: bool, batch: int) -> tuple[Step, list[float]]:
    """A whole training step, and a list that grows by the units of each pass."""
    defense = find("defenses", facts["name"], Defense).model_validate(facts)
    chosen = find("runner.models", "resnet8", Model).model_validate(
        {"name": "resnet8", "norm": norm}
    )
    torch.manual_seed(0)
    model = defense.build(lambda: chosen.build(SHAPE))
    model = model.to(memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    units: list[float] = []
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "normalize":  # one a network
            module.register_forward_hook(
                lambda *_: units.append(1.0 if torch.is_grad_enabled() else 1 / 3)
            )
    model = in_bf16(model) if bf16 else model
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    return defended(defense, model, optimizer, batch), units


def images_and_labels(batch: int) -> tuple[Tensor, Tensor]:
    """Random ones, laid out as those of a step."""
    images = torch.rand(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    return images, torch.randint(10, (batch,))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=128, help="images per step (default 128)")
    parser.add_argument("--rounds", type=int, default=9, help="timed rounds (default 9)")
    parser.add_argument("--only", nargs="+", choices=DEFENSES, default=[*DEFENSES], metavar="NAME")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch = images_and_labels(options.batch)
    over = []
    print(f"resnet8, batch {options.batch} of 32x32x3, torch {torch.__version__}")
    print("| precision | norm | defense | ms a step | units | ms a unit | ratio | range |")
    print("|---|---|---|---|---|---|---|---|")
    for bf16 in (False, True) if has_fast_bf16("cpu") else (False,):
        sides, counted = dict[str, Step](), dict[str, list[float]]()
        for name in dict.fromkeys(("erm", *options.only)):
            facts = DEFENSES[name]
            for norm in ("batch", "group"):
                if name == "dp_sgd" and (bf16 or norm == "batch"):  # is fp32, and GroupNorm
                    continue
                side = f"{norm} | {name}"
                sides[side], counted[side] = step_of(facts, norm, bf16, options.batch)
        times = compare(sides, batch, options.rounds, time.process_time)
        for side, seconds in times.items():
            units = sum(counted[side]) / (options.rounds + 1)
            plain = times["batch | erm"]
            ratios = sorted(a / units / b for a, b in zip(seconds, plain, strict=True))
            ratio, ms = statistics.median(ratios), 1e3 * statistics.median(seconds)
            precision = "bf16" if bf16 else "fp32"
            over += [f"{precision} {side}"] * (ratio > LIMIT)
            print(
                f"| {precision} | {side} | {ms:.0f} | {units:.2f} | {ms / units:.1f} "
                f"| {ratio:.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} |"
            )
        for norm in ("batch", "group"):
            if {f"{norm} | fast_at", f"{norm} | pgd_at"} <= times.keys():
                both = zip(times[f"{norm} | fast_at"], times[f"{norm} | pgd_at"], strict=True)
                ratios = sorted(fast / many for fast, many in both)
                ratio, precision = statistics.median(ratios), "bf16" if bf16 else "fp32"
                over += [f"{precision} {norm} fast_at / pgd_at"] * (ratio > QUARTER)
                print(
                    f"fast_at / pgd_at, {precision}, {norm}: {ratio:.3f} "
                    f"({ratios[0]:.3f}-{ratios[-1]:.3f})"
                )
    sys.exit(f"above {LIMIT:g}, or {QUARTER:g}: {', '.join(over)}" if over else 0)


if __name__ == "__main__":
    main()
