import pytest

from runner.driver.named import report_of
from runner.report import pdf
from runner.report.pdf import NoPrinter, find_browser
from runner.storage.store import StorageError


def test_who_has_no_browser_or_is_root_is_told_so_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoPrinter, match=r"needs one of chromium, .*none is installed; install it"):
        find_browser()
    browser = tmp_path / "chromium"
    browser.write_text("")
    browser.chmod(0o755)
    monkeypatch.setattr(pdf.os, "getuid", lambda: 0)
    with pytest.raises(NoPrinter, match="refuses to run as root; use another user, or print"):
        find_browser()
    monkeypatch.setattr(pdf.os, "getuid", lambda: 1000)
    assert find_browser() == str(browser)


def test_the_page_of_an_audit_or_a_sweep_is_found_by_its_name_or_place(tmp_path):
    for room in ("audits", "sweeps", "experiments", "runs"):
        (tmp_path / room).mkdir()
    for at in ("audits/one", "sweeps/two", "audits/both", "sweeps/both"):
        (tmp_path / at / "report").mkdir(parents=True)
        (tmp_path / at / "report" / "index.html").write_text("<p>a page</p>")
    assert report_of("one", tmp_path) == tmp_path / "audits/one/report"
    assert report_of("sweeps/two", tmp_path) == tmp_path / "sweeps/two/report"
    assert report_of(f"{tmp_path}/audits/both/", tmp_path) == tmp_path / "audits/both/report"
    with pytest.raises(StorageError, match=r"'both' is several things: say .*audits/both"):
        report_of("both", tmp_path)
    with pytest.raises(StorageError, match=r"no report/index.html of it is there"):
        report_of("onn", tmp_path)
