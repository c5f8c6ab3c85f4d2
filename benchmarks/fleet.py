"""What the fleet costs beside training: its start-up, once, and each model's overhead.

    python benchmarks/fleet.py [--models 48] [--epochs 20]

Trains small networks on digits through a real local Ray cluster, one lane, every step included
(training, checkpoint, answers, two evaluations), and prints:

start-up    seconds from connecting to Ray until a worker claims the first Run
overhead    (workers x seconds from the first claim to the last Run's end
            - the sum of all training seconds) / models
"""

import argparse
import tempfile
import time
from pathlib import Path

import ray

from runner.cluster import connect
from runner.driver.snapshot import Snapshot
from runner.experiment.experiment import Experiment
from runner.fleet import fleet
from runner.pipeline import task_of
from runner.plan.work import prepare
from runner.storage import store


def main() -> None:
    """Run the benchmark and print its two figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    experiment = Experiment.model_validate(
        {
            "name": "fleet",
            "data": "digits",
            "model": {"name": "small_cnn", "width": 16},
            "training": {"epochs": arguments.epochs, "precision": "fp32"},
            "design": {"num_models": arguments.models},
            "arms": {"erm": {"defense": "erm"}},
            "robustness": {"attacks": {"pgd20": {"name": "pgd", "num_steps": 20}}},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        work = prepare(experiment, Path(folder))
        first: list[float] = []
        last: list[float] = []

        def watch(state: Snapshot) -> None:
            if state.since_first_claim_s and not first:
                first.append(time.perf_counter() - state.since_first_claim_s)
            if state.done == state.total and not last:
                last.append(time.perf_counter())

        began = time.perf_counter()
        connect.connect()
        connected = time.perf_counter()
        tasks = [task_of(work, run) for run in work.plan.runs]
        end = fleet.train_all(tasks, work.dataset, experiment.fleet, work.store, watch)
        ended = time.perf_counter()
        workers = int(ray.cluster_resources()["CPU"]) // experiment.fleet.num_cpus
        assert end.done == arguments.models, end.failed
        facts = [store.facts(work.store.run(run.id)) for run in work.plan.runs]
        training = sum(fact["train_time_s"] for fact in facts if fact)
    busy = workers * (last[0] - first[0])
    print(f"workers                       {workers}")
    print(f"start-up                      {first[0] - began:.1f} s (Ray {connected - began:.1f} s)")
    print(f"training, mean per model      {training / arguments.models:.2f} s")
    print(f"overhead, mean per model      {(busy - training) / arguments.models:.2f} s")
    print(f"lane's end, once              {ended - last[0]:.1f} s")


if __name__ == "__main__":
    main()
