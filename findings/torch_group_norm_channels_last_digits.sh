#!/usr/bin/env bash
# PyTorch 2.15.0, CPU: group_norm in float32 is a thousand times less exact in channels_last than in a
# contiguous layout, where a group's mean is many standard deviations from 0. At 30 of them values of
# unit variance are wrong in the third digit, and in the contiguous layout in the sixth.
#
#     bash findings/torch_group_norm_channels_last_digits.sh
#
# Seen on 2026-11-30, Linux x86-64 (AVX-512), Python 3.11, one thread:
#
#     torch 2.15.0
#     mean 0, 16 x 16: error 4.7e-07 contiguous, 8.8e-07 channels_last
#     mean 0, 64 x 64: error 5.3e-07 contiguous, 5.2e-06 channels_last
#     mean 3, 16 x 16: error 6.8e-07 contiguous, 2.5e-05 channels_last
#     mean 3, 64 x 64: error 7.8e-07 contiguous, 1.2e-04 channels_last
#     mean 30, 16 x 16: error 3.2e-06 contiguous, 2.2e-03 channels_last
#     mean 30, 64 x 64: error 3.4e-06 contiguous, 8.9e-03 channels_last
#
# The error grows with the square of the mean, as that of a variance does that is taken in float32 as
# mean(x^2) - mean(x)^2; the contiguous layout's hardly grows. So a change of layout, which ought to
# change the speed alone, moves what a network answers. Exit code 1, if the error at 30 is less than 100
# times the contiguous layout's.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import torch
import torch.nn.functional as F

print("torch", torch.__version__.partition("+")[0])
torch.set_num_threads(1)


def worse_by(mean, side):
    """How many times the largest error in channels_last is that in a contiguous layout."""
    torch.manual_seed(0)
    x = torch.randn(8, 32, side, side) + mean
    exact = F.group_norm(x.double(), 32)
    layouts = (torch.contiguous_format, torch.channels_last)
    rows, last = (
        (F.group_norm(x.contiguous(memory_format=layout), 32) - exact).abs().max().item()
        for layout in layouts
    )
    print(f"mean {mean}, {side} x {side}: error {rows:.1e} contiguous, {last:.1e} channels_last")
    return last / rows


worse = {(mean, side): worse_by(mean, side) for mean in (0, 3, 30) for side in (16, 64)}
sys.exit(min(worse[30, 16], worse[30, 64]) < 100)
PYTHON
