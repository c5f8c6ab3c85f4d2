#!/usr/bin/env bash
# Opacus 1.6.0: the gradient of the images alone, torch.autograd.grad(loss, images), through a
# GradSampleModule in train mode leaves per-example gradients of every weight behind. DPOptimizer
# takes them for a second batch: the step of the loss that follows is the mean of both, no error.
#
#     bash findings/opacus_input_gradient_is_a_batch.sh
#
# Adversarial training asks for such gradients in each step, and PyTorch by itself leaves no trace in
# the weights' `grad`. PrivacyEngine with Poisson sampling raises a ValueError there; the two classes
# by themselves do not. In eval mode the images have no gradient at all, but an error of the hooks;
# `disable_hooks()` around it leaves no trace. Seen on 2026-11-30, Linux x86-64, Python 3.11, minutes
# with the download of PyTorch:
#
#     opacus 1.6.0, 6 examples, no noise, nothing clipped
#     length of a step 0.1508
#     behind a gradient of the images, 0.0792: accumulated_iterations 2
#     behind one without hooks, 0.1508: accumulated_iterations 1
#
# Exit code 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q opacus==1.6.0 torch==2.15.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import nn
from torch.nn.functional import cross_entropy

NUM = 6
print(f"opacus {version('opacus')}, {NUM} examples, no noise, nothing clipped")


def step(attacked, hooks=True):
    torch.manual_seed(0)
    model = GradSampleModule(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    optimizer = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=1e6,
        expected_batch_size=NUM,
    )
    images, labels = torch.rand(NUM, 4), torch.arange(NUM) % 3
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    optimizer.zero_grad()
    if attacked:
        moved = images.clone().requires_grad_()
        (model.enable_hooks if hooks else model.disable_hooks)()
        torch.autograd.grad(cross_entropy(model(moved), labels), moved)
        model.enable_hooks()
        assert all(p.grad is None for p in model.parameters())
    cross_entropy(model(images), (labels + 1) % 3).backward()
    counted = optimizer.accumulated_iterations
    optimizer.step()
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    return (after - before).norm().item(), counted


plain, _ = step(attacked=False)
print(f"length of a step {plain:.4f}")
length, counted = step(attacked=True)
print(f"behind a gradient of the images, {length:.4f}: accumulated_iterations {counted}")
spared, once = step(attacked=True, hooks=False)
print(f"behind one without hooks, {spared:.4f}: accumulated_iterations {once}")
if counted != 2 or abs(length - plain) < 0.01 * plain or spared != plain:
    sys.exit("a gradient of the images leaves no trace: this finding is out of date")
PYTHON
