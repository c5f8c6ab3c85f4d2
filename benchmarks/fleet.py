"""What the fleet costs beside training: its start-up, once, and each model's overhead.

    python benchmarks/fleet.py [--models 48] [--epochs 20]
    python benchmarks/fleet.py --beside FOLDER --rounds 3    # another checkout, in turn with this
    python benchmarks/fleet.py --parts                       # what a Run does beside training

Trains small networks on digits through a real local Ray cluster, one lane, every step included
(training, checkpoint, answers, two evaluations; sanity attacks on two of the models), and prints:

start-up    seconds from connecting to Ray until a worker claims the first Run
CPU of it   of the driver and all that it started, seen at most half a second later
overhead    (workers x seconds from the first claim to the last Run's end
            - the sum of all training seconds) / models
CPU         of all processes, from when that first claim was seen to the last look before the end

With --beside each round gives both checkouts one after the other, each in a process of its own, and
the ratio of a figure is its median over rounds of this one / the other. --parts does Runs in one
process, without Ray, one thread: milliseconds of CPU of a process's first Run, and of a later one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import psutil

from runner.driver.snapshot import Snapshot
from runner.experiment.experiment import Experiment
from runner.pipeline import task_of
from runner.plan.work import Work, prepare
from runner.storage import store

FIGURES = {  # of one lane, by what it is called in print
    "start_up": "start-up, s",
    "ray": "of it Ray's own, s",
    "start_cpu": "CPU of the start-up, s",
    "training": "training, s a model",
    "overhead": "overhead, s a model",
    "cpu": "CPU of all processes, s a model",
    "end": "lane's end, once, s",
}

TRAINING, MADE = "training", "its network, its optimizer, and their first imports"


def work_of(models: int, epochs: int, folder: Path) -> Work:
    experiment = Experiment.model_validate(
        {
            "name": "fleet",
            "data": "digits",
            "model": {"name": "small_cnn", "width": 16},
            "training": {"epochs": epochs, "precision": "fp32"},
            "design": {"num_models": models},
            "arms": {"erm": {"defense": "erm"}},
            "robustness": {"attacks": {"pgd20": {"name": "pgd", "num_steps": 20}}},
        }
    )
    return prepare(experiment, folder)


def cpu_s() -> float:
    """Seconds of CPU of this process and of all that it started and that live."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def lane(models: int, epochs: int, folder: Path) -> dict[str, float]:
    """Do all models in one lane; the figures of it."""
    import ray

    from runner.cluster import connect
    from runner.fleet import fleet

    work = work_of(models, epochs, folder)
    found: dict[str, float] = {}

    def watch(state: Snapshot) -> None:
        if state.since_first_claim_s and "start_cpu" not in found:
            found["first"] = time.time() - state.since_first_claim_s
            found["start_cpu"] = cpu_s() - before
        found["cpu"] = max(found.get("cpu", 0.0), cpu_s() - before)  # while all of them live

    before, began = cpu_s(), time.time()
    connect.connect()
    found["ray"] = time.time() - began
    tasks = [task_of(work, run) for run in work.plan.runs]
    end = fleet.train_all(tasks, work.dataset, work.experiment.fleet, work.store, watch)
    ended = time.time()
    assert end.done == models, end.failed
    workers = int(ray.cluster_resources()["CPU"]) // work.experiment.fleet.num_cpus
    facts = [store.facts(work.store.run(run.id)) for run in work.plan.runs]
    training = sum(fact["train_time_s"] for fact in facts if fact)
    last = max(done.stat().st_mtime for done in folder.rglob(store.DONE))
    busy = workers * (last - found["first"])
    return {
        "start_up": found["first"] - began,
        "ray": found["ray"],
        "start_cpu": found["start_cpu"],
        "training": training / models,
        "overhead": (busy - training) / models,
        "cpu": (found["cpu"] - found["start_cpu"]) / models,
        "end": ended - last,
    }


def parts(epochs: int, folder: Path) -> None:
    """Print what Runs do beside training, in milliseconds of CPU."""
    import torch

    from runner.ask import answers, robustness
    from runner.plan.plan import Run
    from runner.train import train
    from runner.train.workplace import Workplace, make_workplace

    torch.set_num_threads(1)
    work = work_of(16, epochs, folder)
    place = make_workplace(
        work.dataset, torch.device("cpu"), work.store, tell=lambda word, part: None, note=print
    )
    spent: dict[str, float] = {}

    def timed(label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def within(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return call(*given, **named)
            finally:
                spent[label] = spent.get(label, 0.0) + 1e3 * (time.process_time() - began)

        return within

    def epochs_of(fit: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(fit)
        def within(*given: Any) -> Any:
            yielding, took = fit(*given), []
            while True:
                began = time.process_time()
                epoch = next(yielding, None)
                took.append(1e3 * (time.process_time() - began))
                if epoch is None:
                    break
                yield epoch
            usual = statistics.median(took[1:-1])
            spent[MADE], spent[TRAINING] = took[0] - usual, sum(took[1:]) + usual

        return within

    curves = sys.modules[train.open_curves.__module__].Curves
    train.fit = epochs_of(train.fit)
    for label, owner, name in (
        ("the check that its code is the plan's", Run, "check_code"),
        ("scalars for TensorBoard", curves, "add"),
        ("files: written, synced, named", store, "write"),
        ("the trained network, read and built", Workplace, "trained"),
        ("answers to all images", answers, "_listen"),
        ("answers compared with those in another batch", answers, "batch_dependence"),
        ("both evaluations, and sanity attacks", robustness, "_predictions"),
    ):
        setattr(owner, name, timed(label, getattr(owner, name)))
    every: list[Mapping[str, float]] = []
    for run in work.plan.runs:
        spent.clear()
        began = time.process_time()
        for step in task_of(work, run).steps:
            step(run, place)
        whole = 1e3 * (time.process_time() - began)
        rest = whole - sum(spent.values())
        del spent[TRAINING]
        every.append({**spent, "the rest, first imports among it": rest})
    print("| a Run, beside its epochs | the first of a process, ms | a later one, ms |")
    print("|---|---|---|")
    later = {k: statistics.median(each[k] for each in every[4:]) for k in every[0]}
    for label, first in every[0].items():
        print(f"| {label} | {first:.1f} | {later[label]:.1f} |")
    print(f"| all | {sum(every[0].values()):.0f} | {sum(later.values()):.0f} |")


def once(checkout: Path, *options: str) -> str:
    """What this program prints when the runner of a checkout does it, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    words = [sys.executable, str(Path(__file__).resolve()), *options]
    done = subprocess.run(words, cwd=checkout, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--models", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--beside", type=Path, help="another checkout to compare with")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--parts", action="store_true", help="what a Run does beside training")
    parser.add_argument("--once", action="store_true", help="one lane, as JSON")
    given = parser.parse_args()
    if given.once or given.parts:
        with tempfile.TemporaryDirectory() as folder:
            if given.parts:
                parts(given.epochs, Path(folder))
            else:
                print(json.dumps(lane(given.models, given.epochs, Path(folder))))
        return
    sides = {"this": Path(__file__).resolve().parents[1]}
    sides |= {"the other": given.beside.resolve()} if given.beside else {}
    options = ["--once", "--models", str(given.models), "--epochs", str(given.epochs)]
    rounds = []
    for number in range(given.rounds):  # each side goes first in every second one
        turns = [*sides.items()][:: -1 if number % 2 else 1]
        rounds.append({who: json.loads(once(at, *options).splitlines()[-1]) for who, at in turns})
    print(f"| | {' | '.join([*sides, *(['ratio (range)'] if given.beside else [])])} |")
    print("|---" * (1 + len(sides) + bool(given.beside)) + "|")
    for figure, label in FIGURES.items():
        cells = [f"{statistics.median(r[side][figure] for r in rounds):.2f}" for side in sides]
        if given.beside:
            ratios = sorted(r["this"][figure] / r["the other"][figure] for r in rounds)
            shown = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            cells.append(shown)
        print(f"| {label} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
