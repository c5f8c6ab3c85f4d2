"""The page as a PDF for who decides, printed by a Chromium that is already on this machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runner.faults import UserFault
from runner.storage import store
from runner.storage.cloud import Folder

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FILE = "report.pdf"
SECONDS = 120
WAY_OUT = "print report/index.html from any browser: its print form is the same"


class NoPrinter(UserFault):
    """There is nothing that could print the page, or it does not run; the message says why."""


def find_browser() -> str:
    """Return the path of the first browser that is installed.

    Raises:
        NoPrinter: none is, or it would refuse to run as root.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        told = ", ".join(BROWSERS)
        raise NoPrinter(
            f"--pdf needs one of {told}, and none is installed; install it, or {WAY_OUT}"
        )
    if os.getuid() == 0:
        raise NoPrinter(
            f"--pdf starts {path}, which refuses to run as root; use another user, or {WAY_OUT}"
        )
    return path


def write_pdf(folder: Folder, browser: str, also: Sequence[str] = ()) -> Folder:
    """Print index.html of a report's folder into report.pdf, and return where that is.

    Args:
        browser: the path of Chromium.
        also: further arguments of it.

    Raises:
        NoPrinter: it ended with an error, or took more than SECONDS.
    """
    with tempfile.TemporaryDirectory() as at:
        page, out = Path(at) / "index.html", Path(at) / FILE
        page.write_bytes((folder / "index.html").read_bytes())
        given = [
            "--headless",
            "--disable-gpu",
            "--no-pdf-header-footer",
            f"--user-data-dir={at}/own",
        ]
        command = [browser, *given, *also, f"--print-to-pdf={out}", page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise NoPrinter(f"{browser} took more than {SECONDS} s to print; {WAY_OUT}") from error
        if done.returncode or not out.is_file():
            told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise NoPrinter(f"{browser} did not print: {' '.join(told)}; {WAY_OUT}")
        store.write(folder / FILE, out.read_bytes())
    return folder / FILE
