"""Fixed views of an image: shifts, flips and corner crops."""

import pytest
import torch
import torch.nn.functional as F
from torchvision import transforms

from runner.data import VIEWS, to_float, view
from tests.made.pixels import pixels

SHIFTS = [name for name in VIEWS if "corner" not in name]
CORNERS = ("top_left", "top_right", "bottom_left", "bottom_right")
GRID = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]], dtype=torch.uint8).view(1, 1, 3, 3)


def test_to_float_maps_every_grey_level_to_its_255th():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    expected = torch.tensor([k / 255 for k in range(256)]).view(1, 1, 16, 16)
    assert torch.equal(to_float(levels), expected)
    assert levels.flatten().tolist() == list(range(256))


def test_there_are_eighteen_shifts_and_eight_corners_each_a_different_picture():
    assert len(SHIFTS) == 18
    assert len(VIEWS) == len(set(VIEWS.values())) == 26
    assert {"identity", "flip", "shift_up", "shift_down", "shift_left", "shift_right"} < set(VIEWS)
    assert {"flip_shift_up", "flip_shift_down", "flip_shift_left", "flip_shift_right"} < set(VIEWS)
    image = pixels(1, 1, 9, 9)
    assert len({tuple(view(image, name).flatten().tolist()) for name in VIEWS}) == 26


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),
        ("flip", [[2, 1, 0], [5, 4, 3], [8, 7, 6]]),
        ("shift_up", [[3, 4, 5], [6, 7, 8], [3, 4, 5]]),
        ("shift_down", [[3, 4, 5], [0, 1, 2], [3, 4, 5]]),
        ("shift_left", [[1, 2, 1], [4, 5, 4], [7, 8, 7]]),
        ("shift_right", [[1, 0, 1], [4, 3, 4], [7, 6, 7]]),
        ("shift_up_left", [[4, 5, 4], [7, 8, 7], [4, 5, 4]]),
        ("flip_shift_left", [[1, 0, 1], [4, 3, 4], [7, 6, 7]]),
    ],
)
def test_a_view_of_nine_numbers_is_as_drawn_by_hand(name: str, expected: list[list[int]]):
    assert view(GRID, name)[0, 0].tolist() == expected


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_shift_is_a_slice_of_torchs_reflection_padding(name: str, dtype: torch.dtype):
    images = pixels(3, 2, 6, 5).to(dtype)
    flip, down, right, _ = VIEWS[name]
    padded = F.pad((images.flip(3) if flip else images).double(), (1, 1, 1, 1), mode="reflect")
    expected = padded[:, :, 1 - down : 7 - down, 1 - right : 6 - right].to(dtype)
    shown = view(images, name)
    assert shown.dtype == dtype
    assert torch.equal(shown, expected)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_ten_queries_of_demems_official_code_are_torchvisions_five_crops(
    dtype: torch.dtype, flip: bool
):
    images = pixels(3, 2, 11, 11).to(dtype)
    shown = images.flip(3) if flip else images
    crops = transforms.FiveCrop(11)(transforms.Pad(4)(shown))  # in the order of CORNERS, centre
    names = [*(f"corner_{corner}" for corner in CORNERS), "flip" if flip else "identity"]
    for name, crop in zip(names, crops, strict=True):
        found = view(images, f"flip_{name}" if flip and name != "flip" else name)
        assert found.dtype == dtype
        assert torch.equal(found, crop)


def test_a_corner_crop_of_an_image_no_wider_than_its_padding_is_all_zeros():
    assert view(pixels(1, 3, 4, 4), "corner_top_left").eq(0).all()


def test_flipping_twice_is_the_identity():
    images = pixels(3, 3, 8, 8)
    assert torch.equal(view(view(images, "flip"), "flip"), images)
    assert torch.equal(view(images, "identity"), images)


@pytest.mark.parametrize(
    ("there", "back"), [("shift_up", "shift_down"), ("shift_left", "shift_right")]
)
def test_shifting_there_and_back_restores_the_inside(there: str, back: str):
    images = pixels(3, 3, 8, 8)
    again = view(view(images, there), back)
    assert torch.equal(again[:, :, 1:-1, 1:-1], images[:, :, 1:-1, 1:-1])


def test_an_unknown_view_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="unknown view 'shift_rihgt'; did you mean 'shift_right'"):
        view(GRID, "shift_rihgt")
