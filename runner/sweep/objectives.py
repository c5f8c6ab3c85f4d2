"""What settings are compared by, and whether the data can show it."""

from runner.experiment.config import ConfigError, Fault
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Objectives
from runner.plan.work import Work
from runner.statistics import metrics


def objectives_of(experiment: Experiment) -> Objectives:
    """Return the sweep's objectives with every name filled in: the first attack of each kind."""
    assert experiment.sweep is not None
    sought = experiment.sweep.objectives
    robust = sought.robustness or next(iter(experiment.robustness.attacks), None)
    leaks = sought.membership or next(iter(experiment.membership.attacks))
    return sought.model_copy(update={"robustness": robust, "membership": leaks})


def check_rate(work: Work, objectives: Objectives, source: str) -> None:
    """Refuse a rate at which every true positive rate is that at no false positive.

    Raises:
        ConfigError: it is.
    """
    rate, smallest = objectives.false_positive_rate, metrics.smallest_fpr(work.plan.num_negatives)
    if rate is not None and rate < smallest:
        why = (
            f"{work.plan.num_negatives} non-members show no rate below {smallest:.3g}, got "
            f"{rate:g}; use a larger one or more data, or null for the AUC"
        )
        raise ConfigError(source, [Fault("sweep.objectives.false_positive_rate", why)])
