"""As much of S3 as reading takes, over a folder: list a prefix, and read a file or a part of it."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

WHEN = "2024-01-01T00:00:00.000Z"


class Bucket(BaseHTTPRequestHandler):
    """Answers GET and HEAD of /<bucket>/<key>, where the bucket is a folder below `root`."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *given: object, root: Path) -> None:
        self.root = root
        super().__init__(*given)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        """Answer with a listing, a file, or the bytes of it that are asked for."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        path = self.root / unquote(url.path).strip("/")
        if "list-type" in query:
            self._answer(200, _listing(path, query.get("prefix", "")), {})
        elif path.is_file():
            content = path.read_bytes()
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            some = content[int(part[1]) : int(part[2]) + 1] if part else content
            told = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "ETag": '"x"'}
            if part:
                end = int(part[1]) + len(some) - 1
                told["Content-Range"] = f"bytes {part[1]}-{end}/{len(content)}"
            self._answer(206 if part else 200, some, told)
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {})

    def do_HEAD(self) -> None:
        """Answer as to a GET, without the content."""
        self.do_GET()

    def _answer(self, status: int, content: bytes, told: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**told, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _listing(bucket: Path, prefix: str) -> bytes:
    """Files and folders right below a prefix that ends on a slash."""
    entries = sorted((bucket / prefix).iterdir()) if (bucket / prefix).is_dir() else []
    found = ""
    for entry in entries:
        key = escape(entry.relative_to(bucket).as_posix())
        if entry.is_dir():
            found += f"<CommonPrefixes><Prefix>{key}/</Prefix></CommonPrefixes>"
        else:
            size = entry.stat().st_size
            found += f"<Contents><Key>{key}</Key><LastModified>{WHEN}</LastModified>"
            found += f"<ETag>x</ETag><Size>{size}</Size></Contents>"
    head = f"<Name>{bucket.name}</Name><Prefix>{escape(prefix)}</Prefix><Delimiter>/</Delimiter>"
    body = f"{head}<IsTruncated>false</IsTruncated>{found}"
    return f"<ListBucketResult>{body}</ListBucketResult>".encode()


@contextmanager
def s3_storage(root: Path) -> Iterator[str]:
    """Serve the folders of a folder as buckets, and yield the options of a URI that reads them."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Bucket, root=root))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=us-east-1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
