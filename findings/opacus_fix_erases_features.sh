#!/usr/bin/env bash
# Opacus 1.6.0: ModuleValidator.fix replaces BatchNorm1d of 8, 16 or 32 features by a GroupNorm that
# sees one value a group: the answers no longer depend on the input, and nothing is said.
#
#     bash findings/opacus_fix_erases_features.sh
#
# BatchNorm1d behind a linear layer, which is how an MLP has it. Seen on 2026-11-30, Linux x86-64,
# Python 3.11, minutes with the download of PyTorch:
#
#     opacus 1.6.0, Linear(20, C), BatchNorm1d(C, eps=0.1), on 100 different rows
#     C 16: answers spread by 2.75 before and 0.00 after, in 16 groups; largest gradient of Linear
#     5e-09; eps 1e-05, weight 1
#
# GroupNorm has gcd(32, C) groups, and one value less its own mean is 0. So it is in a convolutional
# network at maps of one pixel. With 64 features a group has two values, of which the signs are left.
# eps, weight and bias of the BatchNorm are lost as well.
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
from opacus.validators import ModuleValidator
from torch import nn

torch.manual_seed(0)
rows = torch.randn(100, 20)
print(f"opacus {version('opacus')}, Linear(20, C), BatchNorm1d(C, eps=0.1), on 100 different rows")
moved = []
for channels in (8, 16, 32):
    before = nn.Sequential(nn.Linear(20, channels), nn.BatchNorm1d(channels, eps=0.1))
    nn.init.constant_(before[1].weight, 3.0)
    after = ModuleValidator.fix(before)
    assert not ModuleValidator.validate(after)
    spread = [network(rows).std(0).max().item() for network in (before, after)]
    after(rows).square().sum().backward()
    gradient = after[0].weight.grad.abs().max().item()
    moved += [spread[1], gradient]
    print(
        f"C {channels}: answers spread by {spread[0]:.2f} before and {spread[1]:.2f} after, in "
        f"{after[1].num_groups} groups; largest gradient of Linear {gradient:.1g}; "
        f"eps {after[1].eps:g}, weight {after[1].weight[0]:.0f}"
    )
if max(moved) > 1e-5:
    sys.exit("the replacement leaves something of the features: this finding is out of date")
PYTHON
