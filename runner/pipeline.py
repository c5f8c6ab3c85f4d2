"""Plan, train, ask, audit, report: each reads what the last one wrote, and skips what is there."""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from runner.ask.answers import ask
from runner.ask.robustness import attack_all
from runner.audit.judge import judge, judging_of
from runner.audit.scores import Unscored, write_scores
from runner.code.commit import git_commit
from runner.code.record import code_facts
from runner.driver import driver
from runner.driver.driver import Driver
from runner.driver.events import Event
from runner.driver.exits import KEPT
from runner.driver.progress import Show, say
from runner.driver.repair import at_work, set_aside_broken, until_sound
from runner.faults import Unfinished
from runner.fleet.queue import Step, Task
from runner.plan.plan import Run
from runner.plan.work import Work
from runner.results.gather import gather
from runner.results.versions import versions
from runner.storage import hashed_ids, store
from runner.storage.cloud import discreet
from runner.storage.scores import members_to_bytes
from runner.storage.sources import ids_to_bytes
from runner.train.train import train


def run(work: Work, console: Console) -> dict[str, Any]:
    """Do what is missing and return the results, which are also written with their report.

    Raises:
        Unfinished: Runs failed, or the storage did; everything finished is kept.
        StorageError: another driver works on this experiment.
        TakenOver: another driver came in later.
        NoRoom, NoCluster: the cluster cannot do it.
        Stopped: by Ctrl-C or SIGTERM.
    """
    with at_work(work.store, work.folder, console) as driving:
        set_aside_broken(work.finished, driving.tell)
        before = _trained(work)
        return until_sound(
            lambda: _stages(work, console, driving, before), work.store, driving.tell
        )


def _stages(
    work: Work, console: Console, driving: Driver, before: Mapping[str, Any]
) -> dict[str, Any]:
    """The stages in order; `before` is what `_trained` said when the command began."""
    driving.enter("training")
    _stop_if(_train_and_ask(work, console, driving), work)
    driving.enter("audit")
    in_ray = store.facts(work.scores) is None
    _audit(work, console)
    after = _trained(work)
    trained = sum(before[run_id] != after[run_id] for run_id in after)
    runs = {"trained": trained, "reused": len(after) - trained}
    driving.enter("report")
    return report(work, runs, in_ray, driving.events)


def _trained(work: Work) -> dict[str, Any]:
    """By Run what is written of its training: one trained anew took other seconds."""
    return {run.id: store.facts(work.store.run(run.id)) for run in work.plan.runs}


def report(
    work: Work,
    runs: Mapping[str, Any],
    in_ray: bool = False,
    events: Sequence[Event] | None = None,
) -> dict[str, Any]:
    """Write results.json and the report from what is there, and return the results.

    Args:
        in_ray: look for examples at risk over the cluster, to which this process is connected.
        events: what went wrong on the way; None: what driver.json has of it.

    Raises:
        Unfinished: a model or the scores are missing.
        Corrupt: something that was finished cannot be read.
    """
    from runner.audit.vulnerable import examples_file, find_vulnerable
    from runner.report import write_report  # matplotlib: only who draws waits for it
    from runner.report.samples import sample_png
    from runner.report.vulnerable_sheet import vulnerable_png

    missing = len(work.pending)
    if missing or store.facts(work.scores) is None:
        raise Unfinished(f"{missing} of {len(work.plan.runs)} models are still to do: use `run`")
    data = work.dataset
    found = find_vulnerable(work, in_ray)
    told = _events(work) if events is None else events
    names, figures, images = None, found.figures, data.pool_images
    if work.experiment.report.ids == "hashed":
        names = hashed_ids.hashes(hashed_ids.key_of(work.folder), len(data.pool_labels))
        figures = hashed_ids.renamed(figures, names)
        images = dict(zip(names.tolist(), images, strict=True))
    results = results_of(work, runs, figures, told)
    samples = None
    examples = examples_file(data.pool_labels, found.examples, data.pool_ids, names)
    examples["examples.png"] = None  # what an earlier report showed goes
    if work.images != "none":
        samples = sample_png(data.pool_images, data.pool_labels, data.num_classes)
    if work.images == "all":
        examples["examples.png"] = vulnerable_png(results, images)
    listed = work.images == "all"
    write_report(results, work.folder / store.REPORT, samples, examples, listed)
    return results


def _events(work: Work) -> list[Event]:
    """What the last driver told of what went wrong."""
    last = driver.read(work.folder / driver.FILE)
    return last["events"] if last else []


def results_of(
    work: Work,
    runs: Mapping[str, Any],
    vulnerable: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    """Write results.json from the answers and the scores, and return what it holds.

    Args:
        runs: how many models this command `trained` and `reused`.
        vulnerable: what `find_vulnerable` finds of each arm; None: nobody looked.
        events: what went wrong on the way.

    Raises:
        Corrupt: something that was finished cannot be read.
    """
    results = gather(work, runs, vulnerable, events)
    store.write_json(work.folder / store.RESULTS, results)
    return results


def _train_and_ask(work: Work, console: Console, driving: Driver) -> Mapping[str, str]:
    """Do every Run's missing steps on the cluster; return the reasons of those that failed."""
    pending = work.pending
    describe(work)
    if not pending:
        return {}
    from runner.fleet import fleet  # Ray: only who trains waits for it
    from runner.fleet.preflight import ready
    from runner.forecast.costs import costs
    from runner.forecast.disk import checkpoint_bytes, disk_bytes

    for note in work.notes:
        say(console, f"note: {note}")
    for remark, arms in work.remarks.items():
        say(console, f"note: {', '.join(arms)}: {remark}")
    done = len(work.plan.runs) - len(pending)
    say(console, f"{done} of {len(work.plan.runs)} models done, {len(pending)} to do; starting Ray")
    settled = ready(work, disk_bytes(work, pending), checkpoint_bytes(work), console)
    costly = zip(pending, costs(work, pending), strict=True)
    tasks = [task_of(work, run, cost) for run, cost in costly]
    called = {r.id: f"{arm}-m{r.number:03d}" for arm, of in work.plan.arms.items() for r in of}
    with Show(console, driving.saw, called=called) as show:
        end = fleet.train_all(tasks, work.dataset, settled, work.store, show)
    undone = {r.id: end.stopped or "not done" for r in pending if not work.is_done(r)}
    return {**undone, **end.failed}


def task_of(work: Work, run: Run, cost: float = 1.0) -> Task:
    """Return what is to do with a Run: train it, then ask and attack it, for all its arms."""
    steps: list[Step] = [train]
    for questions in work.questions(run):
        steps += [partial(ask, questions=questions), partial(attack_all, questions=questions)]
    return Task(run, steps, cost)


def _stop_if(failed: Mapping[str, str], work: Work) -> None:
    if failed:
        reasons = "\n".join(f"  {run_id}: {reason}" for run_id, reason in failed.items())
        raise Unfinished(
            f"{len(failed)} of {len(work.plan.runs)} models were not finished:\n{reasons}\n{KEPT}"
        )


def _audit(work: Work, console: Console) -> None:
    """Compute scores and judge them over the cluster, unless that has been done."""
    if store.facts(work.scores) is None or store.facts(judging_of(work).folder) is None:
        from runner.cluster import connect

        say(console, "audit: membership scores of every model as target")
        connect.connect()
        score(work)


def score(work: Work, in_ray: bool = True) -> None:
    """Compute the scores and judge them, unless these very answers have been.

    Args:
        in_ray: over the cluster, to which this process is connected; else in this process.

    Raises:
        Unfinished: an attack cannot judge what it was given.
        Corrupt: answers or scores cannot be read.
    """
    try:
        write_scores(work, in_ray)
    except Unscored as error:
        raise Unfinished(f"audit: {error}") from error
    judge(judging_of(work), in_ray)


def describe(work: Work) -> None:
    """Write down what this experiment is: resolved YAML, versions, commit, and who is a member."""
    facts = {
        "experiment": work.experiment.model_dump(mode="json"),
        "runs": {name: [r.id for r in runs] for name, runs in work.plan.arms.items()},
        "asked": {
            run.id: [f"{folder.parent.name}/{folder.name}" for folder in work.asked(run)]
            for run in work.plan.runs
        },
        "versions": versions(),
        "git_commit": git_commit(),
        "code": code_facts(work.code),
        "command": discreet(sys.argv[1:]),
    }
    store.write_json(work.folder / store.DESCRIBED, facts)
    store.write(work.folder / store.MEMBERS, members_to_bytes(work.plan.member))
    data = work.dataset
    store.write(work.folder / store.POOL, ids_to_bytes(data.pool_labels, data.pool_ids))
    store.write(work.folder / store.TEST, ids_to_bytes(data.test_labels, data.test_ids))
