"""Whether a file holds pixels of images, in whatever form a report or an archive may have them."""

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROW = 8  # pixels of an image that are looked for side by side; eight bytes are one number


def files_with_pixels(folder: Path, images: np.ndarray) -> list[str]:
    """The files below a folder that hold a part of a row of images (N, channels, H, W) uint8."""
    rows = np.ascontiguousarray(images[:, 0, :, :ROW]).reshape(-1, ROW)
    told_apart = [len(set(row.tolist())) > ROW // 2 for row in rows]  # not a blank margin
    looked_for = rows[told_apart].view(np.uint64).ravel()
    assert len(looked_for), "the images have rows to be looked for"
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if any(_holds(content, looked_for) for content in _contents(file.read_bytes())):
            found.append(file.relative_to(folder).as_posix())
    return found


def _holds(content: bytes, rows: np.ndarray) -> bool:
    """As bytes, as numbers in text, and as whole numbers or floats in [0, 1] of some size."""
    texts = [content]
    for kind in (np.float32, np.float64, np.int32, np.int64):
        values = np.frombuffer(content[: len(content) // 8 * 8], kind)
        if values.dtype.kind == "f":
            with np.errstate(invalid="ignore", over="ignore"):
                values = values.astype(np.float64) * 255
                texts.append(_levels(np.where(np.abs(values / 255) <= 255, values / 255, 0)))
                values = np.where(np.abs(values) <= 255.5, values, 0)
        texts.append(_levels(values))
    numbers = re.findall(rb"\d+", content) if len(content) < 1 << 20 else []
    texts.append(bytes(int(n) if len(n) < 4 and int(n) < 256 else 0 for n in numbers))
    return any(np.isin(_windows(text), rows).any() for text in texts)


def _levels(values: np.ndarray) -> bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()


def _windows(text: bytes) -> np.ndarray:
    """Each eight bytes that stand side by side, as a number."""
    cut = [text[i : i + (len(text) - i) // ROW * ROW] for i in range(min(ROW, len(text)))]
    return np.concatenate([np.empty(0, np.uint64), *(np.frombuffer(c, np.uint64) for c in cut)])


def _contents(raw: bytes) -> Iterator[bytes]:
    """A file as it is, and all that is packed into it."""
    yield raw
    if raw[:8] == b"\x89PNG\r\n\x1a\n" or raw[:2] == b"\xff\xd8":
        picture = np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"))
        for every in range(1, 17):  # a pixel may be drawn as a square of so many
            for start in range(every):
                yield picture[:, start::every, 0].tobytes()
    for uri in re.findall(rb"base64,\s*([A-Za-z0-9+/=\s]+)", raw):
        yield from _contents(base64.b64decode(uri))
    if raw[:4] == b"%PDF":
        for packed in re.findall(rb"stream\r?\n(.*?)endstream", raw, re.DOTALL):
            try:
                yield zlib.decompress(packed)
            except zlib.error:
                continue
    if raw[:2] == b"\x1f\x8b":
        yield from _contents(gzip.decompress(raw))
    if raw[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                yield from _contents(archive.read(name))
    if raw[:4] == b"PAR1":
        for column in pq.read_table(io.BytesIO(raw)).combine_chunks().columns:
            for chunk in column.chunks:
                flat = chunk.flatten() if pa.types.is_nested(chunk.type) else chunk
                if pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type):
                    yield np.ascontiguousarray(flat.to_numpy(zero_copy_only=False)).tobytes()
                else:
                    yield b"".join(str(value).encode() for value in flat.to_pylist())
