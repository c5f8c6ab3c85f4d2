"""Whose images a report shows: nobody's, unless it is asked to or everybody can have them."""

import base64
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from runner import pipeline
from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from tests.conftest import TINY, do_here
from tests.made.datasets import write_idx_files
from tests.made.left_pixels import files_with_pixels

SHOWN = {
    "all": ["examples.png", "index.html", "samples.png"],
    "samples": ["index.html", "samples.png"],
}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """120 images of 12x12 grey pixels, of which each row is like no other."""
    return np.random.default_rng(0).integers(0, 256, (120, 1, 12, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def storage(images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where six models of these images, with their answers and scores, lie."""
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "mine.npz", images=images[:, 0], labels=np.arange(120) % 3)
    work = do_here(prepare(experiment(folder), folder / "storage"))
    pipeline.describe(work)
    return folder


def experiment(folder: Path, **chosen: Any) -> Experiment:
    """An experiment that finds examples at risk: models that learn every image by heart."""
    changed = {
        "data": {"name": "npz", "root": str(folder / "mine.npz"), "test_fraction": 0.1},
        "model": {"name": "mlp"},
        "training": {**TINY["training"], "epochs": 40},
        "design": {"name": "pairs", "num_models": 8},
        "arms": {"erm": {"defense": {"name": "erm"}}},
        "vulnerable": {"false_positive_rate": 0.1},
        "report": chosen,
    }
    return Experiment.model_validate(TINY | changed)


def reported(folder: Path, **chosen: Any) -> Work:
    work = prepare(experiment(folder, **chosen), folder / "storage")
    pipeline.report(work, {"trained": 0, "reused": 8})
    return work


@pytest.mark.slow
def test_no_file_has_a_pixel_of_ones_own_images(storage: Path, images: np.ndarray):
    """After reports that showed them, which are written anew."""
    for asked, shown in SHOWN.items():
        work = reported(storage, images=asked)
        found = files_with_pixels(storage / "storage", images)
        at = Path(str(work.folder)).relative_to(storage / "storage") / "report"
        assert found == [f"{at.as_posix()}/{name}" for name in shown]
    work = reported(storage)
    assert work.images == "none"
    assert files_with_pixels(storage / "storage", images) == []
    assert (storage / "storage" / "experiments" / "tiny" / "report" / "examples.csv").is_file()
    assert reported(storage, images="none").images == "none"
    assert files_with_pixels(storage / "storage", images) == []


def test_published_data_are_shown_and_what_only_is_called_so_is_not(tmp_path: Path):
    def shown(data: dict[str, Any], **report: Any) -> str:
        changed = {"data": data, "report": report}
        return prepare(Experiment.model_validate(TINY | changed), tmp_path / "storage").images

    write_idx_files(tmp_path / "mnist")
    own = {"name": "mnist", "root": str(tmp_path / "mnist")}
    assert shown({"name": "digits", "num_examples": 200}) == "all"
    assert shown({"name": "digits", "num_examples": 200}, images="samples") == "samples"
    assert shown({"name": "digits", "num_examples": 200}, images="none") == "none"
    assert shown(own) == "none"
    assert shown(own, images="all") == "all"
    with pytest.raises(ValueError, match="images"):
        shown(own, images="some")


def test_pixels_are_found_in_whatever_they_are_packed_into(tmp_path: Path, images: np.ndarray):
    """The test above says something only if this one holds."""
    one = images[5, 0]
    large = np.repeat(np.repeat(one, 5, 0), 5, 1)
    canvas = np.full((90, 100), 255, np.uint8)
    canvas[7:67, 13:73] = large
    picture = io.BytesIO()
    Image.fromarray(canvas).save(picture, "png")
    (tmp_path / "a.png").write_bytes(picture.getvalue())
    uri = b'<img src="data:image/png;base64,' + base64.b64encode(picture.getvalue()) + b'">'
    (tmp_path / "b.html").write_bytes(uri)
    np.savez_compressed(tmp_path / "c.npz", x=one.astype(np.float32) / 255)
    pq.write_table(pa.table({"x": [one.ravel().tolist()]}), tmp_path / "d.parquet")
    (tmp_path / "e.csv").write_text("\n".join(",".join(map(str, row)) for row in one))
    (tmp_path / "f.gz").write_bytes(gzip.compress(one.tobytes()))
    np.save(tmp_path / "g.npy", one.astype(np.float64))
    (tmp_path / "h.txt").write_text("no pixel: 1, 2, 3, 4, 5, 6, 7, 8")
    assert files_with_pixels(tmp_path, images) == [
        *("a.png", "b.html", "c.npz", "d.parquet", "e.csv", "f.gz", "g.npy")
    ]
