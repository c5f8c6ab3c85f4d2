"""Time and memory of the audit stage on synthetic answers, beside a loop over examples.

    python benchmarks/audit.py --models 128 --examples 60000 --views 2

The stage reads the files of answers, scores every model as target with four attacks (LiRA online
and offline, with per-example and pooled variances) under two member matrices (the true one and a
redrawn control), and writes the scores: eight readings. The loop is as in public code: for one
target, gather the in and out answers of each example, then take means, deviations and log-densities
of all; leave-one-out over all targets repeats it for each. It is timed on a slice and extrapolated.
"""

import argparse
import contextlib
import logging
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import ray
from scipy.stats import norm

from attacks.membership import Examples
from attacks.membership.lira import Lira
from runner.audit.scores import Scoring, audit
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.scores import Reading, read_scores

ATTACKS = {
    f"{mode}_{variance}": Lira(mode=mode, variance=variance)
    for mode in ("online", "offline")
    for variance in ("per_example", "pooled")
}


class PeakMemory:
    """The most memory that this process and its descendants held at once, in bytes.

    Shares of pages (PSS) are added, so that Ray's object store, mapped by all workers, counts once.
    """

    def __enter__(self) -> "PeakMemory":
        self.peak, self.stop = 0, threading.Event()
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _sample(self) -> None:
        while not self.stop.wait(0.5):  # each look at the pages takes 40 ms of a core
            self.peak = max(self.peak, held())


def held() -> int:
    """Return what this process and its descendants hold now, in bytes. Linux only."""
    total = 0
    for process in ours():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024


def cpu_seconds() -> float:
    """Return the time of a core that this process and its descendants have taken. Linux only."""
    ticks = sum(sum(map(int, of_process[11:15])) for of_process in ours().values())
    return ticks / os.sysconf("SC_CLK_TCK")


def ours() -> dict[int, list[str]]:
    """Return this process and its descendants, with what /proc says of each from its state on."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            found[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()
    family = {os.getpid()}
    while more := {child for child, of in found.items() if int(of[1]) in family} - family:
        family |= more
    return {process: found[process] for process in family}


def pairs(num_models: int, num_examples: int, seed: int) -> np.ndarray:
    """Return membership (M, N) int8 of complementary halves."""
    half = np.random.default_rng(seed).integers(0, 2, (num_models // 2, num_examples), np.int8)
    return np.stack([half, 1 - half], axis=1).reshape(num_models, num_examples)


def synthetic_answers(member: np.ndarray, num_views: int) -> np.ndarray:
    """Return log-odds (M, N, V) float32; hard examples are memorised more."""
    rng = np.random.default_rng(0)
    hardness = rng.normal(4, 3, (member.shape[1], 1))
    answers = rng.standard_normal((*member.shape, num_views), np.float32)
    answers += hardness.astype(np.float32)
    answers += member[:, :, None] * np.maximum(5 - hardness, 0.3).astype(np.float32)
    return answers


def write(answers: np.ndarray, folder: Path) -> list[str]:
    """Write one file of answers per model, with logits of ten classes."""
    _, num_examples, num_views = answers.shape
    labels, logits = np.arange(num_examples) % 10, np.zeros((num_examples, 10), np.float32)
    views = [f"view {view}" for view in range(num_views)]
    paths = []
    for m, log_odds in enumerate(answers):
        paths.append(str(folder / f"m{m:03d}.parquet"))
        content = answers_to_bytes(labels, Answered(log_odds, logits), views)
        Path(paths[-1]).write_bytes(content)
    return paths


def loop_over_examples(target: np.ndarray, shadows: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return online scores (N,) of one target with per-example variances, the public way."""
    examples = range(len(target))
    inside = np.stack([shadows[member[:, i] == 1, i] for i in examples])
    outside = np.stack([shadows[member[:, i] == 0, i] for i in examples])
    log_in = norm.logpdf(target, np.mean(inside, 1), np.std(inside, 1))
    log_out = norm.logpdf(target, np.mean(outside, 1), np.std(outside, 1))
    return (log_in - log_out).mean(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=128, help="even number of models")
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--views", type=int, default=2, help="queries per example")
    parser.add_argument("--cpus", type=int, default=2, help="cores that Ray may use")
    parser.add_argument(
        "--slice", type=int, default=2000, help="examples that the loop is timed on"
    )
    given = parser.parse_args()
    size = given.models, given.examples
    members = {"member": pairs(*size, seed=0), "null": pairs(*size, seed=1)}
    partner, models = np.arange(given.models) ^ 1, np.arange(given.models)
    shadows = [models[(models != m) & (models != partner[m])] for m in models]
    answers = synthetic_answers(members["member"], given.views)
    readings = len(ATTACKS) * len(members)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = write(answers, folder)
        few = slice(0, given.slice)
        others, others_member = answers[2:, few].copy(), members["member"][2:, few]
        target = answers[0, few].copy()
        start = time.perf_counter()
        in_memory = {
            name: one_process(attack, answers, members, partner) for name, attack in ATTACKS.items()
        }
        numpy_s = time.perf_counter() - start
        expected = in_memory["online_per_example"][few]
        del answers, in_memory

        start = time.perf_counter()
        ray.init(
            address="local",
            num_cpus=given.cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        ray_s = time.perf_counter() - start
        times = []
        idle = held()
        with PeakMemory() as memory:
            for _ in range(2):
                start = time.perf_counter()
                sources = {Source("arm", 1): paths}
                audit(Scoring(sources, members, partner, shadows, ATTACKS, folder / "scores"))
                times.append(time.perf_counter() - start)
        ray.shutdown()
        reading = Reading("arm", 1, "online_per_example", "member")
        scores = read_scores(folder / "scores", reading, 0)

    start = time.perf_counter()
    looped = loop_over_examples(target, others, others_member)
    per_target = (time.perf_counter() - start) * given.examples / len(target)
    np.testing.assert_allclose(scores[few], looped, 1e-3, 1e-3)
    np.testing.assert_allclose(scores[few], expected, 1e-5, 1e-5)

    size_text = f"{given.models} models x {given.examples} examples x {given.views} views"
    print(f"{size_text}, {readings} readings")
    print(f"ray.init {ray_s:.1f} s, not counted below")
    print(f"stage {times[0]:.1f} s with cold workers, {times[1]:.1f} s again, {given.cpus} cores")
    print(f"peak memory {memory.peak / 1e9:.2f} GB, of it {idle / 1e9:.2f} GB before the stage")
    print(f"the same readings in one process, answers in memory: {numpy_s:.1f} s")
    print(f"loop: one target, one reading {per_target:.1f} s (from {len(target)} examples)")
    looped_s = per_target * given.models
    print(
        f"loop: all targets, one reading {looped_s:.0f} s; "
        f"a reading of the stage is {looped_s / (times[0] / readings):.0f} times faster"
    )


def one_process(
    attack: Lira, answers: np.ndarray, members: dict[str, np.ndarray], partner: np.ndarray
) -> np.ndarray:
    """Return the scores (N,) of model 0 under the true matrix, after scoring all under all."""
    numbers, of_target = np.arange(answers.shape[1]), np.empty(0)
    examples = Examples(numbers, numbers % 10, len(numbers), 10)
    for name, member in members.items():
        totals = attack.sums(answers, member, partner, examples)
        scores = attack.score_all(answers, member, partner, examples, totals)
        of_target = scores[0].copy() if name == "member" else of_target
    return of_target


if __name__ == "__main__":
    main()
