"""`runner status --web`: the page to watch, for whoever has its address on this machine.

It answers on loopback alone, to who knows the token in its address, and to no other name of this
machine than its own: a site that points a name of its own here is refused. It only reads.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from runner.driver import _page, status
from runner.driver.named import name_of
from runner.faults import UserFault
from runner.report.watch import policy
from runner.storage import store
from runner.storage.cloud import Folder, folder_at
from runner.storage.store import StorageError, Store

LOOPBACK = "127.0.0.1"
OWN_NAMES = (LOOPBACK, "localhost")
PATIENCE_S = 10.0  # for one who connects and says nothing
EVERY_S = 5.0  # between two looks, unless it is said


class NoPage(UserFault):
    """The page cannot be shown, or written, where it was asked for."""


def show(
    named: Sequence[str],
    storage: str | Folder,
    every_s: float | None,
    port: int,
    say: Callable[[str], object],
) -> None:
    """Show the page until Ctrl-C.

    Args:
        named: configurations or names; none: all that the storage has.
        every_s: seconds between two looks; None: EVERY_S, of a storage that is there.
        port: 0: any that is free.
        say: is given the address.

    Raises:
        StorageError: the storage is not there.
        ConfigError: a configuration cannot be read.
        NoPage: the port is taken.
    """
    at = Store(folder_at(storage))
    if every_s is None and not at.root.exists():
        raise StorageError(f"storage folder {at.root}: not there; name it with --storage FOLDER")
    names = [name_of(each) for each in named]
    with Server(_page.Watch(at, names, every_s or EVERY_S).page, port) as server:
        say(server.address)
        server.serve_forever()


def keeper(file: Path, storage: str | Folder, every_s: float | None) -> status.Keep:
    """Return what writes the page of what was found into a file: all of it, or nothing.

    Args:
        every_s: seconds between two looks, in which the page looks again; None: it does not.
    """
    at = Store(folder_at(storage))

    def keep(found: Sequence[dict[str, Any]], goes_on: bool) -> None:
        made = _page.page(found, at, (every_s or 0.0) * goes_on)
        try:
            store.write(file.absolute(), made.encode())
        except OSError as error:
            raise NoPage(f"--html {file}: {error.strerror or error}; name another file") from None

    return keep


class Server(ThreadingHTTPServer):
    """Answers with one page on loopback; `address` is what to open."""

    daemon_threads = True

    def __init__(self, page: Callable[[], str], port: int = 0) -> None:
        """
        Args:
            page: returns it as things stand; called by several threads.
            port: 0: any that is free.

        Raises:
            NoPage: the port is taken, or not for everyone.
        """
        self.page, self.token = page, secrets.token_urlsafe(32)
        try:
            super().__init__((LOOPBACK, port), _Answer)
        except OSError as error:
            raise NoPage(
                f"--port {port}: {error.strerror or error}; name another one, or leave it out"
            ) from None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of one who went away in the middle of an answer."""

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}/{self.token}"


class _Answer(BaseHTTPRequestHandler):
    """One request: the page, or why not."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = PATIENCE_S
    server_version, sys_version = "runner", ""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if not self._is_allowed():
            self._send(HTTPStatus.FORBIDDEN, b"not allowed\n", "text/plain")
            return
        try:
            made = self.server.page()
        except Exception as error:  # the next one may come out
            told = f"the page could not be made: {type(error).__name__}: {error}\n"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, told.encode(), "text/plain")
            return
        self._send(HTTPStatus.OK, made.encode(), "text/html")

    def _is_allowed(self) -> bool:
        """Whether it is asked for by its own name, once, and with the token."""
        hosts = self.headers.get_all("Host", [])
        by_name = [host.rpartition(":")[0] or host for host in hosts]
        path = self.path.split("?")[0].encode("utf-8", "surrogateescape")
        known = hmac.compare_digest(path, f"/{self.server.token}".encode())
        return known and len(by_name) == 1 and by_name[0] in OWN_NAMES

    def _send(self, code: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Content-Security-Policy": f"{policy()}; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a terminal would fill, and the token stands in every line."""
