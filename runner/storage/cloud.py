"""Paths in S3 and the like, with what we use of pathlib; a text with :// in it is one of these.

There are no folders there and nothing can be renamed: a key holds bytes, put at once or not at all.
"""

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EIO, ENOENT
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from runner.faults import UserFault

if TYPE_CHECKING:
    from pyarrow import NativeFile, fs

ENDPOINT = ("endpoint_override", "scheme")
FLAGS = ("allow_bucket_creation", "force_virtual_addressing")  # true or false
OPTIONS = {"s3": (*ENDPOINT, *FLAGS, "region", "tls_ca_file_path"), "gs": ENDPOINT}
USER = re.compile(r"(?<=://)[^/\s@]+@")  # s3://key:secret@bucket
OPTION = re.compile(r"([?&][^=&\s]*(?:key|secret|token|password)[^=&\s]*=)[^&\s]+", re.I)
# Measured against a server that refused connections: the eighth attempt fails after 50 to 60 s,
# the sixth after 12 to 22 s. So half a minute is waited out, and a minute is the caller's affair.
ATTEMPTS = 6


class StorageError(UserFault):
    """The storage folder cannot be used; the message says why and what to do."""


class Away(OSError):
    """The storage does not answer, or is not mounted. Never a FileNotFoundError: it may be back."""


class Stat(NamedTuple):
    """What is known of a file without reading it, named as `os.stat` names it."""

    st_size: int  # bytes
    st_mtime_ns: int


@dataclass(frozen=True, order=True)
class CloudPath:
    """A key, or what several keys begin with, as a folder. It is sent to tasks as three texts."""

    scheme: str
    key: str  # bucket/prefix/name, as it is: nothing in it is percent-decoded
    options: str = ""  # ?name=value&... for the client, the same of all paths of a storage

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}{self.options}"

    def __truediv__(self, name: "str | PurePosixPath") -> "CloudPath":
        return CloudPath(self.scheme, f"{self.key}/{name}", self.options)

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> "CloudPath":
        return CloudPath(self.scheme, self.key.rpartition("/")[0] or self.key, self.options)

    @property
    def parents(self) -> Sequence["CloudPath"]:
        above = PurePosixPath(self.key).parents[:-1]  # the last one is "."
        return [CloudPath(self.scheme, str(key), self.options) for key in above]

    def with_name(self, name: str) -> "CloudPath":
        return self.parent / name

    def relative_to(self, other: "Path | CloudPath") -> PurePosixPath:
        assert isinstance(other, CloudPath), other
        return PurePosixPath(self.key).relative_to(other.key)

    def exists(self) -> bool:
        return self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        return self._info().is_file

    def is_dir(self) -> bool:
        """Whether any key begins with this one and a slash."""
        return self._info().type.name == "Directory"

    def stat(self) -> Stat:
        info = self._info()
        if not info.is_file:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(self))
        return Stat(info.size, info.mtime_ns)

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Return the bytes of several files in this folder, asked for side by side; None: no file.

        Args:
            names: with slashes where they lie deeper.
        """
        with self._asked() as filesystem:
            infos = filesystem.get_file_info([f"{self.key}/{name}" for name in names])
        return [info.size if info.is_file else None for info in infos]

    def read_bytes(self) -> bytes:
        with self.open() as file:
            return file.read()

    def open(self) -> io.RawIOBase:
        """Open a file to read parts of it."""
        with self._asked() as filesystem:
            return _Reading(self, filesystem.open_input_file(self.key))

    def put(self, content: bytes) -> None:
        """Write a file: all of it or nothing.

        Leaving pyarrow's stream by an exception would complete what was sent so far, so whatever
        can go wrong on this side goes wrong before the stream is there.
        """
        whole = memoryview(content)
        with self._asked() as filesystem, filesystem.open_output_stream(self.key) as stream:
            stream.write(whole)

    def copy(self, to: "CloudPath") -> None:
        """Copy a file within the storage; the bytes do not come here."""
        try:
            with self._asked() as filesystem:
                filesystem.copy_file(self.key, to.key)
        except Away:
            self.stat()  # S3 says of a missing key only that it cannot be copied
            raise

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with self._asked() as filesystem:
                filesystem.delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def files(self) -> list["CloudPath"]:
        """Return all files below, sorted."""
        from pyarrow import fs

        chosen = fs.FileSelector(self.key, recursive=True, allow_not_found=True)
        with self._asked() as filesystem:
            infos = filesystem.get_file_info(chosen)
        found = [info.path for info in infos if info.is_file]
        return [CloudPath(self.scheme, key, self.options) for key in sorted(found)]

    def glob(self, pattern: str) -> Iterator["CloudPath"]:
        """Yield the files below that match from here on; no folders."""
        depth = len(PurePosixPath(pattern).parts)
        return (path for path in self.rglob(pattern) if len(path.relative_to(self).parts) == depth)

    def rglob(self, pattern: str) -> Iterator["CloudPath"]:
        """Yield the files below, however deep, whose last parts match."""
        return (path for path in self.files() if path.relative_to(self).match(pattern))

    @property
    def filesystem(self) -> "fs.FileSystem":
        """The client, which knows this path as `key`; each process makes its own, once."""
        return _filesystem(self.scheme, self.key.partition("/")[0], self.options, os.getpid())

    def _info(self) -> "fs.FileInfo":
        with self._asked() as filesystem:
            return filesystem.get_file_info(self.key)

    @contextmanager
    def _asked(self) -> Iterator["fs.FileSystem"]:
        """The client; what it raises tells a missing file from a storage that is away."""
        try:
            yield self.filesystem
        except FileNotFoundError:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(self)) from None
        except OSError as error:
            if isinstance(error, Away):
                raise
            raise Away(EIO, (str(error).splitlines() or [repr(error)])[0], str(self)) from None


Folder: TypeAlias = Path | CloudPath


def folder_at(where: str | Folder) -> Folder:
    """Return an absolute path, or a place in the cloud where the text is a URI.

    Raises:
        StorageError: the URI is of no kind that is known, or holds what must not be written down;
            or the path is in the home folder of nobody.
    """
    if isinstance(where, CloudPath):
        return where
    if isinstance(where, Path) or "://" not in where:
        try:
            return Path(where).expanduser().absolute()
        except RuntimeError:
            raise StorageError(f"{where}: there is no such home folder; write it out") from None
    if where.startswith("file://"):
        return Path(unquote(urlsplit(where).path))
    return _parsed(where)


def public(uri: str) -> str:
    """Return a URI without its options, and without what may stand before its bucket."""
    scheme, _, place = uri.partition("?")[0].partition("://")
    return f"{scheme}://{place.rpartition('@')[2]}"


def discreet(words: Sequence[str]) -> list[str]:
    """Return the words with `***` in place of names, keys and passwords within URIs."""
    return [OPTION.sub(r"\1***", USER.sub("***@", word)) for word in words]


def _parsed(uri: str) -> CloudPath:
    """A URI's parts; nothing that may be secret is repeated in a message."""
    place, mark, options = uri.partition("?")
    scheme, _, key = place.partition("://")
    bucket, told = key.partition("/")[0], f"storage {public(uri)}"
    if scheme not in OPTIONS:
        known = " or ".join(f"{name}://bucket/prefix" for name in OPTIONS)
        raise StorageError(f"{told}: {scheme}:// is not known; give a local folder, or {known}")
    if {"@", ":"} & {*bucket}:  # a secret may hold a slash, so that its @ comes later
        raise StorageError(
            f"{told}: a key stands before the bucket, and URIs come into logs and reports; take it "
            "out, and give it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of "
            "every node, or by the nodes' own role"
        )
    unknown = {name for name, _ in parse_qsl(options, keep_blank_values=True)} - {*OPTIONS[scheme]}
    if unknown or not bucket:
        what = f"option {', '.join(sorted(unknown))}" if unknown else "no bucket"
        raise StorageError(
            f"{told}: {what}; it is {scheme}://bucket/prefix, after a ? any of "
            f"{', '.join(OPTIONS[scheme])}; keys come from the environment or the nodes' own role"
        )
    return CloudPath(scheme, key.strip("/"), mark + options if options else "")


@cache
def _filesystem(scheme: str, bucket: str, options: str, process: int) -> "fs.FileSystem":
    """A client; one that was made before a fork does not work after it."""
    from pyarrow import fs  # it takes a while, and most storages are folders

    if scheme != "s3":
        return fs.FileSystem.from_uri(f"{scheme}://{bucket}{options}")[0]
    chosen = dict(parse_qsl(options.removeprefix("?")))
    flags = {name: chosen.pop(name) == "true" for name in FLAGS if name in chosen}
    if not {"region", "endpoint_override"} & {*chosen}:
        chosen["region"] = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        **chosen,
        **flags,
        allow_delayed_open=True,  # a small file is one request, not three
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


class _Reading(io.RawIOBase):
    """An open file, whose errors are ours however it is read: pyarrow takes all for damage."""

    def __init__(self, path: CloudPath, file: "NativeFile") -> None:
        self._path, self._file = path, file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        with self._path._asked():
            return self._file.read(None if size < 0 else size)

    def readall(self) -> bytes:
        return self.read()

    def close(self) -> None:
        self._file.close()
        super().close()
