"""The page to watch, of what drivers told: counts, figures, curves, events, and nothing else."""

import re
from pathlib import Path
from typing import Any

from runner.driver import _page, events
from runner.driver._figures import FirstFigures
from runner.driver.driver import Driver
from runner.driver.status import look
from runner.plan.work import Work
from runner.storage.store import Store, write_json
from tests.made.half_done import half_done, told
from tests.made.html_page import Page
from tests.made.report import small_results
from tests.made.told import moments


def shown(at: Store, *names: str, every_s: float = 5.0) -> str:
    return _page.page(look(at, names, True, FirstFigures(at)), at, every_s)


def test_an_experiment_shows_what_is_done_in_work_failed_and_when_it_ends(work: Work):
    state, now = half_done(work), events.now()
    run = next(iter(state.working.values())).run_id
    curve = {"run": run, "word": "epoch 9/20 loss 1.5", "part": 0.4, "losses": [2.5, 2.0, 1.5]}
    told(work.folder, state, at=now, remaining_s=600, working={"l/0": curve})
    text = shown(work.store, "tiny")
    page = Page(text)
    for said in ("running", "training", "3/12 models done", "7 waiting", "ends about "):
        assert said in page.text
    assert f"{work.plan.runs[4].id}ValueError: odd" in page.text.replace("\n", "")
    assert "a note" in page.text
    (spark,) = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert spark["aria-label"] == "loss from 2.500 to 1.500"
    bars = [attributes for tag, attributes in page.tags if tag == "progress"]
    assert (bars[0]["value"], bars[0]["max"]) == ("3", "12")
    assert "Driver gone" not in page.text


def test_it_needs_no_script_loads_nothing_and_shows_no_image(work: Work):
    told(work.folder, half_done(work), at=events.now())
    text = shown(work.store, "tiny", every_s=7.0)
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert re.search(r'<noscript><meta http-equiv="refresh" content="7"></noscript>', text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "iframe", "object", "embed", "form", "input", "button", "a", "image"}
    links = [a["href"] for tag, a in page.tags if tag == "link"]
    assert links == ["data:,"], "the empty icon"
    assert not re.search(r"https?://", text)
    assert not [a for _, a in page.tags if "style" in a or any(k.startswith("on") for k in a)]
    assert len(text) < 20_000
    assert "refresh" not in shown(work.store, "tiny", every_s=0.0)


def test_whatever_a_driver_says_is_text(work: Work):
    state, wrong = half_done(work), "</main><script>alert(1)</script>"
    (claim,) = state.working.values()
    working = {"run": claim.run_id, "word": wrong, "part": 0.5, "losses": [1.0, 2.0]}
    told(
        work.folder,
        state,
        at=events.now(),
        stage=wrong,
        host=wrong,
        working={"l/0": working},
        failed={claim.run_id: wrong, work.plan.runs[4].id: wrong},
        events=[{"at": wrong, "text": wrong}],
    )
    text = shown(work.store, "tiny")
    assert text.count("<script>") == 1
    assert Page(text).text.count(wrong) >= 5


def test_a_sweep_shows_its_settings_with_figures_and_what_is_to_come(tmp_path: Path):
    at = Store(tmp_path)
    at.check_writable()
    searching = [each for each in moments() if each["stage"] == "search" and each["working"]][-1]
    write_json(at.sweep("swept") / "driver.json", searching | {"at": events.now()})
    page = Page(shown(at, "swept"))
    ended, models = searching["settings"]["ended"], searching["models"]
    assert f"{ended}/4 settings" in page.text
    assert f"{models['done']}/{models['total']} models done" in page.text
    assert f"about {models['to_come']} more to come" in page.text
    asked = searching["settings"]["asked"]
    assert asked
    for each in asked:
        assert each["setting"] in page.text
        assert each["figures"] in page.text
    bar = next(a for tag, a in page.tags if tag == "progress")
    assert bar["max"] == str(models["total"] + models["to_come"])


def test_what_is_finished_shows_the_table_of_its_report(tmp_path: Path):
    at = Store(tmp_path)
    at.check_writable()
    folder = at.audit("given")
    results = small_results()
    write_json(folder / "results.json", results)
    told(folder, ended=0, stage="report")
    page = Page(shown(at, "given"))
    assert "finished" in page.text
    for arm in results["arms"]:
        assert arm in page.text
    assert "Mean over models with its 95 % interval." in page.text
    write_json(folder / "results.json", {"arms": {}})  # as no version of ours writes it
    assert "finished" in Page(shown(at, "given")).text


def test_all_of_a_storage_stands_on_one_page_and_what_is_not_begun_says_so(work: Work):
    told(work.folder, half_done(work), ended=143, why="stopped by\nsomebody")
    told(work.store.audit("given"), ended=1, why="odd", stage="audit")
    page = Page(shown(work.store))
    assert page.text.index("experiment tiny") < page.text.index("audit given")
    assert "stopped by\nsomebody" in page.text.replace("<br>", "\n") or "somebody" in page.text
    assert "not begun" in Page(shown(work.store, "later")).text
    empty = Store(work.store.root / "empty")
    assert "Nothing was begun here." in Page(shown(empty)).text


def test_an_audit_shows_how_many_files_are_converted(tmp_path: Path):
    at = Store(tmp_path)
    at.check_writable()
    driving: Any = Driver(at.audit("given"))
    driving.enter("reading")
    driving.count_models(8, 3)
    driving.write()
    page = Page(shown(at, "given"))
    assert "running, reading, 3/8 models done, 5 waiting" in page.text
