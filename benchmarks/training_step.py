"""Time one adversarial training step of this project against the style that public code shares.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --device cuda --batch 512

Both sides start from the same weights and run the same algorithm: PGD-AT and TRADES with ten inner
steps, the attack crafted in eval mode, SGD with momentum. They take turns within one process, so
that other work on the machine slows both; the ratio is the median over rounds of public / ours.
Cost: about 2 minutes on one core. Results: benchmarks/results/training_step.md.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from attacks.by_name import find
from defenses import Defense, Kit
from defenses.pgd_at import PGDAT
from defenses.trades import TRADES
from runner.models import ImageShape, Model
from runner.train.bf16 import in_bf16

SHAPE = ImageShape(1, 28, 28, 10, (0.286,), (0.353,))
EPS, STEP_SIZE, NUM_STEPS, BETA = 8 / 255, 2 / 255, 10, 6.0
Step = Callable[[Tensor, Tensor], None]


def public_pgd_at(model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor) -> None:
    """PGD-AT as it is commonly written: `backward()` inside, and a clean pass to log accuracy."""
    model.eval()
    delta = torch.zeros_like(images).uniform_(-EPS, EPS)
    delta.data = torch.clamp(images + delta, 0, 1) - images
    for _ in range(NUM_STEPS):
        delta.requires_grad_(True)
        F.cross_entropy(model(images + delta), labels).backward()
        assert delta.grad is not None
        moved = torch.clamp(delta.detach() + STEP_SIZE * delta.grad.sign(), -EPS, EPS)
        delta = torch.clamp(images + moved, 0, 1) - images
    model.train()
    loss = F.cross_entropy(model(images + delta), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    clean = model(images)
    (clean.argmax(1) == labels).sum().item()
    F.cross_entropy(clean, labels).item()


def public_trades(
    model: nn.Module, optimizer: Optimizer, images: Tensor, labels: Tensor, weight_gradients: bool
) -> None:
    """TRADES as it is commonly written: p(x) anew in each inner step, a clean pass to log.

    The official code takes `autograd.grad` of the images in the inner loop; many others call
    `backward()`, which computes every weight's gradient too.
    """
    divergence = nn.KLDivLoss(reduction="sum")
    model.eval()
    adversarial = images + 0.001 * torch.randn_like(images)
    for _ in range(NUM_STEPS):
        adversarial.requires_grad_(True)
        loss = divergence(F.log_softmax(model(adversarial), 1), F.softmax(model(images), 1))
        if weight_gradients:
            loss.backward()
            assert adversarial.grad is not None
            gradient = adversarial.grad
        else:
            gradient = torch.autograd.grad(loss, adversarial)[0]
        adversarial = adversarial.detach() + STEP_SIZE * gradient.sign()
        adversarial = torch.min(torch.max(adversarial, images - EPS), images + EPS).clamp(0, 1)
    model.train()
    optimizer.zero_grad()
    natural = model(images)
    robust = divergence(F.log_softmax(model(adversarial), 1), F.softmax(model(images), 1))
    loss = F.cross_entropy(natural, labels) + BETA / len(images) * robust
    loss.backward()
    optimizer.step()
    clean = model(images)
    (clean.argmax(1) == labels).sum().item()


def ours(defense: Defense, model: nn.Module, optimizer: Optimizer, bf16: bool) -> Step:
    """Return a step of the defense as the runner makes it."""

    model = in_bf16(model) if bf16 else model

    def step(images: Tensor, labels: Tensor) -> None:
        loss = defense.losses(model, images, labels).total.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def unfolded(model: nn.Module) -> nn.Module:
    """Return a copy in which each convolution is followed by its norm in every mode, in NCHW."""
    model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "ConvNorm":
                made: Any = child
                setattr(parent, name, nn.Sequential(made.conv, made.norm))
    return model


def defended(defense: Defense, model: nn.Module, optimizer: Optimizer, batch: int) -> Step:
    """A whole training step of a defense on so many images, up to the new weights."""
    members = torch.arange(10 * batch)
    kit = defense.protect(
        Kit(model, optimizer, lambda epoch: [[members[:batch]]], members, batch, 0)
    )

    def step(images: Tensor, labels: Tensor) -> None:
        kit.optimizer.zero_grad(set_to_none=True)
        losses = defense.losses(kit.model, images, labels)
        (losses.total.sum() / len(images)).backward()
        kit.optimizer.step()

    return step


def compare(
    sides: dict[str, Step], batch: tuple[Tensor, Tensor], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return seconds per step of each side, one number a round; the sides take turns.

    On one CPU thread the clock counts CPU time: waiting for a core that others hold is nobody's.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name in sides if i % 2 else reversed(sides):
            start = clock()
            sides[name](*batch)
            if i > 0:  # the first round warms up
                times[name].append(clock() - start)
    return times


def now_on_gpu() -> float:
    """Return the wall time once the GPU has finished what it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def has_fast_bf16(device: str) -> bool:
    """Whether bf16 is worth timing: on a GPU, or a CPU with instructions for it."""
    if device == "cuda":
        return True
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet8")
    parser.add_argument("--batch", type=int, default=128, help="images per step (default 128)")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default 15)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=["fp32", "bf16"],
        help="of our side, public stays in fp32 (default: fp32, and bf16 where it is fast)",
    )
    options = parser.parse_args()
    device = options.device
    precisions = options.precision or (["fp32", "bf16"] if has_fast_bf16(device) else ["fp32"])
    clock = time.process_time if options.threads == 1 else time.perf_counter
    clock = now_on_gpu if device == "cuda" else clock
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    network = find("runner.models", options.model, Model).model_validate({"name": options.model})
    initial = network.build(SHAPE).to(device)
    images = torch.rand(options.batch, 1, 28, 28, device=device)
    labels = torch.randint(10, (options.batch,), device=device)
    attack = {"eps": EPS, "step_size": STEP_SIZE, "num_steps": NUM_STEPS}
    defenses = {
        "pgd_at": PGDAT.model_validate({"attack": attack}),
        "trades": TRADES.model_validate({"beta": BETA, "attack": attack}),
    }

    def fresh(model: nn.Module) -> tuple[nn.Module, Optimizer]:
        return model.train(), SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def public(name: str, weight_gradients: bool) -> Step:
        model, optimizer = fresh(unfolded(initial))
        if name == "pgd_at":
            return lambda x, y: public_pgd_at(model, optimizer, x, y)
        return lambda x, y: public_trades(model, optimizer, x, y, weight_gradients)

    def ours_of(name: str, precision: str) -> Step:
        model = copy.deepcopy(initial).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return ours(defenses[name], *fresh(model), precision == "bf16")

    print(f"{options.model}, batch {options.batch} of 28x28x1, {device}, torch {torch.__version__}")
    print("| defense | public inner loop | public ms | our precision | ours ms | ratio | range |")
    print("|---|---|---|---|---|---|---|")
    for name in defenses:
        inner = {"backward()": public(name, True)}
        if name == "trades":
            inner["autograd.grad"] = public(name, False)
        sides = inner | {precision: ours_of(name, precision) for precision in precisions}
        times = compare(sides, (images, labels), options.rounds, clock)
        for style in inner:
            for precision in precisions:
                pairs = zip(times[style], times[precision], strict=True)
                ratios = sorted(theirs / mine for theirs, mine in pairs)
                theirs, mine = (1e3 * statistics.median(times[k]) for k in (style, precision))
                print(
                    f"| {name} | {style} | {theirs:.0f} | {precision} | {mine:.0f} "
                    f"| {statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f} |"
                )


if __name__ == "__main__":
    main()
