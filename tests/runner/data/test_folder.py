"""Your own images in folders of classes."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.made.datasets import RNG, load


def write(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 10) -> np.ndarray:
    """Grey images of 6 x 5 pixels, class after class, two of each patient."""
    images = RNG().integers(0, 256, (len(classes), each, 6, 5), dtype=np.uint8)
    for name, some in zip(classes, images, strict=True):
        (folder / name / "deep").mkdir(parents=True)
        for i, image in enumerate(some):
            Image.fromarray(image).save(folder / name / "deep" / f"p{i // 2:02}_{i:02}.png")
    return images.reshape(-1, 1, 6, 5)


def test_a_folder_for_each_class_is_read_and_an_example_is_called_by_its_file(tmp_path: Path):
    images = write(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".cache").mkdir()
    loaded = load("folder", tmp_path, test_fraction=0.2)
    assert loaded.class_names == ("cat", "dog")
    assert (len(loaded.pool_labels), len(loaded.test_labels)) == (16, 4)
    for split in ("pool", "test"):
        of = {k: getattr(loaded, f"{split}_{k}") for k in ("images", "labels", "ids")}
        for image, label, file in zip(of["images"], of["labels"], of["ids"]["file"], strict=True):
            assert file.startswith(f"{('cat', 'dog')[label]}/deep/")
            assert np.array_equal(image, images[10 * label + int(file[-6:-4])])
    assert loaded.remarks == ("classes by their names: 0 is cat, 1 is dog",)


def test_train_and_test_are_taken_as_they_are_and_val_is_told(tmp_path: Path):
    images = write(tmp_path / "train")
    write(tmp_path / "test", each=3)
    write(tmp_path / "val", each=2)
    loaded = load("folder", tmp_path)
    assert np.array_equal(loaded.pool_images, images)
    assert loaded.test_ids["file"][0] == "test/cat/deep/p00_00.png"
    assert "val/ beside test/ is not read" in loaded.remarks


def test_a_group_is_what_a_pattern_finds_and_the_test_split_tears_none(tmp_path: Path):
    write(tmp_path)
    loaded = load("folder", tmp_path, group=r"([a-z]+/deep/p\d+)_", test_fraction=0.3)
    assert {*loaded.pool_ids["group"]}.isdisjoint(loaded.test_ids["group"])
    assert loaded.groups is not None
    assert np.bincount(loaded.groups).tolist() == [2] * 7
    with pytest.raises(ValueError, match=r"matches 10 of 20 files, and not 'dog/deep/p00_00.png'"):
        load("folder", tmp_path, group=r"cat/deep/(p\d+)")
    with pytest.raises(ValueError, match="5 groups"):
        load("folder", tmp_path, group=r"(p\d+)_")


def test_only_what_is_chosen_is_decoded(tmp_path: Path):
    write(tmp_path)
    chosen = load("folder", tmp_path, num_examples=4, test_fraction=0)
    for file in {*tmp_path.rglob("*.png")} - {tmp_path / f for f in chosen.pool_ids["file"]}:
        file.write_bytes(b"no image")
    assert load("folder", tmp_path, num_examples=4, test_fraction=0).digest() == chosen.digest()


def png(depth: int, colour: int, width: int, rows: np.ndarray) -> bytes:
    """A PNG of one-row-after-another bytes, of a kind that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def shown(folder: Path, content: bytes | Image.Image, ending: str = "png", **fields: object):
    """What becomes of one image, which is there beside plain ones of its size."""
    write(folder)
    file = folder / "cat" / f"a.{ending}"  # before the folder `deep`
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        content.save(file)
    return load("folder", folder, test_fraction=0, **fields).pool_images[0]


def test_16_bits_become_8_by_scaling_and_not_by_cutting(tmp_path: Path):
    levels = np.linspace(0, 65535, 30).astype(">u2").reshape(6, 5)
    found = shown(tmp_path, png(16, 0, 5, levels))
    assert np.array_equal(found[0], np.rint(levels / 257))


def test_palettes_are_their_colours_and_alpha_is_dropped(tmp_path: Path):
    colours = RNG().integers(0, 256, (6, 5, 4), dtype=np.uint8)
    assert np.array_equal(
        shown(tmp_path, Image.fromarray(colours)), colours[..., :3].transpose(2, 0, 1)
    )
    palette = Image.fromarray(RNG().integers(0, 2, (6, 5), dtype=np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 200, 100, 50])
    expected = np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(shown(tmp_path / "p", palette), expected)
    grey = shown(tmp_path / "g", palette, channels=1)
    assert np.array_equal(grey[0], np.asarray(palette.convert("RGB").convert("L")))


def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path):
    lying = Image.fromarray(RNG().integers(0, 256, (5, 6), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right sets it upright
    write(tmp_path)
    lying.save(tmp_path / "cat" / "a.png", exif=exif)
    found = load("folder", tmp_path, test_fraction=0).pool_images[0]
    assert np.array_equal(found[0], np.rot90(np.asarray(lying), -1))


def test_size_squeezes_or_crops_first(tmp_path: Path):
    wide = Image.fromarray(np.tile(np.repeat([0, 255, 255, 0], 4).astype(np.uint8), (8, 1)))
    assert shown(tmp_path, wide, size=4).min() < 128
    assert shown(tmp_path / "c", wide, size=[4, 4], crop=True).min() > 200
    with pytest.raises(
        ValueError, match=r"several sizes.*a.png' \(16 x 8\) and .* \(5 x 6\): give"
    ):
        load("folder", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda at: (at / "cat" / "bad.png").write_bytes(b"no"), "cannot read the image .*bad.png"),
        (lambda at: (at / "bird").mkdir(), "no image in .*bird', which would be a class"),
        (lambda at: write(at / "train") is None, "has train/ and also cat/"),
        (lambda at: (at / "cat").rename(at / "dog" / "cat"), "two classes or more .* got dog"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, change, said: str):
    write(tmp_path)
    change(tmp_path)
    with pytest.raises(ValueError, match=said):
        load("folder", tmp_path)


def test_a_class_of_the_test_split_alone_is_refused(tmp_path: Path):
    write(tmp_path / "train")
    write(tmp_path / "test", ("dog", "eel"))
    with pytest.raises(ValueError, match=r"classes that the training split lacks \(eel\)"):
        load("folder", tmp_path)
    with pytest.raises(ValueError, match=r"no folder at .*set data.root to the folder of images"):
        load("folder", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no folders of classes"):
        load("folder", tmp_path / "test" / "eel" / "deep")
