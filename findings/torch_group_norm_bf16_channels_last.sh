#!/usr/bin/env bash
# PyTorch 2.15.0, CPU: the memory layout that makes convolutions fastest makes group_norm in bf16 many
# times slower. Forward and backward of (64, 32, 16, 16) in channels_last take 30 to 50 times as long as
# in a contiguous layout, and 6 to 9 times as long as in float32; batch_norm is as fast in both.
#
#     bash findings/torch_group_norm_bf16_channels_last.sh
#
# Seen on 2026-11-30, Linux x86-64 (AVX-512 with bf16), Python 3.11, one thread:
#
#     torch 2.15.0
#     group_norm: bf16 in channels_last takes 53.3 times as long as contiguous, 8.6 times float32
#     batch_norm: bf16 in channels_last takes 1.3 times as long as contiguous, 0.4 times float32
#
# The kernels for channels_last go through each group by itself, whose few channels lie together but
# whose positions do not, and convert value by value. So a network with GroupNorm that is laid out and
# cast as is advised for CPUs trains several times slower than if it were left alone. Exit code 1, if
# group_norm takes less than 4 times as long as contiguous, or batch_norm more than 4 times.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import statistics
import sys
import time

import torch
import torch.nn.functional as F

print("torch", torch.__version__.partition("+")[0])
torch.set_num_threads(1)
weight, bias = torch.ones(32, requires_grad=True), torch.zeros(32, requires_grad=True)
NORMS = {
    "group_norm": lambda x: F.group_norm(x, 32, weight, bias),
    "batch_norm": lambda x: F.batch_norm(x, None, None, weight, bias, training=True),
}


def seconds(norm, dtype, layout):
    x = torch.randn(64, 32, 16, 16).to(dtype, memory_format=layout).requires_grad_()
    gradient = torch.randn(x.shape).to(dtype, memory_format=layout)
    taken = []
    for _ in range(15):
        start = time.process_time()
        torch.autograd.grad(norm(x), (x, weight, bias), gradient)
        taken.append(time.process_time() - start)
    return statistics.median(taken)


last, rows = torch.channels_last, torch.contiguous_format
slower = {}
for name, norm in NORMS.items():
    ours = seconds(norm, torch.bfloat16, last)
    slower[name] = ours / seconds(norm, torch.bfloat16, rows)
    full = ours / seconds(norm, torch.float32, last)
    print(f"{name}: bf16 in channels_last takes {slower[name]:.1f} times", end=" ")
    print(f"as long as contiguous, {full:.1f} times float32")
sys.exit(not (slower["group_norm"] > 4 > slower["batch_norm"]))
PYTHON
