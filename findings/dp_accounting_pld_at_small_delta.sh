#!/usr/bin/env bash
# dp-accounting 0.6.0: at a delta of 1e-14 PLDAccountant, the tighter of its two accountants, states
# nearly twice RdpAccountant's epsilon, and at 1e-15 an infinite one, without a word.
#
#     bash findings/dp_accounting_pld_at_small_delta.sh
#
# The mechanism is 1,000 Poisson-sampled Gaussian releases, noise multiplier 1, sample rate 0.01.
# Seen on 2026-11-30, Linux x86-64, Python 3.11, half a minute with the downloads:
#
#     dp-accounting 0.6.0, 1000 steps, noise 1, sample rate 0.01
#     delta 1e-05: pld 1.828, rdp 2.101
#     delta 1e-13: pld 4.251, rdp 4.665
#     delta 1e-14: pld 8.586, rdp 4.976
#     delta 1e-15: pld inf, rdp 5.284
#
# What it cuts off a distribution's tail before it composes (1e-15 of a mass) is counted as a loss
# without bound, so that no smaller delta is left. Both are bounds; take the smaller one. Exit code
# 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q dp-accounting==0.6.0 numpy==2.4.6 scipy==1.17.1

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys
from importlib.metadata import version

from dp_accounting import dp_event, pld, rdp

step = dp_event.PoissonSampledDpEvent(0.01, dp_event.GaussianDpEvent(1.0))
steps = dp_event.SelfComposedDpEvent(step, 1000)
print(f"dp-accounting {version('dp-accounting')}, 1000 steps, noise 1, sample rate 0.01")
for delta in (1e-5, 1e-13, 1e-14, 1e-15):
    found = []
    for accountant in (pld.PLDAccountant(), rdp.RdpAccountant()):
        accountant.compose(steps)
        found.append(float(accountant.get_epsilon(delta)))
    print(f"delta {delta:g}: pld {found[0]:.4g}, rdp {found[1]:.4g}")
    if delta == 1e-14 and not found[0] > 1.5 * found[1]:
        sys.exit("pld is no longer far above rdp at 1e-14: this finding is out of date")
if not math.isinf(found[0]) or math.isinf(found[1]):
    sys.exit("pld is finite at 1e-15: this finding is out of date")
PYTHON
