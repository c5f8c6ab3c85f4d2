"""Chromium without a screen, where Debian's package is installed, and pages in it."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PATH = shutil.which("chromium") or shutil.which("chromium-browser")
SANDBOX = "--no-sandbox"  # tests may run as root, which Chromium's sandbox refuses

PATIENCE_MS = 120_000  # of a machine that does much else


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start it; a test that asks for it is skipped where it or its driver is not installed."""
    driver = pytest.importorskip("playwright.sync_api")
    if PATH is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with driver.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=PATH, args=[SANDBOX])
        yield browser
        browser.close()


def opened(browser: Any, path: Path, width: int = 1280, **context: Any) -> Any:
    """Open a file; the page's `complaints` are what goes to its console, and errors of scripts."""
    page = browser.new_page(viewport={"width": width, "height": 900}, **context)
    page.set_default_timeout(PATIENCE_MS)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(path.as_uri())
    return page
