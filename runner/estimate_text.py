"""An estimate as `plan` prints it: hours, cost, how they were come by, and their spread."""

from runner.estimate import Estimate, estimate, kind_of, unknown_steps, unmeasured_attacks
from runner.named_cluster import NamedCluster
from runner.progress import duration
from runner.rates import TRAIN, Rates, arms_by_recipe, steps_left
from runner.short_version import Short
from runner.work import Work


def told(work: Work, cluster: NamedCluster, rates: Rates, short: Short | None) -> list[str]:
    """Return the lines about one cluster; where a step has no time, how to measure it, no number.

    Args:
        short: what would measure them; None where nothing smaller than the experiment can be had.

    Raises:
        ConfigError: no node of the cluster has room for a Run.
    """
    at_once = cluster.runs_at_once(work.experiment.fleet)
    of = cluster.of
    size = f"{of.nodes} x ({of.cpus} CPUs, {of.gpus} GPUs), {at_once} Runs at a time"
    lines = [f"on {cluster.name}, {size}:"]
    lines += [f"  {name}: {text}" for name, text in _arms(work, rates).items()]
    if rates.device:
        faster = f"; {cluster.name} is {of.speed:g} times as fast" if of.speed != 1 else ""
        lines.append(f"  seconds are those of a Run on {rates.device}{faster}")
    if rates.others:
        lines.append(f"  left out: times measured on {', '.join(rates.others)}")
    if unknown := unknown_steps(work, rates):
        return [*lines, *(f"  {line}" for line in _how_to_measure(unknown, short))]
    found = estimate(work, cluster, rates)
    low = estimate(work, cluster, rates, lambda seconds: seconds.low)
    high = estimate(work, cluster, rates, lambda seconds: seconds.high)
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
    how = f"{of.nodes} nodes at {of.price_per_node_hour:g} an hour each"
    return [*lines, f"  cost: {cost} {of.currency}, {how}"]


def _parts(found: Estimate) -> str:
    """What the hours are made of."""
    return (
        f"lanes start {duration(found.start_s)}; train, ask, attack {duration(found.runs_s)}, in "
        f"which {100 * found.idle:.0f} % of the workers' time is idle at the end; audit "
        f"{duration(found.audit_s)}"
    )


def _arms(work: Work, rates: Rates) -> dict[str, str]:
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
            if step in rates.of:
                kind = kind_of(step)
                known[kind] = known.get(kind, 0.0) + rates.of[step].median
        parts = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in known.items())
        measured = min((rates.of[s].num_runs for s in steps if s in rates.of), default=0)
        of = f"; median of {measured} measured" if parts else "no time is known"
        told[name] = f"{len(runs)} Runs to do: {parts}{of}"
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
        f"measure it with {models} models of each arm, {epochs} epochs each, then ask again:",
        f"  {short.command}",
    ]
