"""What a run would do, before it does it: models to do, time, disk, and what can be resolved."""

from collections.abc import Callable

import torch

from attacks.wording import counted
from runner.driver.progress import duration
from runner.forecast._estimate import Estimate, estimate, kind_of, unknown_steps, unmeasured_attacks
from runner.forecast._short_version import Short, short_version
from runner.forecast._step_times import (
    TRAIN,
    Step,
    StepTimes,
    arms_by_recipe,
    quietly,
    recipe_of,
    step_times_of,
    steps_left,
)
from runner.forecast.disk import disk_bytes
from runner.forecast.measured import LIMIT_S, with_measured
from runner.forecast.named_cluster import NamedCluster
from runner.forecast.why import Before
from runner.plan.work import Work
from runner.statistics import metrics
from runner.storage import store

GPUS_FOR_ALL = "set fleet.num_gpus to auto, which packs models by the memory that they take"


def forecast(
    work: Work,
    cluster: NamedCluster | None = None,
    command: str = "runner run",
    measure: bool = False,
    of_sweep: Callable[[StepTimes], list[str]] = lambda times: [],
) -> str:
    """Return the text that `runner plan` prints.

    Args:
        cluster: on which time and cost are estimated.
        command: that would run the experiment.
        measure: what no finished Run tells, by trying it here on a few images.
        of_sweep: what is said of the sweep that is in it.
    """
    models, arms = counted(len(work.plan.runs), "model"), counted(len(work.plan.arms), "arm")
    lines = [f"{work.experiment.name}: {models} over {arms}"]
    measured_on, short = cluster.of.measured_on if cluster else "", None
    times = step_times_of(work, None, measured_on)
    if cluster and unknown_steps(work, times):
        short = short_version(work, command)
        times = step_times_of(work, short and short.work, measured_on)
    told_how = []
    if measure and (unknown := unknown_steps(work, times)):
        times = with_measured(work, times)
        told_how = [
            f"measured here on a few images, for at most {LIMIT_S:.0f} s: {', '.join(unknown)}"
        ]
    before = Before(work)
    again = before.of_arms()
    for name, runs in work.plan.arms.items():
        todo = [r for r in runs if not quietly(work.is_trained, r)]
        time_s = times.trained(runs[0])
        each = f"{time_s:.1f} s each" if time_s is not None else "time not known yet"
        lines.append(f"  {name}: {len(runs) - len(todo)} done, {len(todo)} to train ({each})")
        if name in again:
            lines.append(f"    made anew: {again[name]}")
    unasked = sum(
        1 for r in work.plan.runs if quietly(work.is_trained, r) and not quietly(work.is_done, r)
    )
    if unasked:
        why = before.of_stage("answers", "robustness", keys=("answers", "robustness"))
        told_why = f" ({why})" if why else ""
        lines.append(f"to ask: {unasked} trained models have not answered everything yet{told_why}")
    if not quietly(lambda _: store.facts(work.scores) is not None, work.plan.runs[0]):
        why = before.of_stage("scores", keys=("membership.attacks", "seed"))
        lines.append(f"audit: membership scores are to be computed{f' ({why})' if why else ''}")
    if cluster:
        lines += told(work, cluster, times, short)
    else:
        lines.append(_time_left(work, times))
        if torch.cuda.is_available() and not work.experiment.fleet.num_gpus:
            lines.append(f"the GPUs of this machine stand idle: {GPUS_FOR_ALL}")
    lines += [*told_how, *_traces(work)]
    lines.append(f"disk: {disk_bytes(work) / 1e6:.1f} MB below {work.store.root}")
    smallest = metrics.smallest_fpr(work.plan.num_negatives)
    lines.append(
        f"smallest false positive rate that one target resolves: {smallest:.2g} "
        f"({work.plan.num_negatives} non-members); below it, TPR at 0 false positives is reported"
    )
    if work.experiment.sweep:
        lines += ["all this is about `runner run`; a sweep is in it:", *of_sweep(times)]
    lines += [f"note: {note}" for note in work.notes]
    said = {**work.advice, **work.remarks}
    lines += [f"note: {', '.join(arms)}: {sentence}" for sentence, arms in said.items()]
    return "\n".join(lines)


def _time_left(work: Work, times: StepTimes) -> str:
    """What training, asking and attacking take of one worker, by what its own Runs took."""
    left: dict[str, float] = {}
    for run in work.plan.runs:
        for step in steps_left(work, run):
            if step not in times.of:
                return "time: not known before one model of each arm is trained and asked here"
            left[kind_of(step)] = left.get(kind_of(step), 0.0) + times.of[step].median
    parts = ", ".join(f"{kind} {duration(seconds)}" for kind, seconds in left.items())
    whole = f"{duration(sum(left.values()))} of one worker, divided by the workers"
    return f"time: {whole}{f' ({parts})' if len(left) > 1 else ''}"


def seconds_by_arm(work: Work, times: StepTimes) -> dict[str, float]:
    """Return what training and asking a model of each arm takes, of those of which all is known."""
    found = {}
    for name, runs in work.plan.arms.items():
        recipe, folders = recipe_of(runs[-1]), work.asked(runs[-1])
        steps = [Step(recipe, TRAIN), *(Step(recipe, folder.name) for folder in folders)]
        if all(step in times.of for step in steps):
            found[name] = sum(times.of[step].median for step in steps)
    return found


def _traces(work: Work) -> list[str]:
    """What it costs that losses are kept, of the arms that keep them."""
    num, keeping = len(work.dataset.pool_labels), dict[int, list[str]]()
    for name, arm in work.experiment.arms.items():
        if arm.training.loss_trace:
            keeping.setdefault(arm.training.epochs, []).append(name)
    return [
        f"loss traces: {', '.join(names)}: {num} examples are asked after each of {epochs} epochs, "
        f"{epochs * num / 1e6:.2f} million answers and {4 * epochs * num / 1e6:.1f} MB a model"
        for epochs, names in keeping.items()
    ]


def told(work: Work, cluster: NamedCluster, times: StepTimes, short: Short | None) -> list[str]:
    """Return the lines about one cluster; where a step has no time, how to measure it, no number.

    Args:
        short: what would measure them; None where nothing smaller than the experiment can be had.

    Raises:
        ConfigError: no node of the cluster has room for a Run.
    """
    at_once = cluster.runs_at_once(work.experiment.fleet)
    of = cluster.of
    node = f"{counted(of.cpus, 'CPU')}, {counted(of.gpus, 'GPU')}"
    size = f"{of.nodes} x ({node}), {counted(at_once, 'Run')} at a time"
    lines = [f"on {cluster.name}, {size}:"]
    lines += [f"  {name}: {text}" for name, text in _arms(work, times).items()]
    if of.gpus and not work.experiment.fleet.num_gpus:
        lines.append(f"  its GPUs stand idle: {GPUS_FOR_ALL}")
    if times.device:
        faster = f"; {cluster.name} is {of.speed:g} times as fast" if of.speed != 1 else ""
        lines.append(f"  seconds are those of a Run on {times.device}{faster}")
    if times.others:
        lines.append(f"  left out: times measured on {', '.join(times.others)}")
    if unknown := unknown_steps(work, times):
        return [*lines, *(f"  {line}" for line in _how_to_measure(unknown, short))]
    found = estimate(work, cluster, times)
    low = estimate(work, cluster, times, lambda seconds: seconds.low)
    high = estimate(work, cluster, times, lambda seconds: seconds.high)
    lines.append(f"  {_parts(found)}")
    if left_out := unmeasured_attacks(work):
        lines.append(f"  the audit counts {', '.join(left_out)} as LiRA, which may be too little")
    spread = f"{duration(low.total_s)} to {duration(high.total_s)}"
    lines.append(
        f"  in all {duration(found.total_s)} [{spread}, if each step were the fastest or the "
        "slowest measured of its arm]"
    )
    if of.price_per_node_hour is None:
        return [*lines, f"  cost: {cluster.source} has no price_per_node_hour"]
    prices = [e.total_s / 3600 * of.nodes * of.price_per_node_hour for e in (found, low, high)]
    cost = "{:,.2f} [{:,.2f} to {:,.2f}]".format(*prices)
    how = f"{counted(of.nodes, 'node')} at {of.price_per_node_hour:g} an hour each"
    return [*lines, f"  cost: {cost} {of.currency}, {how}"]


def _parts(found: Estimate) -> str:
    """What the hours are made of."""
    return (
        f"lanes start {duration(found.start_s)}; train, ask, attack {duration(found.runs_s)}, in "
        f"which {100 * found.idle:.0f} % of the workers' time is idle at the end; audit "
        f"{duration(found.audit_s)}"
    )


def _arms(work: Work, times: StepTimes) -> dict[str, str]:
    """Of each arm with something to do: how many Runs, and the seconds of one from start to end."""
    told: dict[str, str] = {}
    for name in arms_by_recipe(work).values():
        runs = [run for run in work.plan.arms[name] if steps_left(work, run)]
        if not runs:
            continue
        # The first Runs are asked more than the others: sanity checks look at few models.
        steps = steps_left(work, runs[-1])
        known: dict[str, float] = {}
        for step in steps:
            if step in times.of:
                kind = kind_of(step)
                known[kind] = known.get(kind, 0.0) + times.of[step].median
        parts = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in known.items())
        measured = min((times.of[s].num_runs for s in steps if s in times.of), default=0)
        of = f"; median of {measured} measured" if measured else "; measured on a few images"
        of = of if parts else "no time is known"
        told[name] = f"{counted(len(runs), 'Run')} to do: {parts}{of}"
    return told


def _how_to_measure(unknown: dict[str, list[str]], short: Short | None) -> list[str]:
    """Which arms have no time, and the command that gives them one."""
    arms = ", ".join(
        name if TRAIN in kinds else f"{name} ({', '.join(kinds)})"
        for name, kinds in unknown.items()
    )
    lines = [f"hours and cost: not known, since nothing like this was measured: {arms}"]
    if short is None:
        return [*lines, "train one model of each arm, and ask again"]
    models, epochs = short.work.experiment.design.num_models, short.work.experiment.training.epochs
    return [
        *lines,
        f"measure it with {counted(models, 'model')} of each arm, {counted(epochs, 'epoch')} each, "
        "then ask again:",
        f"  {short.command}",
    ]
