#!/usr/bin/env bash
# Pillow 13.0.0: a 16-bit grey PNG made "RGB" or "L" by Image.convert is cut at 255, so that all but
# the darkest 0.4 % of its levels are white; a 16-bit colour PNG is scaled to 8 bits when it is opened.
#
#     bash findings/pillow_grey_16_bits_are_cut.sh
#
# Seen on 2026-12-01, Linux x86-64, Python 3.11:
#
#     Pillow 13.0.0
#     grey,   16 bits: opened as I;16, L is 0 255 255 255, RGB is 0 255 255 255
#     colour, 16 bits: opened as RGB, its red is 0 85 170 255
#
# So whoever reads folders of images by image.convert("RGB"), as torchvision's default_loader does,
# trains on nearly white radiographs without a warning. Exit code 1, if this is seen no more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pillow==13.0.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import io
import struct
import sys
import zlib

import numpy as np
import PIL
from PIL import Image

LEVELS = np.array([0, 21845, 43690, 65535], ">u2")  # 0, 85, 170 and 255 of 8 bits


def png(colour, row):
    """A PNG of one row of four pixels, 16 bits a channel."""

    def chunk(kind, content):
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", 4, 1, 16, colour, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" + row.tobytes())), (b"IEND", b"")]
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


grey, colour = Image.open(png(0, LEVELS)), Image.open(png(2, np.repeat(LEVELS, 3)))
as_l, as_rgb = np.asarray(grey.convert("L"))[0], np.asarray(grey.convert("RGB"))[0, :, 0]
red = np.asarray(colour)[0, :, 0]
print("Pillow", PIL.__version__)
print(f"grey,   16 bits: opened as {grey.mode}, L is", *as_l, end=", RGB is ")
print(*as_rgb)
print(f"colour, 16 bits: opened as {colour.mode}, its red is", *red)
cut, scaled = [0, 255, 255, 255], [0, 85, 170, 255]
sys.exit((as_l.tolist(), as_rgb.tolist(), red.tolist()) != (cut, cut, scaled))
PYTHON
