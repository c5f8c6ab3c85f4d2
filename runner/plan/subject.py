"""What an audit is of: an experiment's models, or models that were trained elsewhere."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from runner.code.deciding import deciding
from runner.data import Ids
from runner.experiment.judging import AuditSettings
from runner.plan.plan import Plan
from runner.statistics.averages import Averaging
from runner.storage import store
from runner.storage.answers import Sources
from runner.storage.cloud import Folder
from runner.storage.ids import digest

SCORES_VERSION = 1  # raise it when the same answers would be scored otherwise


class Subject(Protocol):
    """The readers that `Work` and an audit of given answers have in common.

    Whoever scores, judges or tells what was found asks for no more than this, so that it is the
    same for both.
    """

    @property
    def settings(self) -> AuditSettings:
        """How its answers are judged."""
        ...

    @property
    def plan(self) -> Plan:
        """Who is a member of which model, which models are pairs, and the names of the arms."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """Of the pool, (N,) int."""
        ...

    @property
    def ids(self) -> Ids:
        """What each example of the pool is called where it comes from, columns (N,)."""
        ...

    @property
    def sources(self) -> Sources:
        """The files of answers; a randomized arm's are read in two ways."""
        ...

    @property
    def folder(self) -> Folder:
        """Of its own results."""
        ...

    @property
    def code(self) -> Mapping[str, Mapping[str, str]]:
        """By what it decides, which source and files do beside the versions: digests by name."""
        ...

    @property
    def scores(self) -> Folder:
        """The scores of exactly these answers, attacks and matrices."""
        ...

    @property
    def over(self) -> Averaging:
        """How its figures are averaged over models."""
        ...


def scores_code(settings: AuditSettings) -> Mapping[str, str]:
    """Return which source and files decide scores beside SCORES_VERSION, as they are here."""
    return deciding("scores", settings.membership.attacks)


def scores_in(folder: Folder, settings: AuditSettings, answers: Mapping[str, Any]) -> Folder:
    """Return the folder of a subject's scores.

    Args:
        folder: of its own results.
        answers: what tells these answers, models and matrices from others, as JSON.
    """
    attacks = {k: a.model_dump(mode="json") for k, a in settings.membership.attacks.items()}
    judged = {"scores_version": SCORES_VERSION, "attacks": attacks, "seed": settings.seed}
    if code := scores_code(settings):
        judged["code"] = code
    return store.scores_at(folder, digest({**answers, **judged}))
