"""From an experiment to its member matrix and its Runs. Nothing here trains or writes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from defenses import Defense
from runner.data import Augment, Dataset
from runner.experiment import Experiment, Training
from runner.ids import digest, seed_of
from runner.models import Model

WEIGHTS_VERSION = 1  # raise it when the same Run would come out with other weights


@dataclass(frozen=True)
class Run:
    """One model to train. Target and shadow are roles that a Run plays later."""

    number: int  # the row of the member matrix
    data_digest: str
    augment: Augment
    model: Model
    defense: Defense
    training: Training  # with its precision resolved
    member: np.ndarray  # (N,) int8: 1 in, 0 out, -1 not judged
    seed: int
    workers: int  # that train it together

    def recipe(self) -> dict[str, Any]:
        """Return exactly what changes the weights, as JSON; never an arm's or experiment's name."""
        return {
            "weights_version": WEIGHTS_VERSION,
            "data": self.data_digest,
            "augment": self.augment.model_dump(mode="json"),
            "model": self.model.model_dump(mode="json"),
            "defense": self.defense.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "member": hashlib.sha256(self.member.tobytes()).hexdigest(),
            "seed": self.seed,
            "workers": self.workers,
        }

    @cached_property
    def id(self) -> str:
        return f"{self.defense.name}-m{self.number:03d}-{digest(self.recipe())}"

    @property
    def members(self) -> np.ndarray:
        """The numbers of the examples it is trained on, (n,) int64."""
        return np.flatnonzero(self.member == 1)


@dataclass(frozen=True)
class Plan:
    """Everything an experiment needs to know before it starts."""

    member: np.ndarray  # (M, N) int8
    null_member: np.ndarray  # (M, N) int8, redrawn from the same design: no model was trained on it
    partner: np.ndarray  # (M,) int64, the model complementary to each
    arms: Mapping[str, tuple[Run, ...]]  # M Runs each

    @property
    def runs(self) -> list[Run]:
        """Each Run once, model by model over all arms, so that progress is even over the arms."""
        rows = zip(*self.arms.values(), strict=True)
        return list({run.id: run for row in rows for run in row}.values())

    @property
    def num_negatives(self) -> int:
        """Non-members of the model that has fewest; 1 / this is the smallest resolvable FPR."""
        return int((self.member == 0).sum(1).min())


def make_plan(experiment: Experiment, dataset: Dataset) -> Plan:
    """Return the plan; it depends on the experiment and the data alone."""
    num_models, num_pool = experiment.design.num_models, len(dataset.pool_labels)
    member = member_matrix(num_models, num_pool, seed_of(experiment.seed, "members"))
    data_digest = dataset.digest()
    precision = {"precision": resolve_precision(experiment)}
    arms = {
        name: tuple(
            Run(
                number=m,
                data_digest=data_digest,
                augment=experiment.data.augment,
                model=arm.model,
                defense=arm.defense,
                training=arm.training.model_copy(
                    update=precision if arm.training.precision == "auto" else None
                ),
                member=member[m],
                seed=seed_of(
                    experiment.seed, "run", m
                ),  # arms share it: they are compared in pairs
                workers=experiment.fleet.workers_per_run,
            )
            for m in range(num_models)
        )
        for name, arm in experiment.arms.items()
    }
    return Plan(
        member=member,
        null_member=member_matrix(num_models, num_pool, seed_of(experiment.seed, "null")),
        partner=np.arange(num_models) ^ 1,
        arms=arms,
    )


def member_matrix(num_models: int, num_pool: int, seed: int) -> np.ndarray:
    """Return the member matrix of the design `pairs`, (M, N) int8.

    Rows 2k and 2k + 1 are complementary halves of the pool, so each example is in exactly half of
    the models. A row depends on the seed and its number alone: more models keep the first ones.
    """
    member = np.zeros((num_models, num_pool), np.int8)
    for k in range(num_models // 2):
        order = np.random.Generator(np.random.Philox(seed_of(seed, k))).permutation(num_pool)
        member[2 * k, order[: num_pool // 2]] = 1
        member[2 * k + 1] = 1 - member[2 * k]
    return member


def resolve_precision(experiment: Experiment) -> str:
    """Return bf16 where the hardware multiplies it natively, else fp32.

    That is on GPUs since Ampere, and on CPUs with AMX or AVX512-BF16.

    Asked where the plan is made. A driver without a GPU takes the GPUs it asks for to be recent;
    a worker whose GPU is not says so and stops.
    """
    if experiment.fleet.num_gpus:
        if not torch.cuda.is_available():
            return "bf16"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return "bf16" if any(getattr(torch.cpu, u, lambda: False)() for u in units) else "fp32"
