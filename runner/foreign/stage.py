"""Read, convert, score, judge, report: an audit of given answers from end to end."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from runner.audit.judge import Judging, judge, judging_of
from runner.audit.vulnerable import examples_file, find_vulnerable
from runner.driver.driver import Driver
from runner.driver.progress import say
from runner.driver.repair import at_work, until_sound
from runner.faults import BadAnswers
from runner.foreign.choosing import check_names, chosen
from runner.foreign.converting import Converted, convert_all
from runner.foreign.listing import listed, locate
from runner.foreign.members import check_member, partners, read_member, redrawn
from runner.foreign.results import gather
from runner.foreign.schema import Audit
from runner.plan.plan import Plan
from runner.plan.work import SCORES_VERSION
from runner.storage import store
from runner.storage.answers import Source, Sources, read_answers
from runner.storage.cloud import Folder, folder_at
from runner.storage.ids import digest
from runner.storage.store import Corrupt, Store


class Given(NamedTuple):
    """What is audited, once it has been read."""

    audit: Audit  # with its attacks
    plan: Plan
    converted: Mapping[str, Sequence[Converted]]  # by arm, in the order of the models
    notes: tuple[str, ...]  # on the answers and the attacks
    folder: Folder

    @property
    def sources(self) -> Sources:
        return {Source(arm, 1): [one.path for one in of] for arm, of in self.converted.items()}

    @property
    def scores(self) -> Folder:
        """The scores of exactly these answers, attacks and matrices."""
        facts = {
            "scores_version": SCORES_VERSION,
            "answers": {arm: [one.folder.name for one in of] for arm, of in self.converted.items()},
            "members": [_sum(self.plan.member), _sum(self.plan.null_member)],
            "attacks": self.audit.model_dump(mode="json")["membership"]["attacks"],
            "seed": self.audit.seed,
        }
        return self.folder / "scores" / digest(facts)

    @property
    def judging(self) -> Judging:
        """What is asked of the scores, as of an experiment's."""
        return judging_of(self.audit, self.plan, self.sources, self.scores)


def audit_given(
    answers: str,
    member: str,
    audit: Audit,
    storage: Folder | str,
    in_ray: bool,
    console: Console,
) -> tuple[dict[str, Any], Folder]:
    """Audit answers of models trained elsewhere; return the results, and the folder of the report.

    Args:
        answers: a folder or URI of answers, as docs/foreign_answers.md has them.
        member: the file of the member matrix.
        storage: where everything is kept.
        in_ray: over the cluster, which is joined only if there is something to score.

    Raises:
        BadAnswers: what was given cannot be audited.
        StorageError: the storage cannot be used, or another audit of this name is at work.
        Unfinished: the storage failed; everything finished is kept.
    """
    matrix, files = read_member(member), listed(answers, member)
    check_member(matrix, len(next(iter(files.values()))), locate(member).told)
    at = Store(folder_at(storage))
    at.check_writable()
    folder = at.audit(audit.name)
    with at_work(at, folder, console) as driving:

        def attempt() -> dict[str, Any]:
            driving.enter("reading")
            converted = convert_all(files, matrix.shape[1], folder / "answers", driving.tell)
            return _audited(_given(audit, matrix, converted, folder), in_ray, console, driving)

        return until_sound(attempt, at, driving.tell), folder


def _given(
    audit: Audit, matrix: np.ndarray, converted: Mapping[str, Sequence[Converted]], folder: Folder
) -> Given:
    partner = partners(matrix)
    every = [one for of_arm in converted.values() for one in of_arm]
    attacks, left_out = chosen(audit, every[0].kind, matrix, partner)
    check_names(audit, attacks, converted)
    membership = audit.membership.model_copy(update={"attacks": attacks})
    models = np.arange(len(matrix))
    others = [np.roll(models, -m)[1:] for m in models]
    shadows = tuple(others[m][others[m] != partner[m]] for m in models)
    arms = dict.fromkeys(converted, ())
    plan = Plan(matrix, redrawn(matrix, audit.seed), partner, shadows, arms)
    notes = {
        f"{arm}: {note}": None for arm, of in converted.items() for c in of for note in c.notes
    }
    settled = audit.model_copy(update={"membership": membership})
    return Given(settled, plan, converted, (*notes, *left_out), folder)


def _audited(given: Given, in_ray: bool, console: Console, driving: Driver) -> dict[str, Any]:
    from runner.report import write_report  # matplotlib: only who draws waits for it

    driving.enter("audit")
    missing = store.facts(given.scores) is None
    if missing:
        say(console, "audit: membership scores of every model as target")
        if in_ray:
            from runner.cluster import connect

            connect.connect()
        _score(given, in_ray)
    in_ray = in_ray and missing  # else nobody has joined a cluster
    judged = judge(given.judging, in_ray)
    at_risk, examples = _vulnerable(given, in_ray)
    driving.enter("report")
    told = given.notes, at_risk, driving.events
    results = gather(given.audit, given.plan, given.converted, judged, *told)
    store.write_json(given.folder / "results.json", results)
    write_report(results, given.folder / "report", examples=examples)
    return results


def _vulnerable(given: Given, in_ray: bool) -> tuple[dict[str, Any], dict[str, bytes | None]]:
    """The examples at risk of each arm, and a file of all; of log-odds alone nobody can say."""
    first = next(iter(given.converted.values()))[0]
    if "logits" not in first.kind.columns:
        return dict.fromkeys(given.converted), {}
    labels = read_answers(first.path, "label")
    asked = (given.audit, labels, given.plan, given.sources, given.scores)
    found = find_vulnerable(*asked, in_ray)
    return found.figures, examples_file(labels, found.examples)


def _score(given: Given, in_ray: bool) -> None:
    from runner.audit.scores import audit

    plan, attacks = given.plan, given.audit.membership.attacks
    members = {"member": plan.member, "null": plan.null_member}
    try:
        files = audit(
            given.sources,
            members,
            plan.partner,
            plan.shadows,
            attacks,
            given.scores,
            given.audit.seed,
            in_ray,
        )
    except Corrupt:
        raise
    except ValueError as error:
        raise BadAnswers("audit", str(error), "or leave that attack out") from error
    store.finish(given.scores, files, {})


def _sum(matrix: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()
