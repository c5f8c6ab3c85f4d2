"""How an experiment stands, by the files that are there."""

from runner.driver import driver
from runner.plan.work import Work
from runner.storage.store import finish, write_json
from tests.made.half_done import half_done, of, told


def test_finished_is_what_has_its_results_and_every_model(work: Work):
    half_done(work)
    write_json(work.folder / "results.json", {})
    told(work.folder, ended=0)
    assert of(work)["state"] == "stopped"
    for run in work.plan.runs:
        for folder in (work.store.run(run.id), *work.asked(run)):
            finish(folder, [], {})
    assert of(work)["state"] == "finished"
    (work.folder / driver.FILE).unlink()  # of a version that wrote none
    assert of(work)["state"] == "finished"
    (work.folder / "results.json").unlink()
    assert of(work)["state"] == "stopped"
