"""A folder as a driver leaves it when half of its Runs are done."""

import json
from typing import Any

from runner import pipeline
from runner.driver import driver
from runner.driver._figures import FirstFigures
from runner.driver._standing import standing
from runner.driver.driver import Driver
from runner.driver.snapshot import Claim, Snapshot
from runner.plan.work import Work
from runner.storage.cloud import Folder
from runner.storage.store import finish, write_json

NOW = 1_000_000_000.0
AT = "2001-09-09T01:46:40+00:00"


def told(folder: Folder, state: Snapshot | None = None, **changes: Any) -> None:
    """A driver.json that was written at NOW, at once: a watch may be looking."""
    one = Driver(folder)
    one.path = folder / "draft"
    if state:
        one.saw(state)
    one.write()
    facts = json.loads(one.path.read_bytes())
    one.path.unlink()
    write_json(folder / driver.FILE, facts | {"at": AT, "since": AT, "stage": "training"} | changes)


def half_done(work: Work) -> Snapshot:
    """The first 3 of 12 Runs done, the fourth trained only, one failed, one in work."""
    pipeline.describe(work)
    runs = work.plan.runs
    for run in runs[:4]:
        for folder in (work.store.run(run.id), *work.asked(run) * (run is not runs[3])):
            finish(folder, [], {})
    working = {"lane-1/0": Claim(runs[5].id, "epoch 1/2 loss 0.1", 0.45, ticket=5)}
    failed = {runs[4].id: "ValueError: odd", runs[0].id: "in an earlier lane"}
    return Snapshot(12, 3, failed, working, ["a note"], 7, "", 60.0, closed=True)


def of(work: Work, now: float = NOW, figures: FirstFigures | None = None) -> dict[str, Any]:
    """How the experiment of some work stands."""
    return standing(work.store, "experiment", "tiny", now, figures)
