#!/usr/bin/env bash
# torchvision 0.29.2 on PyTorch 2.15.0: `from torchvision import datasets` loads torch's compiler. `import
# torch` does not, and datasets of images have no use for it: the package imports its models, these its
# operators, and roi_align the compiler, to be left alone by it.
#
#     bash findings/torchvision_datasets_load_the_compiler.sh
#
# Seen on 2026-11-30, Linux x86-64, Python 3.11:
#
#     torch 2.15.0, torchvision 0.29.2
#     import torch                      torch._dynamo: False
#     from torchvision import datasets  torch._dynamo: True
#     the second took 0.9 times the CPU of the first; MNIST has 4 files
#
# So a program that only wants the names, addresses and checksums of MNIST's files pays for them nearly the
# CPU of torch itself, in each of its processes. Exit code 1, if the compiler is loaded no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.15.0 torchvision==0.29.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.metadata
import sys
import time

def compiler() -> bool:
    """Whether it is loaded."""
    return "torch._dynamo" in sys.modules


started = time.process_time()
import torch

alone, seconds = compiler(), time.process_time() - started
print(f"torch {torch.__version__.partition('+')[0]},", end=" ")
print("torchvision", importlib.metadata.version("torchvision").partition("+")[0])
started = time.process_time()
from torchvision import datasets

more = (time.process_time() - started) / seconds
print("import torch                      torch._dynamo:", alone)
print("from torchvision import datasets  torch._dynamo:", compiler())
print(f"the second took {more:.1f} times the CPU of the first; MNIST has {len(datasets.MNIST.resources)} files")
sys.exit((alone, compiler()) != (False, True))
PYTHON
