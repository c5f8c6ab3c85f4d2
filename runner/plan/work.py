"""One experiment made ready: its data, its plan, and where everything of it lies."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attacks import origin
from attacks.wording import counted
from defenses import Guarantee
from runner.data import Dataset, Ids
from runner.experiment.experiment import Experiment
from runner.experiment.fields import Images
from runner.experiment.judging import AuditSettings
from runner.experiment.questions import Questions
from runner.faults import DataMissing
from runner.models import image_shape
from runner.plan.canaries import planted
from runner.plan.plan import Plan, Run, group_notes, make_plan, untrained
from runner.plan.published_scores import check_file
from runner.plan.subject import scores_code, scores_in
from runner.statistics.averages import Averaging
from runner.storage import store
from runner.storage.answers import Source
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import Store

if TYPE_CHECKING:
    from defenses import Neighbours, TradeOff


class Work(NamedTuple):
    """One experiment, with everything that follows from its YAML and its data."""

    experiment: Experiment
    dataset: Dataset
    plan: Plan
    store: Store
    folder: Folder  # of its own results; models lie in the store, for all experiments

    @property
    def settings(self) -> AuditSettings:
        """How its answers are judged."""
        return AuditSettings.of(self.experiment)

    @property
    def labels(self) -> np.ndarray:
        """Of the pool, (N,) int64."""
        return self.dataset.pool_labels

    @property
    def ids(self) -> Ids:
        """What each example of the pool is called where it comes from, columns (N,)."""
        return self.dataset.pool_ids

    @property
    def over(self) -> Averaging:
        """How its figures are averaged over models."""
        return self.settings.over(self.plan.partner)

    @property
    def scores(self) -> Folder:
        """The scores of exactly these answers, attacks and matrices."""
        asked = {name: self.experiment.questions(name).answers_id for name in self.plan.arms}
        answers = {
            "runs": {name: [run.id for run in runs] for name, runs in self.plan.arms.items()},
            "questions": asked,
            "design": self.experiment.design.model_dump(exclude_none=True),
        }
        return scores_in(self.folder, self.settings, answers)

    @property
    def code(self) -> Mapping[str, Mapping[str, str]]:
        """By what it decides, which source and files do beside the versions: digests by name."""
        asked = [self.experiment.questions(name) for name in self.plan.arms]
        every = {
            "weights": [run.code for runs in self.plan.arms.values() for run in runs[:1]],
            "answers": [questions.answers_code for questions in asked],
            "robustness": [code for q in asked for code in q.attacks_code.values()],
            "scores": [scores_code(self.settings)],
        }
        return {stage: dict(ChainMap(*map(dict, of))) for stage, of in every.items()}

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What a reader of the figures must know, and the arms that it is about."""
        shape = image_shape(self.dataset)
        return _by_sentence({n: self.experiment.remarks(n, shape) for n in self.experiment.arms})

    @property
    def advice(self) -> dict[str, list[str]]:
        """What might be asked for instead, what networks begin with, and the arms it is about."""
        told, shape = {}, image_shape(self.dataset)
        for name, arm in self.experiment.arms.items():
            run = self.plan.arms[name][0]
            at, epochs = run.training.batch_size, run.training.epochs
            advice = arm.defense.advice(len(run.members), at, epochs)
            told[name] = (*advice, *arm.model.remarks(shape))
        return _by_sentence(told)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the data, and of who is trained on them."""
        told = [*self.dataset.remarks, *group_notes(self.plan.groups)]
        return [*told, *untrained(self.plan, self.dataset)]

    @property
    def images(self) -> Images:
        """Which images a report may show: what the YAML says, else all of what is published.

        The rows of a table are none.
        """
        if self.dataset.tabular:
            return "none"
        return self.experiment.report.images or ("all" if self.dataset.published else "none")

    @property
    def pending(self) -> list[Run]:
        """The Runs that are not trained, or have not answered everything."""
        return [run for run in self.plan.runs if not self.is_done(run)]

    def questions(self, run: Run) -> Sequence[Questions]:
        """Return what a Run is asked: once, unless arms judge several checkpoints of it."""
        arms = [name for name, runs in self.plan.arms.items() if runs[run.number].id == run.id]
        found = [self.experiment.questions(name) for name in arms]
        return [q for i, q in enumerate(found) if q not in found[:i]]

    def is_trained(self, run: Run) -> bool:
        return store.facts(self.store.run(run.id)) is not None

    def asked(self, run: Run) -> list[Folder]:
        """The folders of a Run's answers, and of what it answers under each attack."""
        folders = []
        for questions in self.questions(run):
            folders.append(self.store.answers(run.id, questions.answers_id))
            for attack in questions.attacks_of(run.number):
                folders.append(self.store.robustness(run.id, questions.robustness_id(attack)))
        return folders

    @property
    def sources(self) -> dict[Source, list[str]]:
        """The files of answers that the audit reads; a randomized arm's are read in two ways."""
        found = {}
        for name, runs in self.plan.arms.items():
            asked = self.experiment.questions(name)
            paths = [str(self.store.answers_file(run.id, asked.answers_id)) for run in runs]
            found |= {Source(name, draws): paths for draws in sorted({1, asked.answers.draws})}
        return found

    @property
    def finished(self) -> list[Folder]:
        """The folders that hold its models and what they answered, once they are finished."""
        return [
            folder
            for run in self.plan.runs
            for folder in (*self.asked(run), self.store.run(run.id))
        ]

    def is_done(self, run: Run) -> bool:
        """Whether a Run is trained and has answered everything."""
        folders = (self.store.run(run.id), *self.asked(run))
        return all(store.facts(folder) is not None for folder in folders)

    def guarantee(self, arm: str) -> Guarantee | None:
        """Return the guarantee of the model of which least is promised; None: nothing is stated.

        Models that differ in how many examples they are trained on differ a little in their
        epsilon.
        """
        experiment, runs = self.experiment, self.plan.arms[arm]
        network = experiment.arms[arm].network(image_shape(self.dataset))
        found = []
        for run in {len(run.members): run for run in runs}.values():
            facts = run.facts(network, run.training.epochs, assumed=experiment.guarantee.assumed)
            guarantee = run.defense.guarantee(facts)
            if guarantee is None:
                return None
            found.append(guarantee)
        worst = max(found, key=lambda g: float("inf") if g.epsilon is None else g.epsilon)
        if self.chosen_on_non_members(arm):
            why = "its best epoch is chosen on its non-members, which tells who they are"
            return worst._replace(epsilon=None, status="none", why=why)
        return worst

    def chosen_on_non_members(self, arm: str) -> bool:
        """Whether an arm's best epoch tells who its non-members are."""
        chosen_on = self.experiment.selection and self.experiment.selection.on
        return self.experiment.arms[arm].checkpoint == "best" and chosen_on == "non_members"

    def trade_offs(self, arm: str, neighbours: Neighbours, copies: int) -> list[TradeOff]:
        """Return the ceilings of an arm's models, one of each number of members; none if none.

        Neither the fewest nor the most need have the highest, for steps are whole numbers.

        Arguments as for `Defense.trade_off`.
        """
        if self.chosen_on_non_members(arm):
            return []
        network = self.experiment.arms[arm].network(image_shape(self.dataset))
        found = []
        for run in {len(run.members): run for run in self.plan.arms[arm]}.values():
            facts = run.facts(network, run.training.epochs)
            found.append(run.defense.trade_off(facts, neighbours, copies))
        return [curve for curve in found if curve]


def _by_sentence(told: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The arms by each sentence that is told of them."""
    found: dict[str, list[str]] = {}
    for name, sentences in told.items():
        for sentence in sentences:
            found.setdefault(sentence, []).append(name)
    return found


def prepare(
    experiment: Experiment,
    storage: Folder | str,
    dataset: Dataset | None = None,
    folder: Folder | None = None,
    look: Callable[[Work], object] | None = None,
) -> Work:
    """Return an experiment ready to start: the folders of the storage are made last, when nothing
    is left to refuse, and a file is written there and removed again.

    Args:
        storage: a folder, made if it is not there, or a URI.
        dataset: the experiment's data, if they have been read already.
        folder: of its results; None: `experiments/<name>` of the storage.
        look: may refuse it as well.

    Raises:
        DataMissing: the data cannot be read, or is too small for what is asked.
        StorageError: the storage folder cannot be written.
    """
    at = Store(folder_at(storage))
    at.check_usable()
    work = made_ready(experiment, at, dataset, folder)
    if look:
        look(work)
    at.check_writable()
    return work


def to_plan(experiment: Experiment, storage: Folder | str, dataset: Dataset | None) -> Work:
    """Return an experiment of which only is asked what it would do: nothing is made or written.

    The storage may be one that can only be read, or that is still to be made.

    Args:
        dataset: as of `prepare`; noise in its place, too.

    Raises:
        DataMissing, StorageError: as of `prepare`.
    """
    at = Store(folder_at(storage))
    at.check_usable(writing=False)
    return made_ready(experiment, at, dataset, None)


def made_ready(
    experiment: Experiment, at: Store, dataset: Dataset | None, folder: Folder | None
) -> Work:
    """Return what `prepare` does, in a storage that the command has looked at.

    Nothing is made there: while a share is not mounted, its folders would be made in its place.

    Raises:
        DataMissing: the data cannot be read, or is too small for what is asked.
    """
    try:
        dataset = planted(dataset or experiment.data.load(), experiment)
    except (ValueError, OSError) as error:
        raise DataMissing(f"data: {origin.said(error)}") from error
    if experiment.robustness.on == "test" and not len(dataset.test_labels):
        raise DataMissing("robustness.on: test, but the data has no test images; use non_members")
    num_pool, workers = len(dataset.pool_labels), experiment.fleet.workers_per_run
    selection = experiment.selection
    held_out = selection.num_examples if selection and selection.on == "held_out" else 0
    left = num_pool - min(held_out, num_pool // 2)  # of more the plan says that they are too many
    share = left // {"pairs": 2, "quarters": 4, "canaries": 1}[experiment.design.name]
    if share < 2 * workers:
        raise DataMissing(
            f"data: a pool of {counted(num_pool, 'image')} leaves a model {share} to train on; "
            f"{counted(workers, 'worker')} of a Run must have {2 * workers}"
        )
    try:
        if experiment.memorization and experiment.memorization.file:
            check_file(experiment.memorization.file, dataset)
        plan = make_plan(experiment, dataset)
    except (
        ValueError,
        MemoryError,
    ) as error:  # such as more examples to a batch of DP-SGD than there are members
        raise DataMissing(origin.said(error)) from error
    return Work(experiment, dataset, plan, at, folder or at.experiment(experiment.name))
