"""One experiment made ready: its data, its plan, and where everything of it lies."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from defenses import Guarantee
from runner.ask.answers import ask
from runner.ask.robustness import attack_all
from runner.audit.judge import Judging, judging_of
from runner.data import Dataset
from runner.experiment.experiment import Experiment
from runner.experiment.questions import Questions
from runner.faults import DataMissing
from runner.fleet.queue import Step, Task
from runner.models import image_shape
from runner.plan.canaries import planted
from runner.plan.plan import Plan, Run, make_plan
from runner.plan.published_scores import check_file
from runner.storage import store
from runner.storage.answers import Source
from runner.storage.cloud import Folder, folder_at
from runner.storage.ids import digest
from runner.storage.store import Store
from runner.train.train import train

SCORES_VERSION = 1  # raise it when the same answers would be scored otherwise


class Work(NamedTuple):
    """One experiment, with everything that follows from its YAML and its data."""

    experiment: Experiment
    dataset: Dataset
    plan: Plan
    store: Store
    folder: Folder  # of its own results; models lie in the store, for all experiments

    @property
    def scores(self) -> Folder:
        """The scores of exactly these answers, attacks and matrices."""
        facts = {
            "scores_version": SCORES_VERSION,
            "runs": {name: [run.id for run in runs] for name, runs in self.plan.arms.items()},
            "questions": {
                name: self.experiment.questions(name).answers_id for name in self.plan.arms
            },
            "attacks": {
                k: a.model_dump(mode="json") for k, a in self.experiment.membership.attacks.items()
            },
            "design": self.experiment.design.model_dump(exclude_none=True),
            "seed": self.experiment.seed,
        }
        return self.folder / "scores" / digest(facts)

    @property
    def judging(self) -> Judging:
        """What is asked of the scores."""
        return judging_of(self.experiment, self.plan, self.sources, self.scores)

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What a reader of the figures must know, and the arms that it is about."""
        found: dict[str, list[str]] = {}
        for name in self.experiment.arms:
            for remark in self.experiment.remarks(name, image_shape(self.dataset)):
                found.setdefault(remark, []).append(name)
        return found

    @property
    def pending(self) -> list[Run]:
        """The Runs that are not trained, or have not answered everything."""
        return [run for run in self.plan.runs if not self.is_done(run)]

    def task(self, run: Run, weight: float = 1.0) -> Task:
        """Return what is to do with a Run: train it, then ask and attack it, for all its arms."""
        steps: list[Step] = [train]
        for questions in self.questions(run):
            steps += [partial(ask, questions=questions), partial(attack_all, questions=questions)]
        return Task(run, steps, weight)

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
            folders = [self.store.answers(run.id, asked.answers_id) for run in runs]
            paths = [str(folder / "answers.parquet") for folder in folders]
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


def prepare(
    experiment: Experiment,
    storage: Folder | str,
    dataset: Dataset | None = None,
    folder: Folder | None = None,
) -> Work:
    """Return an experiment ready to start; nothing is written but a probe of the storage.

    Args:
        storage: a folder, made if it is not there, or a URI.
        dataset: the experiment's data, if they have been read already.
        folder: of its results; None: `experiments/<name>` of the storage.

    Raises:
        DataMissing: the data cannot be read, or is too small for what is asked.
        StorageError: the storage folder cannot be written.
    """
    at = Store(folder_at(storage))
    at.check_writable()
    try:
        dataset = planted(dataset or experiment.data.load(), experiment)
    except (ValueError, OSError) as error:
        raise DataMissing(f"data: {error}") from None
    if experiment.robustness.on == "test" and not len(dataset.test_labels):
        raise DataMissing("robustness.on: test, but the data has no test images; use non_members")
    num_pool, workers = len(dataset.pool_labels), experiment.fleet.workers_per_run
    share = num_pool // {"pairs": 2, "quarters": 4, "canaries": 1}[experiment.design.name]
    if share < 2 * workers:
        raise DataMissing(
            f"data: a pool of {num_pool} images leaves a model {share} to train on; "
            f"{workers} workers of a Run need {2 * workers}"
        )
    try:
        if experiment.memorization and experiment.memorization.file:
            check_file(experiment.memorization.file, dataset)
        plan = make_plan(experiment, dataset)
    except ValueError as error:  # such as more examples to a batch of DP-SGD than there are members
        raise DataMissing(str(error)) from None
    return Work(experiment, dataset, plan, at, folder or at.experiment(experiment.name))


def stated(experiment: Experiment, dataset: Dataset, plan: Plan, arm: str) -> Guarantee | None:
    """Return the guarantee of the model of which least is promised; None where nothing is stated.

    Models that differ in how many examples they are trained on differ a little in their epsilon.
    """
    network = experiment.arms[arm].network(image_shape(dataset))
    by_size = {len(run.members): run for run in plan.arms[arm]}
    found = []
    for run in by_size.values():
        facts = run.facts(network, run.training.epochs, assumed=experiment.guarantee.assumed)
        guarantee = run.defense.guarantee(facts)
        if guarantee is None:
            return None
        found.append(guarantee)
    worst = max(found, key=lambda g: float("inf") if g.epsilon is None else g.epsilon)
    chosen_on = experiment.selection and experiment.selection.on
    if experiment.arms[arm].checkpoint == "best" and chosen_on == "non_members":
        why = "its best epoch is chosen on its non-members, which tells who they are"
        return worst._replace(epsilon=None, status="none", why=why)
    return worst
