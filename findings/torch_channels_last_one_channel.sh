#!/usr/bin/env bash
# PyTorch 2.15.0: of a convolution's weight for one channel, contiguous(memory_format=channels_last)
# keeps the strides of rows and to(memory_format=channels_last) does not. Both then say that they are
# contiguous in channels_last, but the convolution that has the first answers in rows, with other bits.
#
#     bash findings/torch_channels_last_one_channel.sh
#
# Seen on 2026-11-30, Linux x86-64, Python 3.11:
#
#     torch 2.15.0
#     1 channel : strides (9, 9, 3, 1) and (9, 1, 3, 1), both in channels_last: True True
#                 outputs in channels_last: False True, largest difference above 0: True
#     3 channels: strides (27, 1, 9, 3) and (27, 1, 9, 3), both in channels_last: True True
#                 outputs in channels_last: True True, largest difference above 0: False
#
# So whoever lays out the tensors of a network one by one, as nn.Module.to(memory_format=...) cannot
# where one has five axes, needs `to`: after `contiguous` a network for grey images runs on other
# kernels, and trains to other weights. Exit code 1, if this is seen no more.
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
last, seen = torch.channels_last, []
for channels in (1, 3):
    torch.manual_seed(0)
    weight, images = torch.randn(16, channels, 3, 3), torch.randn(64, channels, 28, 28)
    laid_out = weight.contiguous(memory_format=last), weight.to(memory_format=last)
    answers = [F.conv2d(images, w, padding=1) for w in laid_out]
    strides = [w.stride() for w in laid_out]
    both = [w.is_contiguous(memory_format=last) for w in laid_out]
    outputs = [a.is_contiguous(memory_format=last) for a in answers]
    differ = bool((answers[0] - answers[1]).abs().max() > 0)
    name = f"{channels} channel{'s' if channels > 1 else ' '}"
    print(f"{name}: strides {strides[0]} and {strides[1]}, both in channels_last:", *both)
    print(f"            outputs in channels_last: {outputs[0]} {outputs[1]}, ", end="")
    print("largest difference above 0:", differ)
    seen.append((all(both), outputs, differ))
sys.exit(seen != [(True, [False, True], True), (True, [True, True], False)])
PYTHON
