import pytest

from runner.report import pdf
from runner.report.pdf import NoPrinter, find_browser


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
