import io
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from runner.report.samples import CELL, GAP, sample_png, sample_sheet, thumbnails, tiled


def pool(num: int, num_classes: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise; the classes take turns, the last one first."""
    images = np.random.default_rng(0).integers(0, 256, (num, *shape), dtype=np.uint8)
    return images, num_classes - 1 - np.arange(num) % num_classes


def enlarged(image: np.ndarray, times: int) -> np.ndarray:
    """(channels, H, W) -> (H * times, W * times, 3), the slow way."""
    rgb = np.stack([image[min(c, len(image) - 1)] for c in range(3)], axis=-1)
    return np.kron(rgb, np.ones((times, times, 1), dtype=np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_each_row_holds_the_first_images_of_its_class_in_order(channels: int):
    images, labels = pool(20, 4, (channels, 5, 6))
    cells = thumbnails(images, labels, 4, per_class=3)
    assert cells.shape == (4, 3, 5, 6, channels)
    assert cells.dtype == np.uint8
    for k in range(4):
        for i in range(3):
            expected = images[3 - k + 4 * i]  # class 3 is seen at 0, 4, 8, class 0 at 3, 7, 11
            assert np.array_equal(cells[k, i], expected.transpose(1, 2, 0))


def test_a_class_with_too_few_images_leaves_its_row_white():
    images, _ = pool(3, 3, (1, 4, 4))
    cells = thumbnails(images, np.array([2, 0, 2]), 3, per_class=4)
    assert np.array_equal(cells[0, 0, :, :, 0], images[1, 0])
    assert np.array_equal(cells[2, :2, :, :, 0], images[[0, 2], 0])
    for blank in (cells[0, 1:], cells[1], cells[2, 2:]):
        assert (blank == 255).all()


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (1, 28), (3, 32), (3, 50)])
def test_the_sheet_repeats_every_pixel_and_leaves_white_between(channels: int, side: int):
    images, labels = pool(12, 3, (channels, side, side))
    images //= 2  # no white in an image
    sheet = tiled(thumbnails(images, labels, 3, per_class=4))
    times = CELL // side
    pitch = side * times + GAP
    assert sheet.shape == (3 * pitch - GAP, 4 * pitch - GAP, 3)
    white = np.ones(sheet.shape[:2], dtype=bool)
    for k in range(3):
        for i in range(4):
            at = np.s_[k * pitch : (k + 1) * pitch - GAP, i * pitch : (i + 1) * pitch - GAP]
            assert np.array_equal(sheet[at], enlarged(images[2 - k + 3 * i], times))
            white[at] = False
    assert (sheet[white] == 255).all()


def test_the_first_of_an_unusual_number_of_channels_is_drawn_in_grey():
    images, labels = pool(4, 2, (2, 8, 8))
    other = images.copy()
    other[:, 1] = 0
    sheet = tiled(thumbnails(images, labels, 2, per_class=2))
    assert np.array_equal(sheet, tiled(thumbnails(other[:, :1], labels, 2, per_class=2)))
    assert (sheet == sheet[:, :, :1]).all()


def test_large_images_are_thinned_to_fit_their_cell():
    images, labels = pool(2, 2, (3, 150, 130))
    sheet = tiled(thumbnails(images, labels, 2, per_class=1))
    assert sheet.shape == (50 + GAP + 50, 44, 3)
    assert np.array_equal(sheet[:50], images[1, :, ::3, ::3].transpose(1, 2, 0))


@pytest.mark.parametrize(("num_classes", "channels", "side"), [(2, 1, 28), (10, 3, 32), (12, 1, 8)])
def test_the_figure_shows_the_sheet_pixel_for_pixel(num_classes: int, channels: int, side: int):
    images, labels = pool(8 * num_classes, num_classes, (channels, side, side))
    figure = sample_sheet(images, labels, num_classes)
    sheet = tiled(thumbnails(images, labels, num_classes, 8))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[:, :, :3]
    (axes,) = figure.axes
    left, bottom, right, top = (round(x) for x in axes.get_window_extent().extents)
    assert np.array_equal(drawn[len(drawn) - top : len(drawn) - bottom, left:right], sheet)


def test_the_png_is_the_figure_and_the_same_bytes_twice():
    images, labels = pool(30, 3, (3, 8, 8))
    content = sample_png(images, labels, 3)
    assert sample_png(images, labels, 3) == content
    with Image.open(io.BytesIO(content)) as image:
        assert "Software" not in image.info
        shown = np.asarray(image.convert("RGB"))
    canvas = FigureCanvasAgg(sample_sheet(images, labels, 3))
    canvas.draw()
    assert np.array_equal(shown, np.asarray(canvas.buffer_rgba())[:, :, :3])


def test_a_readers_own_matplotlib_settings_change_nothing():
    images, labels = pool(30, 3, (1, 8, 8))
    content = sample_png(images, labels, 3)
    own: Any = {"image.origin": "lower", "image.interpolation": "bilinear", "savefig.dpi": 50}
    with matplotlib.rc_context(own):
        assert sample_png(images, labels, 3) == content


def test_rows_are_named_by_class_and_the_names_stand_beside_their_row():
    images, labels = pool(12, 3, (1, 8, 8))
    (axes,) = sample_sheet(images, labels, 3, per_class=2).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"class {k}" for k in "012"]
    pitch = 64 + GAP
    assert axes.get_yticks() == pytest.approx([31.5, 31.5 + pitch, 31.5 + 2 * pitch])
    assert axes.get_title("left") == ""
    assert list(axes.get_xticks()) == []


def test_of_more_than_ten_classes_ten_are_shown_and_it_says_so():
    images, labels = pool(200, 100, (1, 8, 8))
    cells = thumbnails(images, labels, 100, per_class=2)
    assert np.array_equal(cells, thumbnails(images, labels, 10, per_class=2))
    assert len(cells) == 10
    (axes,) = sample_sheet(images, labels, 100).axes
    assert axes.get_title("left") == "10 of 100 classes"
    assert len(axes.get_yticks()) == 10


def test_everything_written_lies_inside_the_figure():
    images, labels = pool(24, 12, (1, 8, 8))
    figure = sample_sheet(images, labels, 12, per_class=2)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for text in [*axes.get_yticklabels(), axes.title, axes._left_title]:  # type: ignore[attr-defined]
        left, bottom, right, top = text.get_window_extent().extents
        assert 0 <= left <= right <= figure.bbox.width
        assert 0 <= bottom <= top <= figure.bbox.height
