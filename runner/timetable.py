"""When workers that take the next Run as soon as they are free will be done."""

import heapq
from collections.abc import Iterable


def list_schedule(durations: Iterable[float], workers: int) -> list[float]:
    """Return when each worker ends, in seconds from the start, sorted (n,).

    Runs are taken in the order given, each by whoever is free first: what the queue does. The last
    number is the makespan; no order and no schedule is shorter than the longest Run, nor than the
    total over the workers, and this one is below their sum (Graham, 1966).

    Args:
        durations: seconds of each Run, in the order of the queue.
        workers: n, at least 1.
    """
    assert workers > 0
    ends = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return sorted(ends)
