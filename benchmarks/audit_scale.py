"""Memory and time of the audit at scale: synthetic answers of many models about many examples.

    python benchmarks/audit_scale.py --models 256 --examples 60000 250000 1000000
    python benchmarks/audit_scale.py --examples 250000 --beside OTHER_CHECKOUT

For each number of examples: the files of answers are written model by model; the audit stage scores
every model as target with two attacks (LiRA online and offline) under two member matrices, the true
one and a redrawn control; the scores are judged (ROC, AUC, resamples, pooled curves, thresholds set
by other models); and each step's time, by example, and the most memory that Ray and the driver held
together are printed. What is judged is compared with one target's scores, read directly. With
`--beside` the source of another checkout, such as an older one, does the same with the same files
before; its figures are compared, and one line has the ratio of the times. Disk: 12 bytes a model
and example for the answers and 16 for the scores, 7.2 GB at 256 models and 1,000,000 examples, in
--folder.
"""

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import ray
from audit import PeakMemory, cpu_seconds, held, pairs  # beside this file

import runner
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
MOST_MEMORY = 3e9  # bytes, of Ray and the driver together
TOLD, FIGURES = "told.json", "figures.npz"


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


def measure(num_models: int, num_examples: int, resamples: int, folder: Path) -> Folder:
    """Audit and judge answers of so many models and examples, and print what it took."""
    size = num_models, num_examples
    members = {"member": pairs(*size, seed=0), "null": pairs(*size, seed=1)}
    models = np.arange(num_models)
    partner = models ^ 1
    shadows = [models[(models != m) & (models != partner[m])] for m in models]
    sources = {Source("arm", 1): sorted(map(str, (folder.parent / "answers").glob("*.parquet")))}
    scores, before = folder / "scores" / "all", held()
    asked = {}
    for name in ATTACKS:
        how = Measured(RATES, "step_le", (), resamples, seed=0)
        asked[Reading("arm", 1, name, "member")] = how
        asked[Reading("arm", 1, name, "null")] = how._replace(num_resamples=0)
    clocks = [(time.perf_counter(), cpu_seconds())]
    with PeakMemory() as audited:
        audit(Scoring(sources, members, partner, shadows, ATTACKS, scores))
    store.finish(scores, [], {})
    clocks.append((time.perf_counter(), cpu_seconds()))
    with PeakMemory() as judged:
        outcome = judge(Judging(folder, scores, asked, members, partner))
    clocks.append((time.perf_counter(), cpu_seconds()))
    times, cpu = np.diff(clocks, axis=0).T
    in_us = [f"{1e6 * t / num_examples:.0f}" for t in times]
    print(
        f"{num_models} models x {num_examples:,} examples: audit {times[0]:.1f} s, judge "
        f"{times[1]:.1f} s; {in_us[0]} + {in_us[1]} us an example; {cpu[0]:.0f} + {cpu[1]:.0f} s "
        "of a core; peak memory "
        f"{audited.peak / 1e9:.2f} and {judged.peak / 1e9:.2f} GB, {before / 1e9:.2f} before",
        flush=True,
    )
    check(scores, outcome, members["member"], num_models - 1)
    peak = max(audited.peak, judged.peak)
    (folder / TOLD).write_text(json.dumps({"times": [*times], "cpu": [*cpu], "peak": peak}))
    return outcome


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


def keep(outcome: Folder, folder: Path) -> None:
    """Write all that was judged into one file; the scores are removed."""
    matrices = [(name, matrix) for name in ATTACKS for matrix in ("member", "null")]
    judged = {of: read_judged(outcome, Reading("arm", 1, *of)) for of in matrices}
    fields = {
        f"{name} {matrix} {field}": values
        for (name, matrix), one in judged.items()
        for field, values in one._asdict().items()
    }
    np.savez(folder / FIGURES, **fields)
    shutil.rmtree(folder / "scores")


def compare(ours: Path, theirs: Path) -> str:
    """Compare two checkouts' figures, and return a line with the ratio of their times."""
    with np.load(ours / FIGURES) as one, np.load(theirs / FIGURES) as other:
        apart, most = 0, 0.0
        for name in one.files:
            apart += not np.array_equal(one[name], other[name], equal_nan=True)
            np.testing.assert_allclose(one[name], other[name], 1e-6, 1e-6, err_msg=name)
            finite = np.isfinite(one[name])
            difference = np.abs(one[name][finite] - other[name][finite].astype(np.float64))
            most = max(most, difference.max(initial=0))
        number = len(one.files)
    told = [json.loads((folder / TOLD).read_text()) for folder in (ours, theirs)]
    ratios = {
        key: [a / b for a, b in (*zip(*of, strict=True), map(sum, of))]
        for key, of in ((key, [each[key] for each in told]) for key in ("times", "cpu"))
    }
    parts = "audit {:.3f}, judging {:.3f}, both {:.3f}"
    return (
        f"beside {theirs.name}: {parts.format(*ratios['times'])} of its time, "
        f"{parts.format(*ratios['cpu'])} of its cores' time; {apart} of {number} arrays differ, "
        f"by {most:.1g} at most"
    )


def one_checkout(given: argparse.Namespace, checkout: Path, folder: Path) -> Path:
    """Let the source of a checkout audit and judge, in a process of its own."""
    folder.mkdir()
    size = ["--models", given.models, "--examples", given.examples[0]]
    rest = [*size, "--resamples", given.resamples, "--cpus", given.cpus, "--into", folder]
    line = [sys.executable, str(Path(__file__).absolute()), *map(str, rest)]
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(line, check=True, env=env, cwd=checkout)  # Ray's workers look where it is first
    return folder


def source() -> str:
    """Return the checkout that this process imports."""
    return str(Path(runner.__file__).parents[1])


def work(given: argparse.Namespace) -> None:
    """What `one_checkout` starts."""
    ray.init(
        address="local",
        num_cpus=given.cpus,
        object_store_memory=1_000_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        of_workers = ray.get(ray.remote(source).remote())
        assert {source(), of_workers} == {os.environ["PYTHONPATH"]}, (source(), of_workers)
        keep(measure(given.models, given.examples[0], given.resamples, given.into), given.into)
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=256, help="even number of models")
    parser.add_argument("--examples", type=int, nargs="+", default=[60_000, 250_000, 1_000_000])
    parser.add_argument("--resamples", type=int, default=200, help="of the examples")
    parser.add_argument("--cpus", type=int, default=2, help="cores that Ray may use")
    parser.add_argument("--folder", type=Path, help="for the files; all of it is removed")
    parser.add_argument("--beside", type=Path, help="another checkout, which does the same before")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.into:
        work(given)
        return
    if given.folder:
        given.folder.mkdir(parents=True, exist_ok=True)
    for number in given.examples:
        folder = Path(tempfile.mkdtemp(dir=given.folder)).absolute()
        try:
            one = argparse.Namespace(**{**vars(given), "examples": [number]})
            write_answers(pairs(given.models, number, seed=0), folder / "answers")
            other = given.beside and given.beside.resolve()
            theirs = other and one_checkout(one, other, folder / other.name)
            ours = one_checkout(one, Path(__file__).resolve().parents[1], folder / "ours")
            if theirs:
                print(compare(ours, theirs), flush=True)
            peak = json.loads((ours / TOLD).read_text())["peak"]
            assert peak < MOST_MEMORY, f"{peak / 1e9:.2f} GB"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
