"""What is audited of models trained elsewhere, once it has been read."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from runner.experiment.judging import AuditSettings
from runner.foreign.answered import Kind
from runner.foreign.choosing import Attacks, check_names, chosen
from runner.foreign.converting import Converted, converted_code
from runner.foreign.members import partners, redrawn
from runner.foreign.schema import Audit
from runner.plan.plan import Plan, others_of
from runner.plan.shadows import even_shadows
from runner.plan.subject import scores_code, scores_in
from runner.statistics.averages import Averaging
from runner.storage.answers import Source, Sources, read_answers
from runner.storage.cloud import Folder
from runner.storage.sources import Ids


class GivenWork(NamedTuple):
    """An audit with everything that follows from its answers: a `runner.plan.subject.Subject`."""

    audit: Audit  # with its attacks
    plan: Plan
    converted: Mapping[str, Sequence[Converted]]  # by arm, in the order of the models
    notes: tuple[str, ...]  # on the answers and the attacks
    folder: Folder
    names: Ids = {}  # of the examples, columns (N,)

    @property
    def first(self) -> Converted:
        """The answers of one model; all are of its kind."""
        return next(iter(self.converted.values()))[0]

    @property
    def settings(self) -> AuditSettings:
        """How its answers are judged."""
        return AuditSettings.of(self.audit)

    @property
    def labels(self) -> np.ndarray:
        """Of all examples, (N,) int32."""
        return read_answers(self.first.path, "label")

    @property
    def ids(self) -> Ids:
        """What each example is called where it comes from; without names, its row in the files."""
        return self.names or {"source_row": np.arange(self.plan.member.shape[1])}

    @property
    def over(self) -> Averaging:
        """How its figures are averaged over models."""
        return self.settings.over(self.plan.partner)

    @property
    def sources(self) -> Sources:
        """The files of converted answers, of one draw each."""
        return {Source(arm, 1): [one.path for one in of] for arm, of in self.converted.items()}

    @property
    def code(self) -> Mapping[str, Mapping[str, str]]:
        """By what it decides, which source and files do beside the versions: digests by name."""
        return {"converted": converted_code(), "scores": scores_code(self.settings)}

    @property
    def scores(self) -> Folder:
        """The scores of exactly these answers, attacks and matrices."""
        answers = {
            "answers": {arm: [one.folder.name for one in of] for arm, of in self.converted.items()},
            "members": [_sum(matrix) for matrix in self.plan.matrices.values()],
        }
        if even := self.plan.even:
            sizes = [_sum(each) for each in (even.inside, even.outside)]
            answers["shadows"] = {"seed": even.seed, "sizes": sizes}
        return scores_in(self.folder, self.settings, answers)


def given_of(
    audit: Audit,
    member: np.ndarray,
    converted: Mapping[str, Sequence[Converted]],
    folder: Folder,
    notes: Sequence[str] = (),
) -> GivenWork:
    """Return what is audited: which attacks are made, and which models are shadows of which.

    Args:
        member: (M, N) int8.
        converted: by arm, in the order of the rows.
        folder: of its results.
        notes: what else a reader of the figures must know.

    Raises:
        BadAnswers: an attack, an arm or a view is asked for that is not there.
    """
    partner = partners(member)
    every = [one for of_arm in converted.values() for one in of_arm]
    attacks, left_out = attacks_of(audit, member, every[0].kind, converted)
    membership = audit.membership.model_copy(update={"attacks": attacks})
    null, arms = redrawn(member, audit.seed), dict.fromkeys(converted, ())
    even = even_shadows(member, partner, audit.seed)
    uneven = [_with_uneven(member)] if even and audit.shadows == "all" else []
    even = None if uneven else even
    plan = Plan(member, null, partner, others_of(partner), arms, even)
    of_design = (even.told(member), *_with_all(attacks)) if even else uneven
    of_files = {
        f"{arm}: {note}": None for arm, of in converted.items() for c in of for note in c.notes
    }
    settled = audit.model_copy(update={"membership": membership})
    told = (*notes, *of_design, *of_files, *left_out)
    return GivenWork(settled, plan, converted, told, folder)


def _with_uneven(member: np.ndarray) -> str:
    """A sentence on shadows whose numbers tell the target's members."""
    counts = np.unique((member == 1).sum(axis=0)[(member >= 0).any(axis=0)])
    of = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"an example is in {of} of {len(member)} models, so the number of shadows that hold it "
        "tells whether the target does, and shifts what hangs on it: all shadows are compared, "
        "as other tools do; `shadows: even` keeps as many of a kind for every target"
    )


def _with_all(attacks: Attacks) -> list[str]:
    """A sentence on each attack that compares shadows and cannot be given other than all."""
    every = {name: attack.needs() for name, attack in attacks.items() if not attack.shadows_apart}
    return [
        f"{name} is given all shadows: where it does not even their numbers itself, as "
        "lira-carlini-code does, read its null control first"
        for name, needs in every.items()
        if needs.inside or needs.outside
    ]


def attacks_of(
    audit: Audit,
    member: np.ndarray,
    kind: Kind,
    arms: Collection[str],
    labels: np.ndarray | None = None,
) -> tuple[Attacks, list[str]]:
    """Return the attacks, and a sentence on each usual one that is left out.

    Args:
        labels: (N,) int; None where it has been looked at that every class has its shadows.

    Raises:
        BadAnswers: an attack, an arm or a view is asked for that is not there.
    """
    attacks, left_out = chosen(audit, kind, member, partners(member), labels)
    check_names(audit, attacks, arms)
    return attacks, left_out


def _sum(matrix: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()
