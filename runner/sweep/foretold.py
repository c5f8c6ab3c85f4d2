"""What a sweep would do, before it does it: models, time, disk and cost, at least and at most."""

from typing import NamedTuple

from runner.driver.progress import duration
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import num_asked
from runner.forecast.disk import disk_bytes
from runner.forecast.forecast import StepTimes, seconds_by_arm
from runner.forecast.named_cluster import NamedCluster
from runner.plan.work import Work
from runner.sweep.settings import compared_arms, varied_arms


class Models(NamedTuple):
    """How many models of each arm a sweep trains; at least if one setting alone goes on."""

    least: dict[str, int]
    most: dict[str, int]


def models_of(experiment: Experiment) -> Models:
    """Return the models of a sweep.

    One setting at least goes all the way, for not all of the first ones are beaten; at the most
    all do, and the recommended one is measured once more. Where settings are asked differently all
    do, and none is recommended.
    """
    sweep = experiment.sweep
    assert sweep is not None
    settings, first, last = num_asked(sweep), sweep.rungs[0], sweep.rungs[-1]
    varied, once_more = varied_arms(experiment), last * sweep.alike
    fewest = first * settings + last - first if sweep.alike else last * settings
    least, most = {}, {}
    for name in compared_arms(experiment):
        least[name] = fewest if name in varied else last
        most[name] = last * (settings if name in varied else 1) + once_more
    return Models(least, most)


def foretold(work: Work, times: StepTimes, cluster: NamedCluster | None) -> list[str]:
    """Return what `runner plan` says of a sweep.

    A setting is taken to last as long as the arms as they are written; what is stored is not
    taken off.

    Args:
        work: of the experiment itself.
        times: of its steps.
        cluster: on which time and cost are estimated.
    """
    experiment, sweep = work.experiment, work.experiment.sweep
    assert sweep is not None
    models = models_of(experiment)
    least, most = (sum(of.values()) for of in models)
    rungs = ", ".join(map(str, sweep.rungs))
    again = ", at the most with the recommended setting once more" if sweep.alike else ""
    each = disk_bytes(work) / len(work.plan.runs)
    lines = [
        f"`runner sweep`: {num_asked(sweep)} settings at {rungs} models",
        f"  {least} to {most} models over {len(models.most)} arms{again}",
        f"  disk: {least * each / 1e6:.1f} to {most * each / 1e6:.1f} MB",
    ]
    seconds = seconds_by_arm(work, times)
    if unknown := [name for name in models.most if name not in seconds]:
        arms = ", ".join(unknown)
        return [*lines, f"  time: not known, since nothing like it was measured: {arms}"]
    low, high = (sum(n * seconds[name] for name, n in of.items()) for of in models)
    whole = f"{duration(low)} to {duration(high)} of one worker"
    lines.append(f"  time: {whole}, if all settings take what the arms as written take")
    if cluster is None:
        return lines
    at_once = cluster.runs_at_once(experiment.fleet)
    low, high = (each / at_once / cluster.of.speed + cluster.of.start_s for each in (low, high))
    lines.append(
        f"  on {cluster.name}, {at_once} Runs at a time: {duration(low)} to {duration(high)}"
    )
    if (price := cluster.of.price_per_node_hour) is not None:
        costs = [each / 3600 * cluster.of.nodes * price for each in (low, high)]
        lines.append("  cost: {:,.2f} to {:,.2f} ".format(*costs) + cluster.of.currency)
    return lines
