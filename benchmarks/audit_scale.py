"""Memory and time of the audit at scale: synthetic answers of many models about many examples.

    python benchmarks/audit_scale.py --models 256 --examples 60000 250000 1000000

For each number of examples: the files of answers are written model by model; the audit stage scores
every model as target with two attacks (LiRA online and offline) under two member matrices, the true
one and a redrawn control; the scores are judged (ROC, AUC, resamples, pooled curves, thresholds set
by other models); and each step's time, by example, and the most memory that Ray and the driver held
together are printed. What is judged is compared with one target's scores, read directly. Disk: 12
bytes a model and example for the answers and 16 for the scores, 7.2 GB at 256 models and 1,000,000
examples, in --folder.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ray
from audit import PeakMemory, held, pairs  # beside this file

from attacks.membership.lira import Lira
from runner.audit.judge import Judging, Measured, judge
from runner.audit.judged import read_judged
from runner.audit.scores import Scoring, audit
from runner.statistics import metrics
from runner.storage import store
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.cloud import Folder
from runner.storage.scores import Reading, read_scores

ATTACKS = {"online": Lira(), "offline": Lira(mode="offline")}
RATES = (0.1, 0.01, 0.001, 0.00001)
NUM_CLASSES = 10


def write_answers(member: np.ndarray, folder: Path) -> list[str]:
    """Write log-odds of one view, model by model; hard examples are memorised more."""
    num_examples = member.shape[1]
    hardness = np.random.default_rng(0).normal(4, 3, num_examples).astype(np.float32)
    labels, paths = np.arange(num_examples) % NUM_CLASSES, []
    folder.mkdir(parents=True)
    for m, row in enumerate(member):
        noise = np.random.default_rng([1, m]).standard_normal(num_examples, np.float32)
        log_odds = noise + hardness + row * np.maximum(5 - hardness, 0.3)
        paths.append(str(folder / f"m{m:03d}.parquet"))
        content = answers_to_bytes(labels, Answered(log_odds[:, None]), ["identity"])
        Path(paths[-1]).write_bytes(content)
    return paths


def measure(num_models: int, num_examples: int, resamples: int, folder: Path) -> None:
    """Audit and judge answers of so many models and examples, and print what it took."""
    size = num_models, num_examples
    members = {"member": pairs(*size, seed=0), "null": pairs(*size, seed=1)}
    models = np.arange(num_models)
    partner = models ^ 1
    shadows = [models[(models != m) & (models != partner[m])] for m in models]
    sources = {Source("arm", 1): write_answers(members["member"], folder / "answers")}
    scores, before = folder / "scores" / "all", held()
    asked = {}
    for name in ATTACKS:
        how = Measured(RATES, "step_le", (), resamples, seed=0)
        asked[Reading("arm", 1, name, "member")] = how
        asked[Reading("arm", 1, name, "null")] = how._replace(num_resamples=0)
    times = []
    with PeakMemory() as audited:
        start = time.perf_counter()
        audit(Scoring(sources, members, partner, shadows, ATTACKS, scores))
        times.append(time.perf_counter() - start)
    store.finish(scores, [], {})
    with PeakMemory() as judged:
        start = time.perf_counter()
        outcome = judge(Judging(folder, scores, asked, members, partner))
        times.append(time.perf_counter() - start)
    peak = max(audited.peak, judged.peak)
    in_us = [f"{1e6 * t / num_examples:.0f}" for t in times]
    print(
        f"{num_models} models x {num_examples:,} examples: audit {times[0]:.1f} s, judge "
        f"{times[1]:.1f} s; {in_us[0]} + {in_us[1]} us an example; peak memory "
        f"{audited.peak / 1e9:.2f} and {judged.peak / 1e9:.2f} GB, {before / 1e9:.2f} before",
        flush=True,
    )
    check(scores, outcome, members["member"], num_models - 1)
    assert peak < 4e9, f"{peak / 1e9:.2f} GB"
    shutil.rmtree(folder)


def check(scores: Folder, outcome: Folder, member: np.ndarray, model: int) -> None:
    """Compare what is judged of one target with its scores, and print what was found of all."""
    for name in ATTACKS:
        reading = Reading("arm", 1, name, "member")
        found, control = (
            read_judged(outcome, reading._replace(matrix=matrix)) for matrix in ("member", "null")
        )
        own = read_scores(scores, reading, model)
        fpr, tpr = metrics.roc(own, member[model] == 1)
        assert found.auc[model] == metrics.auc(own, member[model] == 1)
        for f, rate in enumerate(RATES):
            assert found.tpr[model, f] == metrics.tpr_at_fpr(fpr, tpr, rate)
        pooled = found.pooled
        print(
            f"  {name}: AUC {found.auc.mean():.4f}, null {control.auc.mean():.4f}; TPR at 0.1 % "
            f"{found.tpr[:, 2].mean():.4f} a target, {pooled.tpr_at_fpr(0.001):.4f} pooled over "
            f"{pooled.num_negatives:,} non-members; at thresholds of other models FPR "
            f"{(found.shadow_false / found.num_out[:, None])[:, 2].mean():.5f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=256, help="even number of models")
    parser.add_argument("--examples", type=int, nargs="+", default=[60_000, 250_000, 1_000_000])
    parser.add_argument("--resamples", type=int, default=200, help="of the examples")
    parser.add_argument("--cpus", type=int, default=2, help="cores that Ray may use")
    parser.add_argument("--folder", type=Path, help="for the files; all of it is removed")
    given = parser.parse_args()
    if len(given.examples) > 1:  # a process each, so that none holds what another one left behind
        for num_examples in given.examples:
            at = sys.argv.index("--examples") if "--examples" in sys.argv else len(sys.argv)
            rest = sys.argv[1:at] + sys.argv[at + 1 + len(given.examples) :]
            one = [sys.executable, __file__, *rest, "--examples", str(num_examples)]
            subprocess.run(one, check=True)
        return
    ray.init(
        address="local",
        num_cpus=given.cpus,
        object_store_memory=1_000_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=given.folder)) / "scale"
    try:
        measure(given.models, given.examples[0], given.resamples, folder)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
        ray.shutdown()


if __name__ == "__main__":
    main()
