#!/usr/bin/env bash
# torch 2.15.0: under bf16 autocast on a CPU a KL divergence comes out below 0, as float32.
#
#     bash findings/autocast_cpu_kl_below_zero.sh
#
# A CPU's autocast computes kl_div, nll_loss and cross_entropy in float32, and log_softmax in bf16,
# which CUDA's has in float32 too. So a loss of log-probabilities has the dtype of an exact one, and
# is made of numbers with 8 bits, whose rows no longer sum to 1. "exact" is float64 on the very same
# bf16 logits. Seen on 2026-11-30, Linux x86-64, Python 3.11, a few minutes with the download:
#
#     torch 2.15.0, logits torch.bfloat16, divergences torch.float32
#     mean KL 3.3e-05, exact 2.5e-05
#     rows below 0: 496 of 1000, exact 0
#     probabilities of a row sum to 0.9937 up to 1.0069
#     cross_entropy and nll_loss of log_softmax, both torch.float32, differ by up to 0.029
#
# So an inner attack that starts near the image and climbs that divergence, as TRADES' does, climbs
# rounding errors. Exit code 1, if this is seen no more.
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

torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
for layer in (network[0], network[2]):
    layer.weight.data *= 4
images = torch.rand(1000, 64)
nearby = images + 0.001 * torch.randn(1000, 64)


def divergence(p, q):
    return F.kl_div(q.log_softmax(1), p.log_softmax(1), reduction="none", log_target=True).sum(1)


with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
    p, q = network(images), network(nearby)
    losses = divergence(p, q)
    labels = torch.zeros(1000, dtype=torch.long)
    whole = F.cross_entropy(p, labels, reduction="none")
    halves = F.nll_loss(p.log_softmax(1), labels, reduction="none")
    sums = p.log_softmax(1).double().exp().sum(1)
exact = divergence(p.double(), q.double())

print(f"torch {torch.__version__.partition('+')[0]}, logits {p.dtype}, divergences {losses.dtype}")
print(f"mean KL {losses.mean():.1e}, exact {exact.mean():.1e}")
print(f"rows below 0: {(losses < 0).sum()} of 1000, exact {(exact < -1e-9).sum()}")
print(f"probabilities of a row sum to {sums.min():.4f} up to {sums.max():.4f}")
off = (halves - whole).abs().max()
print(f"cross_entropy and nll_loss of log_softmax, both {whole.dtype}, differ by up to {off:.3f}")
if not (losses < 0).any():
    sys.exit("no divergence is below 0: this finding is out of date")
PYTHON
