#!/usr/bin/env bash
# Ray 2.60.0: RunConfig(verbose=0) does not silence Tune. The output of default prints a table before
# the trials and where results lie after them; the older one (RAY_AIR_NEW_OUTPUT=0) prints nothing of
# trials that report, and a line of each trial that returns without having reported anything.
#
#     bash findings/ray_tune_verbose_0_still_prints.sh
#
# Seen on 2026-11-30, Linux x86-64, Python 3.11:
#
#     ray 2.60.0
#     RAY_AIR_NEW_OUTPUT=0, a trial that reports : 0 lines
#     RAY_AIR_NEW_OUTPUT=0, one that does not    : 1 lines, "Trial ... completed. Last result: "
#     RAY_AIR_NEW_OUTPUT=1, a trial that reports : 11 lines
#     RAY_AIR_NEW_OUTPUT=1, one that does not    : 11 lines
#
# So whoever has a terminal of his own sees such a line in the middle of it when a trial fails early. It
# is not logged but printed, so no logger's level stops it. What does, with the older output: Tune adds
# its TrialProgressCallback only where none was given, so one that prints nothing stands in its place.
# Exit code 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "ray[tune]==2.60.0"

cd "$folder"
cat > tries.py <<'PYTHON'
import logging
import sys
import tempfile

import ray
from ray import tune


def trial(config):
    if config["reports"]:
        tune.report({"x": 1})


logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
ray.init(num_cpus=1, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
with tempfile.TemporaryDirectory() as results:
    quiet = tune.RunConfig(verbose=0, storage_path=results)
    space = {"reports": tune.choice([sys.argv[1] == "reports"])}
    print("begin", flush=True)
    tune.Tuner(trial, param_space=space, run_config=quiet).fit()
    print("end", flush=True)
PYTHON
"$folder/venv/bin/python" - <<'PYTHON'
import os
import subprocess
import sys

import ray

print("ray", ray.__version__)
seen = []
for output in "01":
    for does, told in (("reports", "a trial that reports "), ("not", "one that does not    ")):
        env = os.environ | {"RAY_AIR_NEW_OUTPUT": output, "RAY_USAGE_STATS_ENABLED": "0"}
        done = subprocess.run(
            [sys.executable, "tries.py", does], env=env, stdout=-1, stderr=-3, text=True, check=True
        )
        lines = done.stdout.split("begin\n")[1].split("end\n")[0].splitlines()
        end = ', "Trial ... completed. Last result: "' * any("completed." in line for line in lines)
        print(f"RAY_AIR_NEW_OUTPUT={output}, {told}: {len(lines)} lines{end}")
        seen.append((len(lines) > 0, bool(end)))
sys.exit(seen != [(False, False), (True, True), (True, False), (True, False)])
PYTHON
