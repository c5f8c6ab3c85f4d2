"""Plan, train, ask, audit, report: each reads what the last one wrote, and skips what is there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from runner import store, tables
from runner.answers import ask
from runner.data import Dataset
from runner.experiment import Experiment
from runner.ids import digest
from runner.plan import Plan, Run, make_plan
from runner.progress import Show, say
from runner.results import gather, versions
from runner.robustness import attack_all
from runner.store import Corrupt, Store

MAX_REPAIRS = 20  # corrupt files set aside in one command before it gives up


class DataMissing(ValueError):
    """The data set cannot be read; the message says why and what to do."""


class Unfinished(Exception):
    """Some Runs failed or were not done; the rest is kept, and the same command goes on."""


class Work(NamedTuple):
    """One experiment, with everything that follows from its YAML and its data."""

    experiment: Experiment
    dataset: Dataset
    plan: Plan
    store: Store

    @property
    def folder(self) -> Path:
        return self.store.experiment(self.experiment.name)

    @property
    def scores(self) -> Path:
        """The scores of exactly these answers, attacks and matrices."""
        facts = {
            "runs": {name: [run.id for run in runs] for name, runs in self.plan.arms.items()},
            "question": self.experiment.answers.id,
            "attacks": {
                k: a.model_dump(mode="json") for k, a in self.experiment.membership.attacks.items()
            },
            "seed": self.experiment.seed,
        }
        return self.folder / "scores" / digest(facts)

    def is_trained(self, run: Run) -> bool:
        return store.facts(self.store.run(run.id)) is not None

    def is_done(self, run: Run) -> bool:
        """Whether a Run is trained and has answered everything."""
        asked = self.store.answers(run.id, self.experiment.answers.id)
        robustness = self.experiment.robustness
        attacked = [
            self.store.robustness(run.id, robustness.id(attack))
            for attack in (None, *robustness.attacks)
        ]
        return self.is_trained(run) and all(store.facts(f) is not None for f in (asked, *attacked))


def prepare(experiment: Experiment, storage: Path) -> Work:
    """Return an experiment ready to start; nothing is written but a probe of the storage.

    Raises:
        DataMissing: the data cannot be read.
        StorageError: the storage folder cannot be written.
    """
    at = Store(storage.absolute())
    at.check_writable()
    try:
        dataset = experiment.data.load()
    except ValueError as error:
        raise DataMissing(f"data: {error}") from None
    return Work(experiment, dataset, make_plan(experiment, dataset), at)


def run(work: Work, console: Console) -> dict[str, Any]:
    """Do what is missing and return the results, which are also written with their report.

    Raises:
        Unfinished: Runs failed; everything finished is kept.
        NoRoom, ConnectionError: the cluster cannot do it.
    """
    trained = 0
    for _ in range(MAX_REPAIRS):
        try:
            before = [r.id for r in work.plan.runs if not work.is_trained(r)]
            failed = _train_and_ask(work, console)
            trained += sum(r.id in before and work.is_trained(r) for r in work.plan.runs)
            _stop_if(failed, work)
            _audit(work, console)
            reused = len(work.plan.runs) - trained
            return report(work, {"trained": trained, "reused": reused, "failed": {}})
        except Corrupt as corrupt:
            aside = store.set_aside(Path(corrupt.path))
            say(console, f"note: {corrupt}; set aside as {aside.name}, made again")
    raise Unfinished(
        f"{MAX_REPAIRS} corrupt files in a row below {work.store.root}: check the disk"
    )


def report(work: Work, runs: Mapping[str, Any]) -> dict[str, Any]:
    """Write results.json and the report from what is there, and return the results.

    Raises:
        Unfinished: a model or the scores are missing.
        Corrupt: something that was finished cannot be read.
    """
    from runner.report import write_report  # matplotlib: only who draws waits for it

    missing = sum(not work.is_done(r) for r in work.plan.runs)
    if missing or store.facts(work.scores) is None:
        raise Unfinished(f"{missing} of {len(work.plan.runs)} models are still to do: use `run`")
    results = gather(work.experiment, work.dataset, work.plan, work.store, work.scores, runs)
    store.write_json(work.folder / "results.json", results)
    write_report(results, work.folder / "report")
    return results


def _train_and_ask(work: Work, console: Console) -> Mapping[str, str]:
    """Do every Run's missing steps on the cluster; return the reasons of those that failed."""
    pending = [r for r in work.plan.runs if not work.is_done(r)]
    _describe(work)
    if not pending:
        return {}
    from runner import fleet, train  # Ray: only who trains waits for it

    done = len(work.plan.runs) - len(pending)
    say(console, f"{done} of {len(work.plan.runs)} models done, {len(pending)} to do; starting Ray")
    fleet.connect()
    steps = [
        train.train,
        partial(ask, answers=work.experiment.answers),
        partial(attack_all, robustness=work.experiment.robustness),
    ]
    show = Show(console)
    try:
        end = fleet.train_all(pending, steps, work.dataset, work.experiment.fleet, work.store, show)
    finally:
        show.stop()
    undone = {r.id: end.stopped or "not done" for r in pending if not work.is_done(r)}
    return {**undone, **end.failed}


def _stop_if(failed: Mapping[str, str], work: Work) -> None:
    if failed:
        reasons = "\n".join(f"  {run_id}: {reason}" for run_id, reason in failed.items())
        raise Unfinished(
            f"{len(failed)} of {len(work.plan.runs)} models were not finished:\n{reasons}\n"
            "What is finished is kept; mend the cause and run the same command again."
        )


def _audit(work: Work, console: Console) -> None:
    """Compute the scores, unless these very answers have been scored."""
    if store.facts(work.scores) is not None:
        return
    from runner import fleet
    from runner.audit import audit

    say(console, "audit: membership scores of every model as target")
    fleet.connect()
    question = work.experiment.answers.id
    audit(
        {
            name: [str(work.store.answers(r.id, question) / "answers.parquet") for r in runs]
            for name, runs in work.plan.arms.items()
        },
        {"member": work.plan.member, "null": work.plan.null_member},
        work.plan.partner,
        work.experiment.membership.attacks,
        work.scores,
    )
    files = sorted(str(p.relative_to(work.scores)) for p in work.scores.rglob("*.parquet"))
    store.finish(work.scores, files, {})


def _describe(work: Work) -> None:
    """Write down what this experiment is: resolved YAML, versions, commit, and who is a member."""
    facts = {
        "experiment": work.experiment.model_dump(mode="json"),
        "runs": {name: [r.id for r in runs] for name, runs in work.plan.arms.items()},
        "versions": versions(),
        "git_commit": _git_commit(),
        "command": sys.argv[1:],
    }
    store.write_json(work.folder / "experiment.json", facts)
    store.write(work.folder / "member.parquet", tables.members_to_bytes(work.plan.member))


def _git_commit() -> str:
    """The commit of this code, marked when files differ from it; "" outside a repository."""
    git = ["git", "-C", os.path.dirname(__file__)]
    try:
        shown = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(shown, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
