"""Time one training step under residual perturbation against the same step without noise.

    python benchmarks/residual_noise.py
    python benchmarks/residual_noise.py --device cuda --batch 512

Strategy I (with its input noise) and II, one member, plain cross-entropy, SGD with momentum,
channels_last. Beside ours stands the same noise as it is commonly written, `torch.randn_like` of
the activations. All sides of one precision take turns within one process, so that other work on the
machine slows all; a ratio is the median over rounds of noisy / plain.
Cost: about 1 minute on one core.
"""

import argparse
import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD
from training_step import SHAPE, Step, compare, has_fast_bf16, now_on_gpu, ours

from attacks.by_name import find
from defenses.residual_perturbation import ResidualPerturbation
from runner.models import Model

GAMMA, ETA = 0.5, 0.1
WRITTEN = ("ours", "naive")
SIDES = {
    "plain": {"gamma": 0},
    "I": {"strategy": "I", "gamma": GAMMA},
    "II": {"strategy": "II", "gamma": GAMMA},
    "II, eta > 0": {"strategy": "II", "gamma": GAMMA, "eta": ETA},
}


class NaiveJoin(nn.Module):
    """The sum of a residual block and noise from `torch.randn_like`, as the formulas read."""

    def __init__(self, noisy: Any) -> None:
        super().__init__()
        self.strategy, self.gamma, self.eta = noisy.strategy, noisy.gamma, noisy.eta

    def forward(self, shortcut: Tensor, mapping: Tensor) -> Tensor:
        joined = shortcut + mapping
        noise = self.gamma * torch.randn_like(joined)
        if self.strategy == "I":
            return joined + noise
        if self.eta == 0:
            return joined + noise * shortcut
        sign = torch.where(shortcut < 0, -1.0, 1.0).to(shortcut.dtype)
        return joined + noise * sign * shortcut.abs().clamp(min=self.eta)


def naive(model: nn.Module) -> nn.Module:
    """Return the model with every `NoisyJoin` written naively; its small input noise stays ours."""
    for name, module in list(model.named_modules()):
        if type(module).__name__ == "NoisyJoin":
            model.get_submodule(name.rpartition(".")[0]).join = NaiveJoin(module)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--batch", type=int, default=128, help="images per step (default 128)")
    parser.add_argument("--rounds", type=int, default=25, help="timed rounds (default 25)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    device = options.device
    clock = time.process_time if options.threads == 1 else time.perf_counter
    clock = now_on_gpu if device == "cuda" else clock
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    network = find("runner.models", options.model, Model).model_validate({"name": options.model})
    images = torch.rand(options.batch, 1, 28, 28, device=device)
    labels = torch.randint(10, (options.batch,), device=device)

    def step(name: str, by_hand: bool, bf16: bool) -> Step:
        defense = ResidualPerturbation.model_validate(SIDES[name])
        model = defense.build(lambda: network.build(SHAPE))
        model = naive(model) if by_hand else model
        model = model.to(device=device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
        optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
        return ours(defense, model, optimizer, bf16)

    print(f"{options.model}, batch {options.batch} of 28x28x1, {device}, torch {torch.__version__}")
    print("| precision | noise | written | ms | ratio | range |")
    print("|---|---|---|---|---|---|")
    for precision in ["fp32", "bf16"] if has_fast_bf16(device) else ["fp32"]:
        bf16 = precision == "bf16"
        sides = {"plain": step("plain", False, bf16)}
        for name in SIDES:
            if name != "plain":
                sides |= {f"{name} | {by}": step(name, by == "naive", bf16) for by in WRITTEN}
        times = compare(sides, (images, labels), options.rounds, clock)
        for side in sides:
            pairs = zip(times[side], times["plain"], strict=True)
            ratios = sorted(noisy / plain for noisy, plain in pairs)
            label = side if side != "plain" else "none | plain"
            print(
                f"| {precision} | {label} | {1e3 * statistics.median(times[side]):.1f} "
                f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} |"
            )


if __name__ == "__main__":
    main()
