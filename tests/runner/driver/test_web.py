"""The page of `runner status --web`: who gets it, who does not, and that it stays up."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from runner.__main__ import app
from runner.driver import events
from runner.driver._page import Watch
from runner.driver.web import Server
from runner.plan.work import Work
from runner.storage import store
from tests.made.half_done import half_done, told
from tests.made.html_page import Page
from tests.made.report import small_results

HOUSE = Path(__file__).parents[3]


@contextmanager
def serving(page: Callable[[], str]) -> Iterator[Server]:
    with Server(page) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(
    server: Server, path: str | None = None, method: str = "GET", host: str | None = "127.0.0.1"
) -> tuple[int, http.client.HTTPMessage, str]:
    """The code, the heads and the text of an answer; by default of who knows the address."""
    port = server.server_address[1]
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.putrequest(method, path or urlsplit(server.address).path, skip_host=True)
        if host is not None:
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(lambda: "<p>the page</p>") as server:
        yield server


def test_it_listens_on_loopback_alone_and_its_token_is_another_one_each_time(server: Server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}", server.address)
    with serving(str) as other:
        assert other.token != server.token


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:80", "localhost", "localhost:8800"])
def test_who_knows_the_address_gets_the_page_through_a_tunnel_too(server: Server, host: str):
    code, heads, text = ask(server, host=host)
    assert (code, text) == (200, "<p>the page</p>")
    assert "default-src 'none'" in heads["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in heads["Content-Security-Policy"]
    assert "unsafe" not in heads["Content-Security-Policy"]
    assert heads["Cache-Control"] == "no-store"
    assert heads["Referrer-Policy"] == "no-referrer"
    assert heads["Server"].strip() == "runner"
    assert ask(server, method="HEAD")[0::2] == (200, "")


@pytest.mark.parametrize("path", ["/", "/index.html", "/wrong", "/{token}x", "/{token}/", "/%00"])
def test_who_does_not_know_the_token_is_refused(server: Server, path: str):
    code, _, text = ask(server, path.format(token=server.token))
    assert (code, text) == (403, "not allowed\n")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "10.0.0.1", None]
)
def test_a_name_that_somebody_pointed_at_this_machine_is_refused(server: Server, host: str | None):
    assert ask(server, host=host)[0] == 403


def test_bytes_that_are_no_text_and_two_hosts_are_refused_and_it_goes_on(server: Server):
    path = urlsplit(server.address).path.encode()
    for heads in (
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as plain:
            plain.sendall(heads)
            assert b" 403 " in plain.recv(4096).splitlines()[0]
    with socket.create_connection(("127.0.0.1", server.server_address[1])):
        pass  # goes away without a word
    assert ask(server)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_changed_through_it(server: Server, method: str):
    assert ask(server, method=method)[0] == 501


def test_a_page_that_cannot_be_made_is_told_and_the_next_one_comes():
    made = iter(["ok"])

    def page() -> str:
        return next(made)

    with serving(page) as server:
        assert ask(server)[2] == "ok"
        code, _, text = ask(server)
        assert code == 500
        assert "StopIteration" in text
        made = iter(["again"])
        assert ask(server)[2] == "again"


def test_it_stays_up_when_the_driver_dies_and_when_the_storage_goes(work: Work):
    told(work.folder, half_done(work))  # in 2001, and nothing since
    watch = Watch(work.store, ["tiny"], 5.0)
    with serving(watch.page) as server:
        page = Page(ask(server)[2])
        assert "Driver gone since 2001-09-09T01:46:40+00:00" in page.text
        assert "3/12 models done" in page.text
        root = Path(str(work.store.root))
        root.rename(root.with_name("away"))
        root.write_text("no folder")
        watch._looked = 0.0
        page = Page(ask(server)[2])
        assert "the storage cannot be read" in page.text
        assert "3/12 models done" in page.text, "the last that was seen"
        root.unlink()
        root.with_name("away").rename(root)
        watch._looked = 0.0
        assert "cannot be read" not in ask(server)[2]


def test_the_command_says_the_address_writes_nothing_and_ends_by_ctrl_c(work: Work):
    at, state = work.store, half_done(work)
    told(work.folder, state, at=events.now())
    before = {path: path.stat().st_mtime_ns for path in at.root.rglob("*")}
    command = [sys.executable, "-m", "runner", "status", "tiny", "--web", "--storage", str(at.root)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().split()[0])
        with closing(http.client.HTTPConnection(address.netloc, timeout=30)) as connection:
            connection.request("GET", address.path)
            assert "3/12 models done" in connection.getresponse().read().decode()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert before == {path: path.stat().st_mtime_ns for path in at.root.rglob("*")}


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["status", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_file_is_written_whole_beside_what_is_printed(work: Work, tmp_path: Path):
    told(work.folder, half_done(work), ended=143, why="stopped")
    file = tmp_path / "pages" / "here.html"
    code, out = invoke("tiny", "--html", str(file), "--json", "--storage", str(work.store.root))
    assert code == 1
    page = Page(file.read_text())
    assert "3/12 models done" in page.text
    assert dict(page.tags)["body"] == {"data-every": "0"}, "nothing runs: it does not look again"
    (found,) = json.loads(out)
    assert found["models"]["done"] == 3


def test_what_does_not_go_together_is_exit_code_2(work: Work, tmp_path: Path):
    told(work.folder, half_done(work))
    at = str(work.store.root)
    for wrong, said in {
        ("--web", "--json"): "neither",
        ("--web", "--html", "x"): "neither",
        ("--port", "8800"): "--web",
        ("--web", "--port", "70000"): "65535",
        ("--html", str(tmp_path)): "name another file",
    }.items():
        code, out = invoke("tiny", *wrong, "--storage", at)
        assert code == 2, out
        assert said in out
    code, out = invoke("--web", "--storage", str(tmp_path / "nowhere"))
    assert code == 2
    assert "not there; name it with --storage" in out
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        code, out = invoke("tiny", "--web", "--port", port, "--storage", at)
    assert code == 2
    assert "name another one, or leave it out" in out


def test_the_table_of_what_is_finished_stays_when_the_storage_goes(tmp_path: Path):
    folder = tmp_path / "results" / "audits" / "given"
    folder.mkdir(parents=True)
    (folder / store.RESULTS).write_text(json.dumps(small_results()))
    watch = Watch(store.Store(tmp_path / "results"), ["given"], 5.0)
    assert "AUC" in Page(watch.page()).text
    (tmp_path / "results").rename(tmp_path / "away")
    (tmp_path / "results").write_text("no folder")
    watch._looked = float("-inf")
    page = Page(watch.page())
    assert "the storage cannot be read" in page.text
    assert "AUC" in page.text, "the last that was seen"
