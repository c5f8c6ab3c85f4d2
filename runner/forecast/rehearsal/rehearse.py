"""Try what an experiment asks for, in small, on a few of its images; say what cannot be done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from attacks import origin
from runner.data import Data, Dataset
from runner.experiment.config import ConfigError, Fault, Lines, placed
from runner.experiment.experiment import Experiment
from runner.faults import DataMissing
from runner.forecast.rehearsal._arm import faults_of_arm
from runner.forecast.rehearsal._few import few_of
from runner.forecast.rehearsal._images import faults_of_data, faults_of_images
from runner.forecast.rehearsal._membership import faults_of_membership
from runner.forecast.rehearsal._stand_in import stand_in
from runner.forecast.rehearsal._trying import Arm, Untried, sort_of
from runner.plan.plan import Run
from runner.plan.undisturbed import undisturbed
from runner.plan.work import Work, made_ready
from runner.storage.cloud import Away, CloudPath
from runner.storage.store import Corrupt, Store


class Rehearsed(NamedTuple):
    """What came of it."""

    faults: list[Fault]
    notes: list[str]  # what could not be tried here


def rehearse(work: Work, source: str, lines: Lines | None = None) -> list[str]:
    """Try every arm that has something to do; return what could not be tried here.

    For each sort of arm: a step of training, answers, weights saved and loaded, attacks. Nothing is
    written, and no global random generator is moved.

    Args:
        source: what faults call the configuration.
        lines: where in it each path stands.

    Raises:
        ConfigError: some of it cannot be done; every fault at once.
    """
    arms = [n for n, runs in work.plan.arms.items() if not all(_done(work, run) for run in runs)]
    return _told(tried(work, arms, set()) if arms else Rehearsed([], []), source, lines)


def _done(work: Work, run: Run) -> bool:
    """Whether nothing of it is to do; what is damaged is."""
    try:
        return work.is_done(run)
    except Corrupt:
        return False
    except Away:
        if isinstance(work.store.root, CloudPath):
            raise
        return False  # the folders are made after this


def rehearse_early(
    experiment: Experiment,
    dataset: Dataset,
    source: str,
    lines: Lines | None = None,
    seen: set[str] | None = None,
) -> list[str]:
    """Do the same before there is a storage; and say what might be asked for instead.

    Args:
        seen: what need not be tried any more; grows.

    Raises:
        ConfigError: as `rehearse`.
        DataMissing: the data are not what is asked for.
    """
    experiment = experiment.model_copy(update={"memorization": None})  # a file may be to come
    work = made_ready(experiment, Store(Path()), dataset, Path())
    seen = set() if seen is None else seen
    notes = _told(tried(work, [*experiment.arms], seen), source, lines)
    return [*notes, *(f"{', '.join(arms)}: {told}" for told, arms in work.advice.items())]


def at_hand(data: Data) -> tuple[Dataset | None, str]:
    """Return the data, or noise of their shape, or None; and what is to be said of it.

    Nothing is downloaded.

    Raises:
        DataMissing: they are there, and cannot be read.
    """
    try:
        return data.model_copy(update={"download": False}).load(), ""
    except (ValueError, OSError) as error:
        if data.pictured is None and data.root.exists():
            raise DataMissing(f"data: {origin.said(error)}") from error
        why = str(error).partition(": ")[0]  # what follows is the way out of a download
    try:
        noise = stand_in(data)
    except ValueError as error:
        raise DataMissing(f"data: {origin.said(error)}") from error
    if noise is None:
        return None, f"{why}, so no network was tried; `runner plan` tries them"
    return noise, f"{why}, so networks were tried on noise of that shape"


def to_plan_on(data: Data) -> tuple[Dataset | None, str]:
    """Return what an experiment is planned on, and what is to be said of it.

    None where that must be read, or where it is refused: somebody named a place that lacks the
    data, and forbade a download.
    """
    dataset, note = at_hand(data)
    if dataset is None or (note and not data.download and "root" in data.model_fields_set):
        return None, ""
    if note:
        then = "a run downloads it first" if data.download else "a run is refused until it is there"
        note += f", and what is stored of this experiment is not looked for; {then}"
    return dataset, note


def _told(found: Rehearsed, source: str, lines: Lines | None) -> list[str]:
    """The notes.

    Raises:
        ConfigError: there are faults.
    """
    if found.faults:
        raise ConfigError(source, [placed(fault, lines or {}) for fault in found.faults])
    return found.notes


def tried(work: Work, arms: Sequence[str], seen: set[str]) -> Rehearsed:
    """Return the faults of these arms; sorts of arms that were seen are left out, and are added."""
    experiment, dataset = work.experiment, work.dataset
    with undisturbed():
        faults, notes = [*faults_of_data(dataset)], list[str]()
        if faults:
            return Rehearsed(faults, notes)
        faults += faults_of_images(experiment, dataset)
        asked = f"{sort_of(experiment.membership)} {experiment.design} {experiment.answers.names}"
        if asked not in seen:
            seen.add(asked)
            faults += faults_of_membership(work)
        few = few_of(dataset.pool_images, dataset.pool_labels)
        sorts = sorts_of(experiment)
        for name in arms:
            if sorts[name] in seen:
                continue
            seen.add(sorts[name])
            first = work.plan.arms[name][0]
            run = replace(first, defense=first.defense.in_short())
            arm = Arm(name, run, few, experiment, dataset)
            try:
                faults += faults_of_arm(arm, seen)
            except Untried as why:
                notes.append(f"{name}: it was not tried before it starts, as it needs a GPU: {why}")
    return Rehearsed([*_each_once(faults)], notes)


def _each_once(faults: Sequence[Fault]) -> Iterator[Fault]:
    """The same of several arms is said of the first."""
    said = set()
    for fault in faults:
        if fault.reason not in said:
            said.add(fault.reason)
            yield fault


def sorts_of(experiment: Experiment) -> dict[str, str]:
    """Return what tells arms apart that must each be tried: all but how large a number is."""
    shared = {"augment": experiment.data.augment.model_dump(), "seed": 0}
    return {
        name: repr(sort_of({**shared, **arm.model_dump(), **_asked_of(experiment, name)}))
        for name, arm in experiment.arms.items()
    }


def _asked_of(experiment: Experiment, name: str) -> Mapping[str, Any]:
    questions = experiment.questions(name)
    return {
        "attacks": questions.robustness.attacks,
        "adversarial": questions.answers.adversarial,
        "workers": experiment.fleet.workers_per_run,
    }
