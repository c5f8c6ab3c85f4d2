"""What the demonstration reads and writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.standalone import reversal_report
from runner.standalone.reversal import STRATEGIES, recoveries, rmse
from tests.made.commands import invoke
from tests.made.demos import picture


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.png"
    Image.fromarray((255 * picture()).astype(np.uint8)).save(path)
    return path


@pytest.mark.slow
def test_the_command_writes_figures_and_errors_that_are_those_of_the_image(
    small: Path, tmp_path: Path
):
    out = tmp_path / "out"
    argument = ("--image", str(small), "--dt", "0.1", "--gamma", "0.2", "--out", str(out))
    code, printed = invoke("demo", "reversal", *argument)
    assert code == 0, printed
    names = {f"{name}.{form}" for name in ("recovery", "curve") for form in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == {*names, "results.json"}
    facts = json.loads((out / "results.json").read_text())
    image = reversal_report.read(small)
    for i, strategy in enumerate(STRATEGIES):
        found = recoveries(image, 0.2, 0.1, strategy, np.random.default_rng([0, i]))
        for who, error in facts["rmse"][strategy].items():
            assert error == rmse(found[who], image)
            assert f"{error:.4g}" in printed
    assert facts["rmse_of_one_grey"] == image.std()
    mean = [point["mean"] for point in facts["curve"]["rmse"]["additive"]["with_noise"]]
    assert mean == sorted(mean)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert invoke("demo", "reversal", *argument) == (0, printed)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_large_image_is_shrunk_and_keeps_its_shape_and_a_grey_one_gets_three_channels(
    tmp_path: Path,
):
    Image.new("L", (400, 200), 51).save(tmp_path / "grey.png")
    image = reversal_report.read(tmp_path / "grey.png")
    assert image.shape == (96, 192, 3)
    assert image == pytest.approx(np.full((96, 192, 3), 0.2))


def test_the_default_photograph_is_128_by_192():
    image = reversal_report.read(None)
    assert image.shape == (128, 192, 3)
    assert 0 <= image.min() < 0.1 < 0.9 < image.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--image", "nowhere.png"), "nowhere.png"),
        (("--image", __file__), "not an image"),
        (("--gamma", "-1"), "--gamma of 0 or more, got -1.0"),
        (("--gamma", "nan"), "--gamma of 0 or more"),
        (("--gamma", "1e9"), "overflow"),
        (("--dt", "0.3"), "a --dt of 0.0001 or more that divides 1"),
        (("--dt", "0"), "a --dt of 0.0001 or more that divides 1"),
        (("--dt", "nan"), "a --dt of 0.0001 or more that divides 1"),
        (("--dt", "1e-9"), "a --dt of 0.0001 or more that divides 1"),
        (("--dt", "2"), "a --dt of 0.0001 or more that divides 1"),
        (("--seed", "-1"), "--seed of 0 or more"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(arguments, reason, tmp_path, small):
    out = tmp_path / "out"
    image = () if "--image" in arguments else ("--image", str(small))
    code, printed = invoke("demo", "reversal", *image, *arguments, "--out", str(out))
    assert code == 2
    assert reason in printed
    assert len(printed.splitlines()) == 1
    assert not out.exists()
