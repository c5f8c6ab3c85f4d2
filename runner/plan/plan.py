"""From an experiment to its member matrix and its Runs. Nothing here trains or writes."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from attacks import origin
from defenses import Defense, Facts
from runner.code.deciding import check_same, deciding
from runner.data import Augment, Dataset
from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm
from runner.experiment.training import Design, Selection, Training
from runner.models import ImageShape, Model, image_shape
from runner.norms import GroupNorm
from runner.plan.canaries import coins, num_ordinary, trained_on
from runner.plan.precision import resolve_precision
from runner.plan.shadows import EvenShadows
from runner.storage.ids import digest, generator_of, seed_of

MOST_NAMED = 10  # classes in one sentence
FEW_GROUPS = 50
WEIGHTS_VERSION = 3  # raise it when the same Run would come out with other weights
UNMOVED = 2  # the version of Runs that come out as they did then: `_version`


@dataclass(frozen=True)
class Run:
    """One model to train. Target and shadow are roles that a Run plays later."""

    number: int  # the row of the member matrix
    data_digest: str
    augment: Augment
    model: Model
    defense: Defense
    training: Training  # with its precision resolved
    member: np.ndarray  # (N,) int8: 1 it is trained on, 0 and -1 not
    seed: int
    workers: int  # that train it together
    delta: float  # at which epsilon is logged; moves no weight
    selection: Selection | None = None  # how the best epoch is found
    selected_on: np.ndarray | None = None  # (S,) int64, the examples that it is found on
    code: Mapping[str, str] = field(default_factory=dict)  # that decides it beside the version
    version: int = WEIGHTS_VERSION  # of its weights

    def recipe(self) -> dict[str, Any]:
        """Return exactly what changes the weights, as JSON; never an arm's or experiment's name.

        And whether losses are kept: a Run that kept none would have to be trained anew for them.
        """
        chosen: dict[str, Any] = {"code": {**self.code}} if self.code else {}
        if self.selection is not None and self.selected_on is not None:
            examples = hashlib.sha256(self.selected_on.tobytes()).hexdigest()
            settings = self.selection.model_dump(mode="json")
            chosen["selection"] = {**settings, "examples": examples}
        return {
            "weights_version": self.version,
            "data": self.data_digest,
            "augment": self.augment.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json", exclude=self.model.unsaid),
            "defense": self.defense.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json", exclude=self.training.unsaid),
            "member": hashlib.sha256(self.member.tobytes()).hexdigest(),
            "seed": self.seed,
            "workers": self.workers,
            **chosen,
        }

    @cached_property
    def id(self) -> str:
        return f"{self.defense.name}-m{self.number:03d}-{digest(self.recipe())}"

    def check_code(self) -> None:
        """Refuse to train it with other source or files than it was planned with.

        Raises:
            OtherCode: something was changed since, or is not the same on this machine.
        """
        check_same(self.code, weights_code(self.defense, self.model, self.selection))

    @property
    def members(self) -> np.ndarray:
        """The numbers of the examples it is trained on, (n,) int64."""
        return np.flatnonzero(self.member == 1)

    def facts(self, network: nn.Module, epochs: int, **rest: Any) -> Facts:
        """Return what a guarantee after so many epochs depends on; `rest` are other Facts."""
        return Facts(
            network,
            num_members=len(self.members),
            batch_size=self.training.batch_size,
            epochs=epochs,
            delta=self.delta,
            **rest,
        )


@dataclass(frozen=True)
class Plan:
    """Everything an experiment needs to know before it starts."""

    member: np.ndarray  # (M, N) int8, who is judged: 1 in, 0 out, -1 not judged
    null_member: np.ndarray  # (M, N) int8, redrawn from the same design: no model was trained on it
    partner: np.ndarray  # (M,) int64, the other model of each one's pair, or the model itself
    shadows: tuple[np.ndarray, ...]  # of each model as target, the models that its attacker has
    arms: Mapping[str, tuple[Run, ...]]  # M Runs each
    even: EvenShadows | None = None  # how many shadows each target keeps; None: all
    groups: np.ndarray | None = None  # (N,) int64, of examples that go in or out together

    @property
    def matrices(self) -> dict[str, np.ndarray]:
        """The member matrices (M, N) that scores are made under, by name."""
        return {"member": self.member, "null": self.null_member}

    @property
    def runs(self) -> list[Run]:
        """Each Run once, model by model over all arms, so that progress is even over the arms."""
        rows = zip(*self.arms.values(), strict=True)
        return list({run.id: run for row in rows for run in row}.values())

    @property
    def num_negatives(self) -> int:
        """Non-members of the model that has fewest; 1 / this is the smallest resolvable FPR."""
        return int((self.member == 0).sum(1).min())


def weights_code(defense: Defense, model: Model, selection: Selection | None) -> Mapping[str, str]:
    """Return which source and files decide weights beside WEIGHTS_VERSION, as they are here."""
    return deciding("weights", {"defense": defense, "model": model, "selection": selection})


def make_plan(experiment: Experiment, dataset: Dataset) -> Plan:
    """Return the plan; it depends on the experiment and the data alone.

    Raises:
        ValueError: a defense cannot be had with its arm's training, or data and design do not fit.
    """
    design, num_pool = experiment.design, len(dataset.pool_labels)
    first = num_ordinary(design.canaries, num_pool)
    groups = dataset.groups
    check_groups(design, groups)
    ordinary, held_out = _held_out(experiment, first, groups)
    judged = np.arange(first, first + design.canaries.num) if design.canaries else ordinary
    member = member_matrix(design, num_pool, seed_of(experiment.seed, "members"), judged, groups)
    null_member = member_matrix(design, num_pool, seed_of(experiment.seed, "null"), judged, groups)
    trained = trained_on(member, design.canaries, ordinary) if design.canaries else member
    data_digest = dataset.digest()
    code = {
        name: weights_code(arm.defense, arm.model, experiment.selection)
        for name, arm in experiment.arms.items()
    }
    shape = image_shape(dataset)
    versions, precisions = dict[str, int](), dict[str, str]()
    for name, arm in experiment.arms.items():
        network = _network(arm, shape)
        versions[name] = _version(arm, network)
        precisions[name] = resolve_precision(experiment, arm, network, shape)
    arms = {
        name: tuple(
            Run(
                number=m,
                data_digest=data_digest,
                augment=experiment.data.augment,
                model=arm.model,
                defense=_resolved(name, arm, int((row == 1).sum())),
                training=arm.training.model_copy(update={"precision": precisions[name]}),
                member=row,
                # Arms share seeds: they are compared in pairs.
                seed=seed_of(experiment.seed, "run", m),
                workers=experiment.fleet.workers_per_run,
                delta=experiment.guarantee.delta,
                selection=experiment.selection,
                selected_on=_selected_on(experiment.selection, row, held_out),
                code=code[name],
                version=versions[name],
            )
            for m, row in enumerate(trained)
        )
        for name, arm in experiment.arms.items()
    }
    models = np.arange(design.num_models)
    partner = models if design.canaries else models ^ 1
    alone = design.name == "quarters"  # a target's only shadow is the other model of its pair
    shadows = tuple(partner[[m]] for m in models) if alone else others_of(partner)
    return Plan(member, null_member, partner, shadows, arms, groups=groups)


def _network(arm: Arm, shape: ImageShape) -> nn.Module | None:
    """The network as it is trained; None where it cannot be built, of which the rehearsal tells.

    None for a defense that takes each example's gradient by itself, too: what is asked of it is
    settled by that.
    """
    if arm.defense.per_example_steps:
        return None
    try:
        return arm.network(shape)
    except (Exception, SystemExit) as error:
        if origin.leaves(error):
            raise
        return None


def _version(arm: Arm, network: nn.Module | None) -> int:
    """The version of an arm's weights: version 3 moved GroupNorm and DP-SGD alone, by last bits."""
    if arm.defense.per_example_steps or network is None:
        return WEIGHTS_VERSION
    moved = any(isinstance(module, GroupNorm) for module in network.modules())
    return WEIGHTS_VERSION if moved else min(UNMOVED, WEIGHTS_VERSION)


def _resolved(name: str, arm: Arm, num_members: int) -> Defense:
    """The defense of a Run with so many members, whose training comes to all its milestones."""
    training, at = arm.training, f"arms.{name}"
    shortest = min(arm.defense.phases(training.epochs), default=training.epochs)
    last = shortest - 1 / max(1, math.ceil(num_members / training.batch_size))
    if late := [m for m in training.schedule.milestones if m > last]:
        raise ValueError(
            f"{at}.training.schedule.milestones: {late[0]:g} is behind the last step, which begins "
            f"{last:g} epochs in, so lr is never multiplied there; leave it out, or train longer"
        )
    try:
        return arm.defense.resolved(num_members, training.batch_size, training.epochs)
    except ValueError as error:
        if origin.lines(error):  # a user's own
            raise
        raise ValueError(f"{at}: {error}") from None


def untrained(plan: Plan, dataset: Dataset) -> list[str]:
    """Return a sentence on the classes of the pool of which a model is trained on no example.

    Arms share their splits, so it is said of the models of one.
    """
    there = np.unique(dataset.pool_labels)
    missing: dict[int, int] = {}
    runs = next(iter(plan.arms.values()), ())
    for run in runs:
        for label in np.setdiff1d(there, dataset.pool_labels[run.members]).tolist():
            missing[label] = missing.get(label, 0) + 1
    if not missing:
        return []
    told = [f"class {k} in {n}" for k, n in sorted(missing.items())[:MOST_NAMED]]
    more = ", ..." if len(missing) > MOST_NAMED else ""
    return [
        f"of {len(runs)} models of an arm some are trained on no example of a class, and cannot "
        f"know it: {', '.join(told)}{more}. Give these classes more examples, or leave them out "
        "by data.classes"
    ]


def others_of(partner: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return of each model as target all others but its partner, as its attacker's shadows.

    From the target on, so that attackers with few shadows do not all have the same ones.

    Args:
        partner: (M,) int, the other model of each one's pair, or the model itself.
    """
    models = np.arange(len(partner))
    others = [np.roll(models, -m)[1:] for m in models]
    return tuple(others[m][others[m] != partner[m]] for m in models)


def member_matrix(
    design: Design,
    num_pool: int,
    seed: int,
    judged: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Return the member matrix of a design, (M, N) int8: 1 in, 0 out, -1 not judged.

    pairs: rows 2k and 2k + 1 are complementary halves of the pool, so each example is in exactly
    half of the models. quarters: row 2k is judged on one half of the pool and row 2k + 1 on the
    other, and each is trained on half of its half; up to three examples are left over. canaries:
    each of them is in each model by a coin.

    A row depends on the seed and its number alone: more models keep the first ones.

    Args:
        judged: (n,) int64, the examples that are drawn so; the others are -1 in every row.
            None: all.
        groups: (N,) int64, of examples that are in the same part; parts are then as near to
            their size as whole groups come. None: each is drawn by itself.
    """
    judged = np.arange(num_pool) if judged is None else judged
    if design.name == "canaries":
        return coins(design.num_models, num_pool, judged, seed)
    member = np.full((design.num_models, num_pool), -1, np.int8)
    for k in range(design.num_models // 2):
        generator = generator_of(seed, k)
        first, second = member[2 * k], member[2 * k + 1]
        if groups is not None:
            parts = parts_of_groups(groups[judged], 2 if design.name == "pairs" else 4, generator)
            inside = [judged[part] for part in parts]
            if design.name == "pairs":
                inside = [inside[0], inside[1], inside[1], inside[0]]
            first[inside[0]], first[inside[1]] = 1, 0
            second[inside[2]], second[inside[3]] = 1, 0
            continue
        order = judged[generator.permutation(len(judged))]
        if design.name == "pairs":
            half = len(order) // 2
            first[order[:half]], first[order[half:]] = 1, 0
            second[order[:half]], second[order[half:]] = 0, 1
        else:
            quarters = order[: len(order) // 4 * 4].reshape(4, -1)
            first[quarters[0]], first[quarters[1]] = 1, 0
            second[quarters[2]], second[quarters[3]] = 1, 0
    return member


def parts_of_groups(
    groups: np.ndarray, number: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Return the places of examples in so many parts, of whole groups in a random order.

    Args:
        groups: (n,) int, the group of each example.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator.permutation(len(sizes))
    ends = sizes[order].cumsum()
    shares = len(groups) * np.arange(1, number) / number
    cuts = np.abs(ends[:, None] - shares).argmin(axis=0)  # the last group of each part but one
    part = np.empty(len(sizes), np.int64)
    part[order] = np.searchsorted(cuts, np.arange(len(sizes)))
    return [np.flatnonzero(part[group] == each) for each in range(number)]


def check_groups(design: Design, groups: np.ndarray | None) -> None:
    """Refuse a group that is too large for the parts of a design."""
    if groups is None:
        return
    largest, share = int(np.bincount(groups).max()), 4 if design.name == "pairs" else 8
    if largest > len(groups) // share:
        raise ValueError(
            f"data.group: one group has {largest} of {len(groups)} examples, and whole groups are "
            f"members: no more than 1 in {share} may be of one; leave some of it out, or leave "
            "data.group out"
        )


def group_notes(groups: np.ndarray | None) -> list[str]:
    """Return a sentence on groups for a reader of figures; none where examples stand alone."""
    if groups is None:
        return []
    sizes = np.bincount(groups)
    each = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
    told = f"{len(sizes)} groups of {each} examples are members as a whole, and intervals over them"
    if len(sizes) < FEW_GROUPS:
        told += f"; of fewer than {FEW_GROUPS} groups intervals are rough"
    return [told]


def _held_out(
    experiment: Experiment, num_pool: int, groups: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The examples of the pool that models are trained on, and those that choose checkpoints.

    Others of a group that chooses are neither.
    """
    selection = experiment.selection
    if selection is None or selection.on != "held_out":
        return np.arange(num_pool), np.arange(0)
    if selection.num_examples > num_pool // 2:
        raise ValueError(
            f"selection.num_examples: {selection.num_examples} of a pool of {num_pool} images; "
            "hold out no more than half"
        )
    generator = generator_of(experiment.seed, "selection")
    if groups is not None:
        ranks = generator.permutation(groups.max() + 1)[groups]
        chosen = np.sort(np.argsort(ranks, kind="stable")[: selection.num_examples])
        return np.flatnonzero(~np.isin(groups, groups[chosen])), chosen
    order = generator.permutation(num_pool)
    return np.sort(order[selection.num_examples :]), np.sort(order[: selection.num_examples])


def _selected_on(
    selection: Selection | None, row: np.ndarray, held_out: np.ndarray
) -> np.ndarray | None:
    """The examples on which a Run's best epoch is found."""
    if selection is None:
        return None
    if selection.on == "held_out":
        return held_out
    return np.flatnonzero(row == 0)[: selection.num_examples]
