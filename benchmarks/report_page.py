"""How long Chromium takes to load the page of 12 arms under 11 attacks, and how large it is.

    python benchmarks/report_page.py

It draws the figures (which takes longest), writes the page into a temporary folder, and opens
it so many times: from the first byte to the end of its scripts, as the page's own clock has it.
Beside it the same page with a script that its own policy refuses, as a ratio in the same run. Needs
Debian's `chromium` and the extra `dev`.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from runner.report import write_report
from tests.made.browser import chromium, opened
from tests.made.many_arms import many_results

CLOCK = "performance.getEntriesByType('navigation')[0].loadEventEnd"


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--arms", type=int, default=12)
    given.add_argument("--attacks", type=int, default=11)
    given.add_argument("--rounds", type=int, default=15)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        index = Path(str(write_report(many_results(asked.arms, asked.attacks), Path(folder))))
        print(f"page: {len(index.read_bytes()) / 1e6:.2f} MB", flush=True)
        still = index.with_name("still.html")
        text = index.read_text("utf-8")
        still.write_text(text.replace('"use strict";', '"use strict"; '), "utf-8")
        took = [[_load_s(browser, path) for path in (index, still)] for _ in range(asked.rounds)]
    for i, what in enumerate(("load by the clock", "processor time of its process")):
        whole = [one[i] for one, _ in took]
        ratio = statistics.median(one[i] / other[i] for one, other in took)
        told = f"{statistics.median(whole):.2f} s [{min(whole):.2f}, {max(whole):.2f}]"
        print(f"{what}: {told}; / without scripts: {ratio:.2f}")


def _load_s(browser: Browser, path: Path) -> tuple[float, float]:
    """Seconds until the load event has ended, scripts with it; and seconds of the processor."""
    page = opened(browser, path)
    clock = page.evaluate(CLOCK) / 1000
    asked = page.context.new_cdp_session(page)
    asked.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in asked.send("Performance.getMetrics")["metrics"]}
    page.close()
    return clock, metrics["ProcessTime"]


if __name__ == "__main__":
    main()
