import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.report.vulnerable_sheet import (
    ACROSS,
    BELOW,
    BORDER,
    CELL,
    HEAD,
    PITCH,
    alt,
    caption,
    scale,
    sheet_arms,
    vulnerable_png,
)


def one(example: int, memorization: float | None = 0.5) -> dict[str, Any]:
    return {
        "example": example,
        "label": example % 3,
        "num_in": 8,
        "flagged_in": 8 - example % 2,
        "memorization": memorization,
        "standard_error": None if memorization is None else 0.125,
    }


def test_below_an_image_stands_who_it_is():
    row = one(3) | {"source": {"source_row": 17, "split": "train"}}
    file = one(3) | {"source": {"file": "patients/8863/8863_idx5_x1001_y801_class0.png"}}
    assert caption(row).splitlines()[0] == "row 17"
    assert caption(file).splitlines()[0] == "\N{HORIZONTAL ELLIPSIS}5_x1001_y801_class0.png"
    assert caption(one(3)).splitlines()[0] == "class 0"


def results_of(**tops: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"arms": {arm: {"vulnerable": top and {"top": top}} for arm, top in tops.items()}}


def images_of(num: int, channels: int, side: int) -> np.ndarray:
    shape = (num, channels, side, side)
    return np.random.default_rng(0).integers(0, 128, shape, dtype=np.uint8)


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32), (3, 50), (1, 300)])
def test_every_image_stands_in_its_place_pixel_for_pixel(channels: int, side: int):
    images = images_of(12, channels, side)
    png = vulnerable_png(results_of(erm=[one(i) for i in range(11, 0, -1)]), images)
    assert png is not None
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    times, every = max(1, CELL // side), -(-side // CELL)
    tall = len(range(0, side, every)) * times
    assert tall <= CELL
    assert sheet.shape[1] == 2 * BORDER + ACROSS * PITCH
    assert sheet.shape[0] == 2 * BORDER + HEAD + 2 * (tall + BELOW)
    for place, example in enumerate(range(11, 0, -1)):
        y = BORDER + HEAD + place // ACROSS * (tall + BELOW)
        x = BORDER + place % ACROSS * PITCH + (PITCH - tall) // 2
        shown = sheet[y : y + tall, x : x + tall]
        for row in range(tall):
            pixel = images[example, :, row // times * every, 0]
            assert shown[row, 0].tolist() == (pixel if channels == 3 else pixel.repeat(3)).tolist()
        assert np.array_equal(shown, scale(images[example]))


def test_below_each_stand_its_class_how_often_it_is_found_and_its_memorization():
    assert caption(one(7)) == "class 1\nfound in 7 of 8\nmem. 0.50 ± 0.12"
    assert caption(one(7, -0.25)) == "class 1\nfound in 7 of 8\nmem. \N{MINUS SIGN}0.25 ± 0.12"
    assert caption(one(2, None)) == "class 2\nfound in 8 of 8"


def test_three_arms_at_most_are_drawn_and_arms_without_examples_are_left_out():
    top = [one(1)]
    found = results_of(a=None, b=top, c=[], d=top, e=top, f=top)
    assert list(sheet_arms(found)) == ["b", "d", "e"]
    assert vulnerable_png(results_of(a=None, c=[]), images_of(2, 1, 8)) is None


def test_the_sheet_is_told_in_words():
    found = alt(results_of(erm=[one(1), one(4), one(6)], pgd_at=[one(2)]))
    assert found == (
        "erm: 3 images (1 of class 0, 2 of class 1), found in 88 % to 100 % of their models; "
        "pgd_at: 1 images (1 of class 2), found in 100 % to 100 % of their models"
    )


def test_the_same_images_give_the_same_bytes():
    found, images = results_of(erm=[one(1), one(2)]), images_of(3, 3, 32)
    assert vulnerable_png(found, images) == vulnerable_png(found, images)
