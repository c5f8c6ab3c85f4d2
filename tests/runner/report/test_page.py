import base64
import hashlib
import re
import shutil

import pytest

from runner.report import style, write_report
from runner.report.blocks import draw
from runner.report.blocks.guarantees import guarantees_markdown
from runner.report.html import script
from runner.report.page import html
from runner.report.style import save
from tests.made.html_page import Page

DRAWN = ("against", "thresholds", "roc_linear")


@pytest.fixture
def page(results):
    """Reads the page of `results` as they then are, without its figures, which take a second."""
    return lambda: Page(html(results, {}))


def test_the_report_is_these_files(written):
    assert sorted(path.name for path in written.iterdir()) == [
        "index.html",
        "privacy_robustness.pdf",
        "privacy_robustness.svg",
        "roc.pdf",
        "roc.svg",
        "table.csv",
        "table.md",
        "table.tex",
    ]


def test_the_same_results_give_the_same_bytes(results, written, tmp_path):
    index = write_report(results, tmp_path / "made" / "report")
    assert index == tmp_path / "made" / "report" / "index.html"
    for path in written.iterdir():
        assert path.read_bytes() == (index.parent / path.name).read_bytes(), path.name


def test_a_figure_that_no_longer_applies_is_removed(results, written, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    results["attacks"]["membership"] = {}
    index = write_report(results, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "index.html",
        "table.csv",
        "table.md",
        "table.tex",
    }
    assert "<svg" not in index.read_bytes().decode()


def test_what_no_longer_applies_is_removed(noisy, results, tmp_path, monkeypatch):
    monkeypatch.setattr(style, "save", lambda figure, form: b"<svg></svg>")
    write_report(noisy, tmp_path, samples=b"a picture")
    there = {"guarantees.md", "guarantees.csv", "decisions.md", "samples.png"}
    there |= {f"{name}.{form}" for name in DRAWN for form in ("svg", "pdf")}
    assert there < {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "samples.png").read_bytes() == b"a picture"
    noisy["arms"] = {"erm": noisy["arms"]["erm"]}
    del noisy["arms"]["erm"]["membership"]["shadow_mlp"]
    write_report(noisy, tmp_path)
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint(there)


def test_samples_stand_in_the_page_itself_with_the_names_of_classes(noisy):
    picture = b"\x89PNG and so on"
    read = Page(html(noisy, {}, picture))
    (image,) = [attributes for tag, attributes in read.tags if tag == "img"]
    scheme, _, content = (image["src"] or "").partition(",")
    assert scheme == "data:image/png;base64"
    assert base64.b64decode(content) == picture
    assert image["alt"]
    text = " ".join(read.text.split())
    assert "Class 0 is class 0 of digits, class 1 is class 6 of digits." in text


def test_the_page_tells_of_guarantees_decisions_draws_and_remarks(noisy):
    _, _, below = html(noisy, {}).partition("</nav>")
    text = " ".join(Page(f"<html><body>{below}").text.split())
    order = ["What to know", "Privacy guarantees", "Decisions at thresholds", "How to read"]
    assert [text.index(what) for what in order] == sorted(text.index(what) for what in order)
    assert "half, one Each block adds noise. Privacy and robustness" in text
    for fact in (
        "half mean of 10 draws8 92.0[90.0, 94.0]",
        "30.0†[28.0, 32.0]overstated",
        "none claimed",
        "dp_sgd3.2100.00001provedthe weights3",
        "taking G = 1 and R = 2 nothing bounds G and R RDP of DP-SGD Proved",
        "1 draw, mean of 10 draws A randomized model answers with noise.",
        "Designquarters: for each two models the data are halved at random;",
        "its classes 0, 6 alone, as 0, 1",
        "Two models of a pair count as one.",
    ):
        assert fact in text


def test_results_of_before_have_none_of_it(page):
    text = page().text.partition("small")[2]
    text = text[text.rindex("}") :]  # after the style
    for what in ("What to know", "guarantees", "thresholds", "draw", "Design", "overstated"):
        assert what not in text


def test_new_text_of_the_user_is_escaped(noisy):
    evil = '<b>&"|</b><script>alert(1)</script>'
    half = noisy["arms"].pop("half")
    half["remarks"] = [f"remark {evil}"]
    half["guarantee"]["why"] = f"why {evil}"
    noisy["arms"][f"arm {evil}"] = half
    noisy["arms"]["erm"]["membership"]["shadow_mlp"]["shadow_arm"] = f"shadow {evil}"
    noisy["data"]["name"] = f"data {evil}"
    read = Page(html(noisy, {}, b"a picture"))
    assert "b" not in {tag for tag, _ in read.tags}
    assert read.runs_its_own_script_alone()
    for what in ("remark", "why", "arm", "shadow", "data"):
        assert what + " " + evil in read.text
    assert "<script>" not in (guarantees_markdown(noisy) or "<script>")


def test_the_page_fetches_nothing_and_runs_nothing_but_its_own_script(written):
    text = (written / "index.html").read_text("utf-8")
    read = Page(text)
    assert {tag for tag, _ in read.tags}.isdisjoint({"link", "img", "iframe", "object"})
    assert read.runs_its_own_script_alone()
    (told,) = [given["content"] or "" for tag, given in read.tags if "http-equiv" in given]
    assert told.startswith("default-src 'none';")
    digest = base64.b64encode(hashlib.sha256(script().encode()).digest()).decode()
    assert told.endswith(f"script-src 'sha256-{digest}'")
    targets = [
        value or ""
        for _, attributes in read.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "action")
    ]
    assert targets
    for target in targets:
        assert target.startswith("#") or (written / target).is_file(), target
    assert "@import" not in text
    assert all(url.startswith("#") for url in re.findall(r"url\((.*?)\)", text))


def test_every_reference_inside_a_figure_has_its_one_target(written):
    text = (written / "index.html").read_text("utf-8")
    ids = [attributes["id"] for _, attributes in Page(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = re.findall(r'(?:url\(|href=")#([^")]+)', text)
    assert references
    assert set(references) <= set(ids)


def test_text_of_the_user_is_escaped(results):
    evil = '<b>&"_%</b><script>alert(1)</script>-->'
    for key in ("experiment", "description", "git_commit"):
        results[key] = f"{key} {evil}"
    results["warnings"] = [f"warning {evil}"]
    recipe = {"model": f"model {evil}", "training": f"training {evil}"}
    facts = {"defense": f"defense {evil}", "recipe": recipe}
    results["arms"] = {f"arm {evil}": {**results["arms"]["erm"], **facts}}
    results["attacks"]["robustness"]["pgd20"] = f"attack {evil}"
    results["versions"] = {"torch": f"version {evil}"}
    svgs = {name: save(f, "svg").decode() for name, f in draw(results).items() if f}
    read = Page(html(results, svgs))
    assert "b" not in {tag for tag, _ in read.tags}
    assert read.runs_its_own_script_alone()
    for what in ("experiment", "description", "git_commit", "warning", "arm"):
        assert f"{what} {evil}" in read.text
    for what in ("defense", "model", "training", "attack", "version"):
        assert f"{what} {evil}" in read.text


def test_warnings_and_arms_come_before_the_table_and_their_details_last(results):
    results["warnings"] = ["few models"]
    _, _, text = html(results, {}).partition("</nav>")
    order = ["few models", ">The arms<", "one line", "TPR at 0 false positives", "How to read"]
    found = [text.index(what) for what in [*order, "Null", "Every figure of each arm"]]
    assert found == sorted(found)


def test_the_contents_name_every_heading_of_the_page_in_order_and_lead_there(results, noisy):
    results["guards"] = [{"name": "a check", "verdict": "pass", "says": "so"}]
    results["came_out"] = [{"rule": "r", "arms": [], "text": "erm leaks least.", "figures": []}]
    for some in (results, noisy):
        text = html(some, {})
        listed, _, below = text.partition("</nav>")
        links = re.findall(r'<li><a href="#([^"]+)">(.*?)</a></li>', listed)
        assert links == re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', text)
        assert len(links) == text.count("<h2") > 5
        assert len({at for at, _ in links}) == len(links)
        assert below


def test_a_run_without_faults_has_no_warnings(page):
    assert "Before you read" not in page().text


def test_cells_of_the_page_are_those_of_the_dict(page):
    text = page().text
    for cell in ("60.0[58.0, 62.0]", "0.800[0.795, 0.805]", "5.00[4.00, 6.00]", "12.3 s"):
        assert cell in text


def test_a_failed_null_control_is_marked(results, page):
    results["null_control"]["verdict"] = "fail"
    del results["arms"]["erm"]["null_control"]
    read = page()
    assert [
        a["class"] for t, a in read.tags if t == "td" and a.get("class") in ("pass", "fail")
    ] == [
        "fail",
        "pass",
    ]
    assert "not measured" in read.text


def test_the_page_judges_the_null_control_by_the_tolerance_in_the_results(results, page):
    results["null_control"]["tolerance"] = 0.034
    assert "within 0.50 ± 0.03, fails" in " ".join(page().text.split())


def test_what_was_trained_is_said_once_where_arms_share_it(results, page):
    text = page().text
    for fact in (
        "Datadigits, pool train; augmentation: crop_padding 0, flip false",
        "Modelsmall_cnn(width 16)",
        "Trainingepochs 20, lr 0.1",
        "Seed7",
        "Commit of the code0123456789ab",
    ):
        assert text.count(fact) == 1
    results["arms"]["pgd_at"]["recipe"]["training"] = "epochs 30, lr 0.1"
    text = page().text
    for fact in ("Training (erm)epochs 20, lr 0.1", "Training (pgd_at)epochs 30, lr 0.1"):
        assert text.count(fact) == 1


def test_accuracy_says_which_images_it_was_measured_on(results, page):
    assert "397 test images" in " ".join(page().text.split())
    results["evaluation"] |= {"on": "non_members", "num_examples": 700}
    assert "700 images that the model was not trained on" in " ".join(page().text.split())


def test_robust_accuracy_is_explained_where_it_was_measured(results, page):
    assert "Natural and robust accuracy" in page().text
    results["attacks"]["robustness"] = {}
    text = page().text
    assert "Natural accuracy" in text
    assert "within a small radius" not in " ".join(text.split())


def test_the_page_says_whose_models_the_shadows_of_each_attack_are(noisy):
    text = " ".join(Page(html(noisy, {})).text.split())
    assert "shadows, models trained on data of the attacker's own, of which it knows" in text
    for told in (
        "LiRA, online. Its shadows are other models of the arm that it judges.",
        "a small network. Its shadows are models of erm, whichever arm it judges.",
    ):
        assert told in text
