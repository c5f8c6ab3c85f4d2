"""The page as Chromium shows it: what fits, what is told apart, what a keyboard reaches."""

import re
from pathlib import Path

import pytest

from runner.report.page import html
from runner.report.pdf import NoPrinter, write_pdf
from runner.report.sweep.page import sweep_html
from tests.made.browser import PATH, SANDBOX, chromium, opened
from tests.made.many_arms import many_results, with_examples
from tests.made.sweep_report import with_a_choice

WIDTHS = (390, 768, 1280)
DRAWN = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="200pt" viewBox="0 0 300 200"/>'
)
SVGS = {"roc": DRAWN, "privacy_robustness": DRAWN}
EVIL = '</script><img src=x onerror="window.ran=1">'

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files by what they hold: many arms and attacks; one arm under many attacks."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "sweep.html").write_text(sweep_html(with_a_choice(), {"pareto": DRAWN}), "utf-8")
    for name, results in (("many", many_results(12, 11)), ("one", many_results(1, 11))):
        table: dict[str, bytes | None] = {"examples.csv": with_examples(results, 60)}
        (folder / f"{name}.html").write_text(html(results, SVGS, None, table, True), "utf-8")
    return folder


@pytest.fixture
def many(browser, pages):
    page = opened(browser, pages / "many.html")
    yield page
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize("name", ["many", "one", "sweep"])
def test_a_page_is_as_wide_as_its_window_and_nothing_complains(browser, pages, name):
    page = opened(browser, pages / f"{name}.html")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert overlapping(page) == []
        assert torn_names(page) == []
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[-1]
    assert page.complaints == []
    page.close()


def overlapping(page) -> list[list[str]]:
    """Pairs of texts of a figure, or of controls, that lie on each other."""
    return page.evaluate(
        """() => {
          const found = [];
          for (const group of ["figure .plot text", "button, select, label.tick"]) {
            const all = [...document.querySelectorAll(group)];
            const shown = all.filter((one) => one.checkVisibility());
            const boxes = shown.map((one) => one.getBoundingClientRect());
            boxes.forEach((a, i) => boxes.slice(0, i).forEach((b, k) => {
              const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
              const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
              if (wide > 1 && high > 1) found.push([shown[i].textContent, shown[k].textContent]);
            }));
          }
          return found;
        }"""
    )


def torn_names(page) -> list[str]:
    """Names of rows of a main table that stand a few letters below each other."""
    return page.locator(".main th.name").evaluate_all(
        """all => all.filter((one) => one.checkVisibility() && one.textContent.length < 9
          && one.getBoundingClientRect().width < 90).map((one) => one.textContent)"""
    )


@pytest.mark.parametrize("name", ["one", "sweep"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrasts_names_and_roles_are_those_that_wcag_asks_for(browser, pages, scheme, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(browser, pages / f"{name}.html", 390, color_scheme=scheme)
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")
    page.locator(".plot").first.press("ArrowRight")
    asked = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    found = axe.run(page, options=asked).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
    page.close()


def test_every_control_is_reached_by_the_tabulator(browser, pages):
    page = opened(browser, pages / "one.html")
    page.locator("details.controls").evaluate("one => { one.open = true; }")
    controls = "a[href], button:enabled, input, select, summary, [tabindex='0']"
    num = page.evaluate(
        """(controls) => {
          const all = [...document.querySelectorAll(controls)];
          const shown = all.filter((one) => one.checkVisibility());
          shown.forEach((one, i) => { one.dataset.tested = i; });
          return shown.length;
        }""",
        controls,
    )
    reached = set()
    for _ in range(num + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.tested"))
    assert num > 20
    assert reached >= {str(i) for i in range(num)}
    page.close()


def names(page) -> list[str]:
    """The arms of the main table, from the top."""
    return page.locator("[data-table=arm] tbody tr:not([hidden]) th").all_inner_texts()


def test_the_table_is_sorted_by_a_column_and_back(many):
    robust = many.locator("[data-table=arm] button.sort", has_text="robust")
    before = names(many)
    robust.press("Enter")
    assert names(many) == before[::-1]  # each arm is more robust than the one before
    assert many.locator("[data-table=arm] [aria-sort=descending]").inner_text().startswith("robust")
    robust.press("Enter")
    assert names(many) == before
    robust.press("Enter")
    assert names(many) == before
    assert many.locator("[data-table=arm] [aria-sort]").count() == 0


def test_columns_are_switched_and_attacks_become_rows(many):
    heads = "[data-table=arm] thead tr:last-child th:not([hidden])"
    assert many.locator(heads).count() < 10  # it begins with the strongest attack alone
    many.locator("details.controls > summary").click()
    many.get_by_label("attack_3", exact=True).check()
    shown = many.locator("[data-table=arm] thead .group:not([hidden])").all_inner_texts()
    assert shown == ["pgd20", "strongest attack", "attack_3"]
    many.get_by_label("AUC", exact=True).uncheck()
    assert "AUC" not in many.locator(heads).all_inner_texts()
    many.get_by_label("attacks on membership").check()
    assert many.locator("[data-table=arm] thead .group:not([hidden])").all_inner_texts() == [
        "pgd20"
    ]
    rows = many.locator("[data-table=attack] tbody th").all_inner_texts()
    assert rows == ["strongest attack", *(f"attack_{i}" for i in range(11))]


def test_an_arm_that_is_switched_off_leaves_all_figures_and_tables(many):
    lines = many.locator("figure[data-live=roc] path.line[data-series='arm:arm_4']")
    marks = many.locator("figure[data-live=privacy_robustness] .plot [data-series='arm:arm_4']")
    assert (lines.count(), marks.count()) == (1, 1)
    chip = many.locator("figure[data-live=roc] .chip", has_text="arm_4")
    chip.press("Enter")
    assert chip.get_attribute("aria-pressed") == "false"
    assert (lines.count(), marks.count()) == (0, 0)
    assert "arm_4" not in names(many)


def test_a_curve_is_read_off_with_its_interval_by_arrow_keys(many):
    plot = many.locator("figure[data-live=roc] .plot")
    plot.press("End")
    assert plot.get_attribute("aria-valuetext").startswith("At 100 % FPR: ")
    plot.press("Home")
    assert "At 0.14" in plot.get_attribute("aria-valuetext")
    values = many.locator("figure[data-live=roc] .chip .value").all_inner_texts()
    assert all(value.endswith("] %") for value in values)
    assert len(values) == 12


def test_the_axis_begins_at_the_smallest_rate_that_can_be_seen_and_is_cut(many):
    ticks = many.locator("figure[data-live=roc] .plot > text[text-anchor=middle]:not(.title)")
    before = ticks.all_text_contents()
    assert before[0] == "0.2 %"  # of 700 non-members one is 0.143 %
    many.get_by_label("FPR from").select_option("10 %")
    assert ticks.all_text_contents()[0] == "10 %"
    axes = many.get_by_role("combobox", name="Axes")
    axes.focus()
    axes.select_option("linear")
    assert many.evaluate("document.activeElement.value") == "1"  # the control keeps the keyboard
    assert ticks.all_text_contents()[0] == "0 %"
    many.locator("figure[data-live=roc] button", has_text="reset").click()
    assert ticks.all_text_contents() == before


def test_a_rate_on_the_roc_marks_the_examples_that_are_found_at_it(many):
    marked = many.locator(".examples tr.chosen")
    told = many.locator("[data-examples] .told")
    many.get_by_label("FPR (%), as chosen").fill("10")
    many.keyboard.press("Enter")
    assert marked.count() == 6  # example i of 60 is found from (i + 1) / 60
    assert told.inner_text().startswith("At 10 % FPR half or more of the models of arm_0 ")
    plot = many.locator("figure[data-live=roc] .plot")
    plot.press("End")
    plot.press("Enter")
    assert "find 60 of these 60" in told.inner_text()
    many.locator("[data-examples]").get_by_label("Id").fill("0002")
    rows = many.locator(".examples tbody tr")
    assert rows.count() == 1
    rows.locator("button").press("Enter")
    assert told.inner_text().startswith("At 5 % FPR")
    assert many.locator("figure[data-live=roc] .chosen").count() == 1
    many.locator("[data-examples]").get_by_label("Id").fill("")
    many.get_by_label("Class").select_option(label="3")
    assert rows.count() == 6
    place = 1 + many.locator(".examples thead th").all_inner_texts().index("class")
    of_class = many.locator(f".examples tbody td:nth-child({place})")
    assert set(of_class.all_inner_texts()) == {"3"}


def test_a_sweeps_settings_are_read_off_by_name(browser, tmp_path):
    path = tmp_path / "sweep.html"
    path.write_text(sweep_html(with_a_choice(), {"pareto": DRAWN, "axes": DRAWN}), "utf-8")
    page = opened(browser, path, width=390)
    plot = page.locator(".plot")
    plot.press("ArrowRight")
    assert plot.get_attribute("aria-valuetext").startswith("weight 1.0, 8 models: robust accuracy")
    assert page.locator(".plot .front").get_attribute("d").count("L") == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert overlapping(page) == page.complaints == []
    settings = page.locator("table[data-sort]").last.locator("tbody th")
    head = page.locator("table[data-sort]").last.locator("button", has_text="TPR")
    head.press("Enter")
    assert settings.all_inner_texts() == ["t0", "t2", "t3", "t1", "t4"]  # t4 was not measured
    head.press("Enter")
    assert settings.all_inner_texts() == ["t1", "t3", "t2", "t0", "t4"]
    page.emulate_media(media="print")
    assert page.locator("td", has_text="failed: loss is NaN").is_visible()
    page.close()


def test_without_scripts_figures_stand_still_and_no_control_is_dead(browser, pages):
    page = opened(browser, pages / "many.html", java_script_enabled=False)
    assert page.locator(".static svg").first.is_visible()
    assert page.locator("button, select, input").count() == 0
    assert page.locator("[data-table=arm]").is_visible()
    assert page.locator("[data-table=attack]").is_hidden()
    page.close()


def test_print_has_what_the_screen_shows_without_controls_or_a_heading_left_behind(many):
    many.emulate_media(media="print")
    assert many.locator("figure[data-live=roc] .plot").is_visible()
    assert many.locator("figure[data-live=roc] .panel").inner_text() == "attack_0"
    for what in (".controls", "[data-examples]", "nav", ".told", "#every"):
        assert not many.locator(what).first.is_visible()
    for what in ("#verdict, #table", "#reading", "#checks", "#untried", "#provenance", "#trained"):
        assert many.locator(what).first.is_visible()
    heads = many.locator("h1, h2, h3").evaluate_all(
        "all => all.map((one) => getComputedStyle(one).breakAfter)"
    )
    assert set(heads) == {"avoid"}


@pytest.mark.parametrize("name", ["many", "one"])
def test_the_pdf_has_six_pages_at_the_most(browser, pages, tmp_path, name):
    (tmp_path / "index.html").write_bytes((pages / f"{name}.html").read_bytes())
    assert PATH is not None
    written = Path(str(write_pdf(tmp_path, PATH, [SANDBOX])))
    assert written == tmp_path / "report.pdf"
    content = written.read_bytes()
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 6


def test_who_has_nothing_to_print_with_is_told_so(tmp_path):
    with pytest.raises(NoPrinter, match=r"did not print: .*print report/index.html from any"):
        write_pdf(_folder_with_a_page(tmp_path), "false")
    assert not (tmp_path / "report.pdf").exists()


def _folder_with_a_page(folder: Path) -> Path:
    (folder / "index.html").write_text("<p>a page</p>")
    return folder


def test_what_a_user_named_is_text_and_nothing_that_is_slipped_in_runs(browser, tmp_path):
    results = many_results(2, 2)
    results["arms"] = {f"{name} {EVIL}": one for name, one in results["arms"].items()}
    path = tmp_path / "evil.html"
    path.write_text(html(results, SVGS), "utf-8")
    page = opened(browser, path)
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("figure[data-live=roc] .chip").first.inner_text()
    assert page.complaints == []
    page.evaluate("(evil) => { document.body.innerHTML += evil; }", EVIL)
    page.wait_for_timeout(50)
    assert page.evaluate("window.ran") is None
    assert page.complaints  # its policy says what it refused
    page.close()
