"""What a step frees is there for the next one."""

import platform
import resource

import pytest
import torch

from runner.train.memory import keep_freed

SIZE = 1 << 24  # bytes


def faults() -> int:
    """Page faults of this process while it fills 128 MB and frees them again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(SIZE // 4) for _ in range(8)]
    del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others allocate as they do")
def test_memory_that_is_freed_and_asked_for_again_comes_without_page_faults():
    keep_freed()
    pages = 8 * SIZE // resource.getpagesize()
    assert min(faults() for _ in range(10)) < pages / 100
