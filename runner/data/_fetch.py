"""A published file: from the disk, else downloaded and checked."""

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from runner.data import Data

TIMEOUT_S = 10.0  # of silence on the line
log = logging.getLogger(__name__)


def obtain(data: Data, title: str, wanted: str, file: Path, urls: Sequence[str], md5: str) -> Path:
    """Return `file`, downloaded first if it is not there and `data.download` allows it.

    A download is written aside, checked and renamed, so that several workers may ask at once.

    Args:
        title: what the data set is called, for the message.
        wanted: what to put under `data.root` by hand, for the message.
        urls: tried in this order.
        md5: published checksum of a downloaded file; a file found on the disk is not checked.

    Raises:
        ValueError: the file is not there and could not be downloaded; says why and what to do.
    """
    if file.is_file():
        return file
    if not data.download:
        raise ValueError(
            f"no {title} under '{data.root}': put {wanted} there, or set data.download: true"
        )
    faults = []
    for url in urls:
        try:
            _download(url, file, md5)
            return file
        except (OSError, http.client.HTTPException) as error:
            faults.append(f"{url}: {error}")
    raise ValueError(
        f"no {title} under '{data.root}', and the download failed ({'; '.join(faults)}): "
        f"put {wanted} there by hand"
    )


def damaged(file: Path, why: object) -> ValueError:
    """Return the error for a file that is not what its name says."""
    return ValueError(f"cannot read '{file}': {why}; replace the file, or delete it to download it")


def _download(url: str, file: Path, md5: str) -> None:
    """Put the checked content of `url` at `file`, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".download-") as aside:
        part, seen = Path(aside) / file.name, hashlib.md5(usedforsecurity=False)
        log.info("downloading %s", url)
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, part.open("wb") as out:
            while chunk := answer.read(1 << 20):
                seen.update(chunk)
                out.write(chunk)
        if seen.hexdigest() != md5:
            raise OSError(f"the md5 of what came is {seen.hexdigest()}, expected {md5}")
        os.replace(part, file)
