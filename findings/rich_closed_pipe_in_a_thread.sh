#!/usr/bin/env bash
# Rich 15.0.0: a Console that prints into a pipe whose reader is gone raises SystemExit, not
# BrokenPipeError, and points the whole process's standard output at nothing. From a thread, then,
# nobody hears of it: the program goes on, prints nowhere, and ends with exit code 0.
#
#     bash findings/rich_closed_pipe_in_a_thread.sh
#
# The program prints a line a moment from a thread, as a progress display does, and `head -1` reads
# it. With `print` the error of the thread is told on standard error. Seen on 2026-11-30,
# Linux x86-64, Python 3.11, ten seconds:
#
#     rich 15.0.0
#     print: exit code 0, standard error names BrokenPipeError: True
#     rich: exit code 0, standard error names BrokenPipeError: False, what was caught: SystemExit
#
# `Console.on_broken_pipe` is the method to override. Exit code 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rich==15.0.0

cat > "$folder/talks.py" <<'PYTHON'
import sys
import threading
import time

from rich.console import Console

caught = []


def talk():
    try:
        for number in range(2000):
            if sys.argv[1] == "rich":
                Console().print(number)
            else:
                print(number, flush=True)
            time.sleep(0.001)
    except BaseException as error:
        caught.append(type(error).__name__)
        raise


thread = threading.Thread(target=talk)
thread.start()
thread.join()
if sys.argv[1] == "rich":
    print("the main thread may still print", flush=True)
    print(f"caught {caught[0] if caught else 'nothing'}", file=sys.stderr)
PYTHON

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import subprocess
import sys
from importlib.metadata import version

print(f"rich {version('rich')}")
found = {}
for how in ("print", "rich"):
    with subprocess.Popen([sys.executable, "talks.py", how], stdout=-1, stderr=-1, text=True) as it:
        it.stdout.readline()
        it.stdout.close()
        said = it.stderr.read()
    broken = "BrokenPipeError" in said
    found[how] = it.returncode, broken
    more = f", what was caught: {said.split()[-1]}" if how == "rich" else ""
    print(f"{how}: exit code {it.returncode}, standard error names BrokenPipeError: {broken}{more}")
    if how == "rich" and "caught SystemExit" not in said:
        sys.exit("Rich raises something else: this finding is out of date")
if found["rich"] != (0, False) or not found["print"][1]:
    sys.exit("a closed pipe is noticed: this finding is out of date")
PYTHON
