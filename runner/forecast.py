"""What a run would do, before it does it: models to do, time, disk, and what can be resolved."""

from runner import metrics, store
from runner.disk import disk_bytes
from runner.estimate import unknown_steps
from runner.estimate_text import told
from runner.named_cluster import NamedCluster
from runner.progress import duration
from runner.rates import quietly, rates_of
from runner.short_version import short_version
from runner.sweep.settings import num_asked
from runner.work import Work


def forecast(work: Work, cluster: NamedCluster | None = None, command: str = "runner run") -> str:
    """Return the text that `runner plan` prints.

    Args:
        cluster: on which time and cost are estimated.
        command: that would run the experiment.
    """
    lines = [
        f"{work.experiment.name}: {len(work.plan.runs)} models over {len(work.plan.arms)} arms"
    ]
    measured_on, short = cluster.of.measured_on if cluster else "", None
    rates = rates_of(work, None, measured_on)
    if cluster and unknown_steps(work, rates):
        short = short_version(work, command)
        rates = rates_of(work, short and short.work, measured_on)
    total_s, unknown = 0.0, False
    for name, runs in work.plan.arms.items():
        todo = [r for r in runs if not quietly(work.is_trained, r)]
        time_s = rates.trained(runs[0])
        unknown |= time_s is None and bool(todo)
        total_s += (time_s or 0.0) * len(todo)
        each = f"{time_s:.1f} s each" if time_s is not None else "time not known yet"
        lines.append(f"  {name}: {len(runs) - len(todo)} done, {len(todo)} to train ({each})")
    unasked = sum(
        1 for r in work.plan.runs if quietly(work.is_trained, r) and not quietly(work.is_done, r)
    )
    if unasked:
        lines.append(f"to ask: {unasked} trained models have not answered everything yet")
    if not quietly(lambda _: store.facts(work.scores) is not None, work.plan.runs[0]):
        lines.append("audit: membership scores are to be computed")
    if cluster:
        lines += told(work, cluster, rates, short)
    elif unknown:
        lines.append("training time: not known before one model of each arm is trained here")
    else:
        lines.append(f"training time: {duration(total_s)} of one worker, divided by the workers")
    lines.append(f"disk: {disk_bytes(work) / 1e6:.1f} MB below {work.store.root}")
    smallest = metrics.smallest_fpr(work.plan.num_negatives)
    lines.append(
        f"smallest false positive rate that one target resolves: {smallest:.2g} "
        f"({work.plan.num_negatives} non-members); below it, TPR at 0 false positives is reported"
    )
    if sweep := work.experiment.sweep:
        rungs = ", ".join(map(str, sweep.rungs))
        asked = f"{num_asked(sweep)} settings at {rungs} models"
        lines.append(f"a sweep of {asked} is in it, for `runner sweep`; this is about `runner run`")
    lines += [f"note: {', '.join(arms)}: {remark}" for remark, arms in work.remarks.items()]
    return "\n".join(lines)
