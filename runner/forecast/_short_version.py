"""The least of an experiment that tells what its steps take: the same arms, few models, briefly."""

import shlex
from typing import Any, NamedTuple

from pydantic import ValidationError as Invalid

from runner.experiment.experiment import Experiment
from runner.experiment.judging import Averages, Vulnerable
from runner.experiment.training import FACTOR
from runner.plan.plan import make_plan
from runner.plan.work import Work

EPOCHS = 2  # the first is slower in a new process
NAME = "short"
# Membership attacks that want many models are left out: they take no part in training and asking.
NO_ATTACKS = "membership.attacks={global_threshold: {name: threshold}}"


class Short(NamedTuple):
    """A short version, and the command that runs it."""

    work: Work
    command: str


def short_version(work: Work, command: str) -> Short | None:
    """Return an experiment's short version, or None where nothing smaller can be had.

    Args:
        command: that would run the experiment itself.
    """
    experiment = work.experiment
    most = experiment.design.num_models
    attempts = [(n, left_out) for n in (2, 6, 8, 32) if n < most for left_out in (False, True)]
    for num_models, no_attacks in [*attempts, (most, False)]:
        data = experiment.model_dump(mode="json")
        overrides = _shorten(data, experiment, num_models, no_attacks)
        try:
            smaller = Experiment.model_validate(data)
            plan = make_plan(smaller, work.dataset)
        except (Invalid, ValueError):
            continue
        folder = work.store.experiment(smaller.name)
        told = [command, *(f"--set {shlex.quote(override)}" for override in overrides)]
        return Short(Work(smaller, work.dataset, plan, work.store, folder), " ".join(told))
    return None


def _shorten(
    data: dict[str, Any], experiment: Experiment, num_models: int, no_attacks: bool
) -> list[str]:
    """Change an experiment's data in place; return the same as values for `--set`."""
    overrides = [f"name={NAME}", f"design.num_models={num_models}"]
    data["name"], data["design"]["num_models"] = NAME, num_models
    shared, arms = experiment.training, experiment.arms
    parts = [("training", shared, data["training"])]
    parts += [
        (f"arms.{name}.training", arm.training, data["arms"][name]["training"])
        for name, arm in arms.items()
    ]
    for path, training, part in parts:
        epochs = min(EPOCHS, training.epochs)
        changes: dict[str, Any] = {"epochs": epochs}
        if training.schedule.warmup_epochs >= epochs:
            changes["schedule.warmup_epochs"] = 0
        if training.schedule.name == "step":  # its milestones lie behind
            constant = {"name": "constant", "milestones": [], "factor": FACTOR}
            changes |= {f"schedule.{key}": value for key, value in constant.items()}
        for key, value in changes.items():
            *into, last = key.split(".")
            (part[into[0]] if into else part)[last] = value
            # What an arm shares with the experiment it takes over from it.
            if path == "training" or _of(training, key) != _of(shared, key):
                overrides.append(f"{path}.{key}={value}")
    for key, given, default in (
        ("memorization", experiment.memorization, None),
        ("sweep", experiment.sweep, None),
        ("averages", experiment.averages, Averages()),
        ("vulnerable", experiment.vulnerable, Vulnerable()),
    ):
        if given != default:
            data.pop(key)
            overrides.append(f"{key}=null")
    if no_attacks:
        data["membership"] = {**data["membership"]}
        data["membership"]["attacks"] = {"global_threshold": {"name": "threshold"}}
        overrides.append(NO_ATTACKS)
    return overrides


def _of(training: Any, dotted: str) -> Any:
    """The value of a dotted key."""
    for key in dotted.split("."):
        training = getattr(training, key)
    return training
