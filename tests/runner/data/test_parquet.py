"""Your own images in Parquet files."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.made.datasets import RNG, load

IMAGES = RNG().integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 2


def encoded(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, format="png")
    return out.getvalue()


def write(file: Path, rows: slice = slice(None), names: tuple[str, ...] = (), **columns: Any):
    """As Hugging Face's `datasets` writes: a struct, and the names of classes in the schema."""
    images = [{"bytes": encoded(image), "path": "0.png"} for image in IMAGES[rows]]
    whole = pa.table({"image": images, "label": LABELS[rows], **columns})
    if names:
        features = {"label": {"names": list(names), "_type": "ClassLabel"}}
        said = {"huggingface": json.dumps({"info": {"features": features}})}
        whole = whole.replace_schema_metadata(said)
    file.parent.mkdir(exist_ok=True)
    pq.write_table(whole, file)


def test_hugging_faces_shards_are_read_with_the_names_of_their_classes(tmp_path: Path):
    data = tmp_path / "data"
    write(data / "train-00000-of-00002.parquet", slice(0, 20), ("well", "ill"))
    write(data / "train-00001-of-00002.parquet", slice(20, 30), ("well", "ill"))
    write(data / "test-00000-of-00001.parquet", slice(30, 40), ("well", "ill"))
    write(data / "validation-00000-of-00001.parquet", slice(30, 40), ("well", "ill"))
    loaded = load("parquet", tmp_path)
    assert np.array_equal(loaded.pool_images.transpose(0, 2, 3, 1), IMAGES[:30])
    assert np.array_equal(loaded.test_images.transpose(0, 2, 3, 1), IMAGES[30:])
    assert loaded.class_names == ("well", "ill")
    assert loaded.pool_ids["source_row"].tolist() == list(range(30))
    assert loaded.pool_ids["class"][:2].tolist() == ["well", "ill"]
    assert "validation files beside those of test are not read" in loaded.remarks


@pytest.mark.parametrize("kind", ["bytes", "nested", "fixed", "floats"])
def test_plain_bytes_and_lists_of_pixels_are_read_alike(tmp_path: Path, kind: str):
    images: Any = [encoded(image) for image in IMAGES]
    if kind == "nested":
        images = IMAGES.tolist()
    elif kind == "fixed":
        images = pa.FixedSizeListArray.from_arrays(pa.array(IMAGES.reshape(-1)), 3)
        images = pa.FixedSizeListArray.from_arrays(images, 5)
        images = pa.FixedSizeListArray.from_arrays(images, 6)
    elif kind == "floats":
        images = (IMAGES / 255).tolist()
    columns = {"scan": images, "sick": np.where(LABELS, "yes", "no"), "who": np.arange(40) + 100}
    pq.write_table(pa.table({**columns, "site": np.arange(40) // 4}), tmp_path / "a.parquet")
    fields = {"image": "scan", "label": "sick", "id": "who", "group": "site"}
    loaded = load("parquet", tmp_path / "a.parquet", **fields)
    assert loaded.class_names == ("no", "yes")
    assert {*loaded.pool_ids["group"]}.isdisjoint(loaded.test_ids["group"])
    for image, name in zip(loaded.pool_images, loaded.pool_ids["id"], strict=True):
        assert np.array_equal(image.transpose(1, 2, 0), IMAGES[int(name) - 100])


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path):
    file = tmp_path / "a.parquet"
    write(file)
    for fields, said in (
        ({"image": "scan"}, r"has the columns image, label: which of them has the images\?"),
        ({"label": "sick"}, "data.label: .* has no column 'sick', but image, label"),
        ({"image": "label"}, "expected bytes of image files.*got int64"),
        ({"id": "label"}, "0, 1 stand there more than once"),
        ({"group": "label"}, "2 groups"),
    ):
        with pytest.raises(ValueError, match=said):
            load("parquet", file, **fields)
    broken = [encoded(image) for image in IMAGES]
    broken[3] = broken[3][:40]
    pq.write_table(pa.table({"image": broken, "label": LABELS}), file)
    with pytest.raises(ValueError, match="cannot read the image in row 3 of"):
        load("parquet", file)
    pq.write_table(pa.table({"image": [None, *broken[1:]], "label": LABELS}), file)
    with pytest.raises(ValueError, match="1 rows have no image, row 0 among them"):
        load("parquet", file, test_fraction=0)
    pq.write_table(pa.table({"image": broken, "label": [None, *LABELS[1:]]}), file)
    with pytest.raises(ValueError, match="1 values of label are missing, the first in row 0"):
        load("parquet", file)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=f"cannot read '{file}'"):
        load("parquet", file)
    with pytest.raises(ValueError, match="no Parquet file at"):
        load("parquet", tmp_path / "nowhere")
