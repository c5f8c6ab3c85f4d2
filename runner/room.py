"""How many workers a node has room for."""

from runner.experiment import Fleet


def room(cpus: float, gpus: float, fleet: Fleet) -> int:
    """Return how many workers a node holds, in whole Runs' worth; 0 where not even one Run fits."""
    workers = int(cpus / fleet.num_cpus)
    if fleet.num_gpus:
        workers = min(workers, _share(gpus, fleet.num_gpus))
    if fleet.max_workers:
        workers = min(workers, fleet.max_workers)
    return workers - workers % fleet.workers_per_run


def _share(gpus: float, num_gpus: float) -> int:
    """How many workers the GPUs hold; a share never straddles two GPUs."""
    # Rounded down with a grain of tolerance: 0.333 makes three, but 0.334 only two.
    return int(gpus) * int(1 / num_gpus + 1e-3) if num_gpus < 1 else int(gpus / num_gpus)
