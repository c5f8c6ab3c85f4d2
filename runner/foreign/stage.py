"""Read, convert, score, judge, report: an audit of given answers from end to end."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from runner.audit.judge import judge, judging_of
from runner.audit.scores import Unscored, write_scores
from runner.audit.vulnerable import examples_file, find_vulnerable
from runner.driver.driver import Driver
from runner.driver.progress import say
from runner.driver.repair import at_work, until_sound
from runner.faults import BadAnswers
from runner.foreign.choosing import needs_of
from runner.foreign.converting import convert_all
from runner.foreign.given import GivenWork, attacks_of, given_of
from runner.foreign.listing import Given, as_models, listed, locate
from runner.foreign.looking import UNSURE, look_over
from runner.foreign.members import check_member, nearly_partners, read_member, with_counterparts
from runner.foreign.names import read_names
from runner.foreign.results import gather_given
from runner.foreign.scarce import without_scarce
from runner.foreign.schema import Audit
from runner.foreign.trees.understanding import understand
from runner.foreign.trees.understood import Options
from runner.storage import hashed_ids, store
from runner.storage.cloud import Folder, folder_at
from runner.storage.sources import Ids
from runner.storage.store import Store


class _Question(NamedTuple):
    """Who answered, and who was trained on what."""

    files: Mapping[str, Sequence[Given]]
    member: np.ndarray  # (M, N) int8
    notes: tuple[str, ...]  # what a reader of the figures must know
    names: Ids  # of the examples


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
    files, told = listed(answers, member), locate(member).told
    every = None
    if len(files) > 1 and all(len(of_arm) == 1 for of_arm in files.values()):
        every = read_member(member, [list(files)])
        if len(every) == len(files):  # a folder a model
            files = as_models(files, answers)
        else:
            every = None
    names = [[given.name for given in of_arm] for of_arm in files.values()]
    every = read_member(member, names) if every is None else every
    check_member(every, len(names[0]), told)
    matrix, alone = with_counterparts(every, told)
    check_member(matrix, len(names[0]), told)
    return _audit(_Question(files, matrix, tuple(alone), {}), audit, storage, in_ray, console)


def audit_tree(
    tree: str,
    options: Options,
    audit: Audit,
    storage: Folder | str,
    in_ray: bool,
    console: Console,
    dry_run: bool = False,
) -> tuple[dict[str, Any], Folder] | None:
    """Audit what another tool wrote, as it lies; return what `audit_given` does.

    Args:
        tree: a local folder, or a file.
        options: what was said beside it.
        dry_run: say what was understood, and return None.

    Raises:
        BadAnswers, StorageError, Unfinished: as there.
    """
    asked = understand(tree, options)
    for line in asked.lines:
        say(console, line)
    num_models, alone = len(asked.member), []
    check_member(asked.member, num_models, tree)
    matrix, alone = with_counterparts(asked.member, tree, by_chance=True)
    check_member(matrix, num_models, tree)
    if dry_run:
        for line in alone:
            say(console, line)
        return None
    if audit.shadows is None:
        audit = audit.model_copy(update={"shadows": "all" if audit.asked else "even"})
    come = "\n".join(["Where answers come from:", *asked.lines])
    audit = audit.model_copy(update={"description": f"{audit.description}\n{come}".strip()})
    question = _Question(asked.files, matrix, (*asked.doubts, *alone), asked.ids)
    return _audit(question, audit, storage, in_ray, console)


def _audit(
    question: _Question, audit: Audit, storage: Folder | str, in_ray: bool, console: Console
) -> tuple[dict[str, Any], Folder]:
    """Look at all answers, then convert, score and judge them, and write the report."""
    files, matrix = question.files, question.member
    at = Store(folder_at(storage))
    at.check_usable()
    folder = at.audit(audit.name)
    looked = look_over(files, matrix, folder / "answers", partial(say, console))
    called = question.names or read_names(files, matrix.shape[1])
    matrix, scarce = without_scarce(matrix, needs_of(audit, looked.kind))
    attacks_of(audit, matrix, looked.kind, files, looked.labels)
    unsure = [order for order in looked.orders if UNSURE in order]
    for order in looked.orders:
        if order not in unsure:
            say(console, order)
    at.check_writable()
    with at_work(at, folder, console) as driving:

        def attempt() -> dict[str, Any]:
            driving.enter("reading")
            converted = convert_all(
                files, matrix.shape[1], folder / "answers", driving.tell, driving.count_models
            )
            notes = *question.notes, *scarce, *nearly_partners(matrix), *unsure, *looked.notes
            given = given_of(audit, matrix, converted, folder, notes)._replace(names=called)
            return _audited(given, in_ray, console, driving)

        return until_sound(attempt, at, driving.tell), folder


def _audited(given: GivenWork, in_ray: bool, console: Console, driving: Driver) -> dict[str, Any]:
    from runner.report import write_report  # matplotlib: only who draws waits for it

    driving.enter("audit")
    missing = store.facts(given.scores) is None
    if missing:
        say(console, "audit: membership scores of every model as target")
        if in_ray:
            from runner.cluster import connect

            connect.connect()
    in_ray = in_ray and missing  # else nobody has joined a cluster
    try:
        write_scores(given, in_ray)
    except Unscored as error:
        raise BadAnswers("audit", str(error), "or leave that attack out") from error
    judged = judge(judging_of(given), in_ray)
    at_risk, examples = _vulnerable(given, in_ray)
    driving.enter("report")
    results = gather_given(given, judged, at_risk, driving.events)
    store.write_json(given.folder / store.RESULTS, results)
    write_report(results, given.folder / store.REPORT, examples=examples)
    return results


def _vulnerable(given: GivenWork, in_ray: bool) -> tuple[dict[str, Any], dict[str, bytes | None]]:
    """The examples at risk of each arm, and a file of all; of log-odds alone nobody can say."""
    if "logits" not in given.first.kind.columns:
        return dict.fromkeys(given.converted), {}
    found = find_vulnerable(given, in_ray)
    figures, names = found.figures, None
    if given.audit.report.ids == "hashed":
        names = hashed_ids.hashes(hashed_ids.key_of(given.folder), len(given.labels))
        figures = hashed_ids.renamed(figures, names)
    return figures, examples_file(given.labels, found.examples, given.ids, names)
