"""The command that writes pages again."""

from typing import Annotated

import typer

from runner.commands.common import Overrides, Storage, read, storage_at
from runner.driver.exits import complaints
from runner.experiment import config
from runner.storage.cloud import Folder
from runner.storage.store import page_at


def report(
    config_path: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="a YAML file or a shipped name; with --public or --pdf also a name, or path",
        ),
    ],
    overrides: Overrides = None,
    storage: Storage = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="a page for outsiders, of what results.json has: by arm and class alone",
        ),
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="also print it, in short, to report.pdf: by Chromium")
    ] = False,
) -> None:
    """Write the report again from what a finished run left; needs no Ray and trains nothing."""
    with complaints():
        from runner.report.pdf import find_browser, write_pdf

        browser = find_browser() if pdf else None
        if public:
            folder = _public(config_path, overrides, storage)
            if browser:
                print(f"in short: {write_pdf(folder, browser)}")
            return
        if browser and not _is_config(config_path):
            from runner.driver.named import report_of
            from runner.faults import UserFault

            if overrides:
                raise UserFault(
                    "report NAME --pdf: --set changes no page that is there; leave it out"
                )
            print(f"in short: {write_pdf(report_of(config_path, storage_at(storage)), browser)}")
            return
        experiment = read(config_path, overrides)[1]
        from runner import pipeline
        from runner.plan.work import prepare
        from runner.storage import store

        work = prepare(experiment, storage_at(storage))
        pipeline.report(work, {"trained": 0, "reused": len(work.plan.runs)})
        print(f"report: {page_at(work.folder)}")
        if browser:
            print(f"in short: {write_pdf(work.folder / store.REPORT, browser)}")


def _is_config(named: str) -> bool:
    """Whether it names a YAML; what only ends like one is to be complained of as one."""
    try:
        config.locate(named)
    except config.ConfigError:
        return named.endswith((".yaml", ".yml"))
    return True


def _public(named: str, overrides: list[str] | None, storage: str | None) -> Folder:
    """Write the page for outsiders of an experiment, an audit or a sweep's recommended setting.

    Returns:
        The folder that it is in.
    """
    from runner.driver.named import find, name_of
    from runner.faults import UserFault
    from runner.report.public import PUBLIC, write_public
    from runner.storage.store import REPORT, RESULTS, results_in

    if overrides:
        raise UserFault("report --public: --set changes no results that are there; leave it out")
    found = find(name_of(named), storage_at(storage))
    results = results_in(found.folder / RESULTS)
    print(f"page for outsiders: {write_public(results, found.folder / REPORT)}")
    return found.folder / REPORT / PUBLIC
