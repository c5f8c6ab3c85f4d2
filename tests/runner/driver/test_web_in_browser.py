"""The page to watch in Chromium: it fits, looks again by itself, and says when it cannot."""

import threading

import pytest

from runner.driver import events
from runner.driver._page import Watch
from runner.driver.web import Server
from runner.plan.work import Work
from tests.made.browser import chromium
from tests.made.half_done import half_done, told

pytestmark = pytest.mark.slow


def test_it_fits_looks_again_by_itself_and_says_when_nobody_answers(work: Work):
    state, now = half_done(work), events.now()
    curve = {"run": work.plan.runs[5].id, "word": "epoch 3/9 loss 1.500", "part": 0.4}
    told(work.folder, state, at=now, working={"l/0": {**curve, "losses": [2.5, 2.0, 1.5]}})
    watch = Watch(work.store, ["tiny"], 0.3)
    with chromium() as browser, Server(watch.page) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        page, complaints = browser.new_page(), list[str]()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(server.address)
        for width in (390, 768, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("svg.spark").count() == 1
        assert not page.locator("#lost").is_visible()
        told(work.folder, state, at=now, ended=143, why="stopped by somebody")
        page.get_by_text("stopped by somebody").wait_for()
        assert complaints == []
        server.shutdown()
        server.server_close()
        thread.join()
        page.locator("#lost").wait_for(state="visible")
        assert page.get_by_text("stopped by somebody").is_visible()
        assert {"ERR_CONNECTION_REFUSED" in each for each in complaints} == {True}
