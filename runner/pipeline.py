"""Plan, train, ask, audit, report: each reads what the last one wrote, and skips what is there."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from runner import store, tables
from runner.answers import ask
from runner.data import Dataset, image_shape
from runner.experiment import Experiment
from runner.ids import digest
from runner.plan import Plan, Run, make_plan
from runner.progress import Show, say
from runner.results import gather, git_commit, versions
from runner.robustness import attack_all
from runner.sources import Source
from runner.store import Corrupt, Store

SCORES_VERSION = 1  # raise it when the same answers would be scored otherwise
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
            "scores_version": SCORES_VERSION,
            "runs": {name: [run.id for run in runs] for name, runs in self.plan.arms.items()},
            "questions": {
                name: self.experiment.questions(arm.defense)[0].id
                for name, arm in self.experiment.arms.items()
            },
            "attacks": {
                k: a.model_dump(mode="json") for k, a in self.experiment.membership.attacks.items()
            },
            "design": self.experiment.design.model_dump(),
            "seed": self.experiment.seed,
        }
        return self.folder / "scores" / digest(facts)

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What a reader of the figures must know, and the arms that it is about."""
        found: dict[str, list[str]] = {}
        for name, arm in self.experiment.arms.items():
            for remark in arm.remarks(image_shape(self.dataset)):
                found.setdefault(remark, []).append(name)
        return found

    def is_trained(self, run: Run) -> bool:
        return store.facts(self.store.run(run.id)) is not None

    def asked(self, run: Run) -> list[Path]:
        """The folders of a Run's answers, and of what it answers under each attack."""
        answers, robustness = self.experiment.questions(run.defense)
        return [
            self.store.answers(run.id, answers.id),
            *(
                self.store.robustness(run.id, robustness.id(attack, answers.draws))
                for attack in (None, *robustness.attacks)
            ),
        ]

    @property
    def sources(self) -> dict[Source, list[str]]:
        """The files of answers that the audit reads; a randomized arm's are read in two ways."""
        found = {}
        for name, runs in self.plan.arms.items():
            answers, _ = self.experiment.questions(self.experiment.arms[name].defense)
            paths = [str(self.store.answers(r.id, answers.id) / "answers.parquet") for r in runs]
            found |= {Source(name, draws): paths for draws in sorted({1, answers.draws})}
        return found

    def is_done(self, run: Run) -> bool:
        """Whether a Run is trained and has answered everything."""
        folders = (self.store.run(run.id), *self.asked(run))
        return all(store.facts(folder) is not None for folder in folders)


def prepare(experiment: Experiment, storage: Path) -> Work:
    """Return an experiment ready to start; nothing is written but a probe of the storage.

    Raises:
        DataMissing: the data cannot be read, or is too small for what is asked.
        StorageError: the storage folder cannot be written.
    """
    at = Store(storage.expanduser().absolute())
    at.check_writable()
    try:
        dataset = experiment.data.load()
    except (ValueError, OSError) as error:
        raise DataMissing(f"data: {error}") from None
    if experiment.robustness.on == "test" and not len(dataset.test_labels):
        raise DataMissing("robustness.on: test, but the data has no test images; use non_members")
    num_pool, workers = len(dataset.pool_labels), experiment.fleet.workers_per_run
    share = num_pool // (2 if experiment.design.name == "pairs" else 4)
    if share < 2 * workers:
        raise DataMissing(
            f"data: a pool of {num_pool} images leaves a model {share} to train on; "
            f"{workers} workers of a Run need {2 * workers}"
        )
    try:
        return Work(experiment, dataset, make_plan(experiment, dataset), at)
    except ValueError as error:  # such as more examples to a batch of DP-SGD than there are members
        raise DataMissing(str(error)) from None


def run(work: Work, console: Console) -> dict[str, Any]:
    """Do what is missing and return the results, which are also written with their report.

    Raises:
        Unfinished: Runs failed, or the storage did; everything finished is kept.
        StorageError: another driver works on this experiment.
        NoRoom, NoCluster: the cluster cannot do it.
    """
    with store.alone(work.folder):
        try:
            return _run(work, console)
        except OSError as error:
            raise Unfinished(
                f"{error.filename or work.store.root}: {error.strerror or error}\n"
                "What is finished is kept; mend the cause and run the same command again."
            ) from error


def _run(work: Work, console: Console) -> dict[str, Any]:
    """The stages in order, begun again whenever something corrupt had to be set aside."""
    _set_aside_broken(work, console)
    before = {r.id: store.facts(work.store.run(r.id)) for r in work.plan.runs}
    for _ in range(MAX_REPAIRS):
        try:
            _stop_if(_train_and_ask(work, console), work)
            _audit(work, console)
            # A model trained anew took other seconds than the one that was there.
            after = {r.id: store.facts(work.store.run(r.id)) for r in work.plan.runs}
            trained = sum(before[run_id] != after[run_id] for run_id in after)
            return report(work, {"trained": trained, "reused": len(after) - trained})
        except Corrupt as corrupt:
            _set_aside(corrupt, console)
    raise Unfinished(
        f"{MAX_REPAIRS} corrupt files in a row below {work.store.root}: check the disk"
    )


def _set_aside_broken(work: Work, console: Console) -> None:
    """Set aside all finished folders of this experiment whose files are missing or cut short."""
    for run in work.plan.runs:
        for folder in (*work.asked(run), work.store.run(run.id)):
            try:
                store.facts(folder)
            except Corrupt as corrupt:
                _set_aside(corrupt, console)


def _set_aside(corrupt: Corrupt, console: Console) -> None:
    aside = store.set_aside(Path(corrupt.path))
    say(console, f"note: {corrupt}; set aside as {aside.name}, made again")


def report(work: Work, runs: Mapping[str, Any]) -> dict[str, Any]:
    """Write results.json and the report from what is there, and return the results.

    Raises:
        Unfinished: a model or the scores are missing.
        Corrupt: something that was finished cannot be read.
    """
    from runner.report import write_report  # matplotlib: only who draws waits for it
    from runner.report.samples import sample_png

    missing = sum(not work.is_done(r) for r in work.plan.runs)
    if missing or store.facts(work.scores) is None:
        raise Unfinished(f"{missing} of {len(work.plan.runs)} models are still to do: use `run`")
    results = gather(work.experiment, work.dataset, work.plan, work.store, work.scores, runs)
    store.write_json(work.folder / "results.json", results)
    data = work.dataset
    samples = sample_png(data.pool_images, data.pool_labels, data.num_classes)
    write_report(results, work.folder / "report", samples)
    return results


def _train_and_ask(work: Work, console: Console) -> Mapping[str, str]:
    """Do every Run's missing steps on the cluster; return the reasons of those that failed."""
    pending = [r for r in work.plan.runs if not work.is_done(r)]
    _describe(work)
    if not pending:
        return {}
    from runner import fleet, train  # Ray: only who trains waits for it

    for remark, arms in work.remarks.items():
        say(console, f"note: {', '.join(arms)}: {remark}")
    done = len(work.plan.runs) - len(pending)
    say(console, f"{done} of {len(work.plan.runs)} models done, {len(pending)} to do; starting Ray")
    fleet.connect()
    steps = [
        train.train,
        partial(ask, answers=work.experiment.answers),
        partial(
            attack_all,
            robustness=work.experiment.robustness,
            draws=work.experiment.answers.draws,
        ),
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
    plan, attacks = work.plan, work.experiment.membership.attacks
    members = {"member": plan.member, "null": plan.null_member}
    try:
        audit(
            work.sources,
            members,
            plan.partner,
            plan.shadows,
            attacks,
            work.scores,
            work.experiment.seed,
        )
    except Corrupt:
        raise
    except ValueError as error:
        raise Unfinished(f"audit: {error}") from error
    files = sorted(str(p.relative_to(work.scores)) for p in work.scores.rglob("*.parquet"))
    store.finish(work.scores, files, {})


def _describe(work: Work) -> None:
    """Write down what this experiment is: resolved YAML, versions, commit, and who is a member."""
    facts = {
        "experiment": work.experiment.model_dump(mode="json"),
        "runs": {name: [r.id for r in runs] for name, runs in work.plan.arms.items()},
        "versions": versions(),
        "git_commit": git_commit(),
        "command": sys.argv[1:],
    }
    store.write_json(work.folder / "experiment.json", facts)
    store.write(work.folder / "member.parquet", tables.members_to_bytes(work.plan.member))
