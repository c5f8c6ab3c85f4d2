"""How long the rest of an experiment takes on a named cluster, and what it costs."""

from collections.abc import Callable
from typing import NamedTuple

from runner.cluster.timetable import list_schedule, turns
from runner.forecast._step_times import (
    ANSWERS,
    TRAIN,
    Seconds,
    Step,
    StepTimes,
    arms_by_recipe,
    quietly,
    steps_left,
)
from runner.forecast.named_cluster import NamedCluster
from runner.plan.work import Work
from runner.storage import store
from runner.storage.parquet import BLOCK

# On two free cores: quickstart's audit and report took 16 s, of which its scores are half a second;
# benchmarks/results/audit.md has the seconds of more scores.
AUDIT_S = 15.0  # of an audit so small that only Ray Data's start, its judging and its report count
SCORE_S = 1.5e-6  # of one core, for one score of LiRA, judged


class Estimate(NamedTuple):
    """What the rest takes, in seconds."""

    start_s: float
    runs_s: float
    idle: float  # share of the workers' time in `runs_s` in which they have nothing left to do
    audit_s: float

    @property
    def total_s(self) -> float:
        return self.start_s + self.runs_s + self.audit_s


def estimate(
    work: Work,
    cluster: NamedCluster,
    times: StepTimes,
    which: Callable[[Seconds], float] = lambda seconds: seconds.median,
) -> Estimate:
    """Return what the rest of an experiment takes on a cluster.

    Runs are taken in the queue's order by whoever is free, each with its own steps, so the time at
    the end in which some workers have none is in it.

    Args:
        times: of every step that is to do.
        which: the number that stands for a step: the median of what was measured, or another.
    """
    at_once = cluster.runs_at_once(work.experiment.fleet)
    each = [
        sum(which(times.of[step]) for step in steps) / cluster.of.speed
        for run in work.plan.runs
        if (steps := steps_left(work, run))
    ]
    runs_s = max(list_schedule((each[i] for i in turns(each, at_once)), at_once))
    idle = 1 - sum(each) / (at_once * runs_s) if runs_s else 0.0
    started = cluster.of.start_s if each else 0.0
    return Estimate(started, runs_s, idle, _audit_s(work, cluster))


def unknown_steps(work: Work, times: StepTimes) -> dict[str, list[str]]:
    """Return what is to do and has no time, by arm."""
    arm_of = arms_by_recipe(work)
    missing: dict[str, list[str]] = {}
    for run in work.plan.runs:
        for step in steps_left(work, run):
            names = missing.setdefault(arm_of[step.recipe], [])
            if step not in times.of and kind_of(step) not in names:
                names.append(kind_of(step))
    return {name: kinds for name, kinds in missing.items() if kinds}


def kind_of(step: Step) -> str:
    """Return a step in a word: training, answers, or what it is attacked with."""
    if step.what == TRAIN:
        return TRAIN
    return ANSWERS if step.what.startswith("views") else step.what.split("-")[0]


def unmeasured_attacks(work: Work) -> list[str]:
    """Return the membership attacks whose scores cost more than LiRA's, by how much nobody said."""
    attacks = work.experiment.membership.attacks
    return [n for n, a in attacks.items() if not a.cost_known]


def _audit_s(work: Work, cluster: NamedCluster) -> float:
    """Scores of all models, readings, attacks and both matrices, and judging them.

    The combination of attacks is judged as they are, and counts as one of them.
    """
    if quietly(lambda _: store.facts(work.scores), work.plan.runs[0]) is not None:
        return 0.0
    num_models, num_pool = work.plan.member.shape
    scores = (
        2 * num_models * num_pool * len(work.sources) * len(work.experiment.membership.readings)
    )
    tasks = -(-num_pool // BLOCK)  # no more of them at a time
    return AUDIT_S + SCORE_S * scores / min(tasks, cluster.of.nodes * cluster.of.cpus)
