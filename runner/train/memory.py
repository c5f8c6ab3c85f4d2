"""Memory that one step has freed, kept in the process for the next one."""

import ctypes
import sys

TRIM, MAPPED = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
MOST = 1 << 30  # bytes


def keep_freed() -> None:
    """Have glibc keep what is freed, up to MOST, and not give it back to the system at once.

    A training step frees all its activations, and the next one asks for as much. What was given
    back comes page by page, each by a fault and filled with zeros: a quarter of a step of ResNet8
    on a CPU. Where another library allocates, nothing changes.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    # Older ones refuse so much; with the other setting alone they would map everything anew.
    if hasattr(libc, "gnu_get_libc_version") and libc.mallopt(MAPPED, MOST):
        libc.mallopt(TRIM, MOST)
