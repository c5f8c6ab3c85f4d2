"""Read, convert, score, judge, report: an audit of given answers from end to end."""

from functools import partial
from typing import Any

from rich.console import Console

from runner.audit.judge import judge, judging_of
from runner.audit.scores import Unscored, write_scores
from runner.audit.vulnerable import examples_file, find_vulnerable
from runner.driver.driver import Driver
from runner.driver.progress import say
from runner.driver.repair import at_work, until_sound
from runner.faults import BadAnswers
from runner.foreign.converting import convert_all
from runner.foreign.given import GivenWork, attacks_of, given_of
from runner.foreign.listing import listed, locate
from runner.foreign.looking import UNSURE, look_over
from runner.foreign.members import check_member, nearly_partners, read_member, with_counterparts
from runner.foreign.names import read_names
from runner.foreign.results import gather_given
from runner.foreign.schema import Audit
from runner.storage import store
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import Store


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
    names = [[given.name for given in of_arm] for of_arm in files.values()]
    every = read_member(member, names)
    check_member(every, len(names[0]), told)
    matrix, alone = with_counterparts(every, told)
    check_member(matrix, len(names[0]), told)
    at = Store(folder_at(storage))
    at.check_usable()
    folder = at.audit(audit.name)
    looked = look_over(files, matrix, folder / "answers", partial(say, console))
    called = read_names(files, matrix.shape[1])
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
            notes = *alone, *nearly_partners(matrix), *unsure, *looked.notes
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
    return found.figures, examples_file(given.labels, found.examples, given.ids)
