"""A share that is not mounted for a while, which leaves an empty folder."""

import threading
import time
from collections.abc import Callable
from pathlib import Path


def unmounted(share: Path, until: Callable[[], bool], limit_s: float = 60.0) -> threading.Thread:
    """Take a folder's content away now, and give it back once `until` is true.

    Returns:
        The thread that gives it back, after `limit_s` at the latest.
    """
    elsewhere = share.with_name(f"{share.name}-elsewhere")
    share.rename(elsewhere)
    share.mkdir()

    def give_back() -> None:
        end = time.monotonic() + limit_s
        while not until() and time.monotonic() < end:
            time.sleep(0.05)
        share.rmdir()
        elsewhere.rename(share)

    thread = threading.Thread(target=give_back)
    thread.start()
    return thread
