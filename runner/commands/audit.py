"""The command that judges what was trained elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from runner.commands.common import Overrides, Storage, show, storage_at
from runner.driver.exits import Output, complaints


def audit_answers(
    answers: Annotated[
        str | None, typer.Option(help="folder or URI with a .parquet or .npz file a model")
    ] = None,
    member: Annotated[
        str | None,
        typer.Option(help="file of M rows, N columns: 1 trained on it, 0 not, -1 not judged"),
    ] = None,
    tree: Annotated[
        str | None,
        typer.Option("--from", help="folder that another tool wrote, in place of --answers"),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="of a tree that has none: file of N classes, from 0 on")
    ] = None,
    judged: Annotated[
        str | None, typer.Option(help="of a tree: file of the examples that are judged")
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--as", help="of a tree that can be read in several ways: which")
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="of a tree: read answers at this part of their place alone")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="judge a tree even though facts speak against it")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="of a tree: say what was understood, and stop")
    ] = False,
    name: Annotated[str | None, typer.Option(help="what the audit's folder is called")] = None,
    config_path: Annotated[
        Path | None, typer.Option("--config", help="YAML of the audit; docs/foreign_answers.md")
    ] = None,
    overrides: Overrides = None,
    storage: Storage = None,
    shadow_recipe: Annotated[
        str | None,
        typer.Option(help='whether models were trained alike: "same", or "differs: how"'),
    ] = None,
    in_ray: Annotated[
        bool, typer.Option("--ray/--no-ray", help="start Ray, or stay in this process")
    ] = True,
) -> None:
    """Audit models that were trained elsewhere, from their answers and who was trained on what."""
    with complaints():
        from runner.foreign.schema import read_audit

        console, told = Output(), {"name": name, "shadow_recipe": shadow_recipe}
        asked = read_audit(config_path, overrides or [], told)
        of_tree = (labels, judged, layout, only, unverified, dry_run)
        given = _given(answers, member, tree, any(of_tree))
        from runner.foreign.stage import audit_given, audit_tree
        from runner.foreign.trees.understood import Options

        at = storage_at(storage)
        if given is not None:
            found = audit_given(*given, asked, at, in_ray, console)
        else:
            options = Options(labels, member, judged, layout, only, unverified)
            found = audit_tree(tree or "", options, asked, at, in_ray, console, dry_run)
        if found is not None:
            show(*found, console)


def _given(
    answers: str | None, member: str | None, tree: str | None, of_tree: bool
) -> tuple[str, str] | None:
    """The answers and the matrix, or None of a tree; refused unless it is one of the two."""
    from runner.faults import BadAnswers

    way_out = "give --answers DIR and --member FILE, or --from TREE; docs/foreign_answers.md"
    if (answers is None) == (tree is None):
        why = "neither --answers nor --from" if tree is None else "--answers and --from are both"
        raise BadAnswers("runner audit", f"{why} given", way_out)
    if answers is None:
        return None
    if member is None:
        raise BadAnswers("--answers", "no --member is given", way_out)
    if of_tree:
        why = "--labels, --judged, --as, --only, --unverified and --dry-run are of --from"
        raise BadAnswers("--answers", why, way_out)
    return answers, member
