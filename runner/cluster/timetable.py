"""Which Run is handed out next, and when workers that take them one by one will be done."""

import heapq
from collections.abc import Iterable, Sequence

# Runs a worker, at the end of a queue: benchmarks/results/fleet_scale.md has what others cost.
TAIL = 4


def is_tail(waiting: int, workers: int) -> bool:
    """Return whether so few Runs wait that from now on the longest is handed out first."""
    return waiting <= TAIL * workers


def turns(costs: Sequence[float], workers: int) -> list[int]:
    """Return the numbers of Runs in the order in which a queue hands them out.

    Until the tail in the order given, so that whoever stops early has all arms part done; then the
    longest first, so that none is begun last that keeps all the other workers waiting.

    Args:
        costs: expected seconds of each Run, or anything in proportion to them.
        workers: that come one after another, and then stay.
    """
    num = len(costs)
    first = next(k for k in range(num + 1) if is_tail(num - k, min(k + 1, workers)))
    return [*range(first), *sorted(range(first, num), key=lambda i: -costs[i])]


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
