import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.demos import BadInput, output, reversal_report
from runner.demos.reversal import (
    STRATEGIES,
    displacement,
    evolve,
    psnr_db,
    recoveries,
    rmse,
    velocity,
)
from tests.made.commands import invoke


def picture(rows: int = 12, cols: int = 18, channels: int = 3) -> np.ndarray:
    i, j, k = np.ogrid[:rows, :cols, :channels]
    return 0.5 + 0.5 * np.sin(i / 3 + j / 4 + k)


def as_matrix(sources: np.ndarray) -> np.ndarray:
    """F as a matrix on the pixels of one channel."""
    return np.eye(len(sources))[sources]


def mean_square(matrix: np.ndarray) -> float:
    """The mean over pixels of the variance that unit noise has behind a matrix."""
    return float((matrix**2).sum() / len(matrix))


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 5, 2), (23, 40, 3), (200, 8, 1)])
def test_the_velocity_is_algorithm_1_loop_by_loop(shape: tuple[int, int, int]):
    image = np.random.default_rng(0).uniform(size=shape)
    rows, cols, channels = shape
    expected = np.empty(shape)
    for k in range(channels):
        for i in range(rows):
            for j in range(cols):
                offset_j = int((j + 50.0 * math.cos(2 * math.pi * i / 180)) % cols)
                offset_i = int((i + 50.0 * math.sin(2 * math.pi * i / 180)) % rows)
                expected[i, j, k] = image[(i + offset_j) % rows, (j + offset_i) % cols, k]
    assert np.array_equal(velocity(image, displacement(rows, cols)), expected)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_noise_of_time_1_has_mean_0_and_standard_deviation_gamma(strategy, sign: int):
    """With dt = 1 there is one increment; F is taken out of it. In units of pixels in [0, 1]."""
    image, sources = np.full((200, 200, 3), 0.5), displacement(200, 200)
    after = evolve(image, sources, sign * 1.0, 0.3, strategy, np.random.default_rng(0))
    noise = (after - image - sign * velocity(image, sources)).ravel()
    expected = 0.3 * (0.5 if strategy == "multiplicative" else 1)
    assert noise.mean() == pytest.approx(0, abs=4 * expected / math.sqrt(noise.size))
    assert noise.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * noise.size))


def test_the_noise_of_a_step_shrinks_as_the_root_of_dt():
    """Each of n steps adds gamma sqrt(dt) and grows by 1 + dt where one pixel stands for all."""
    dt, sources = 0.25, displacement(1, 1)
    rng = np.random.default_rng(0)
    ends = evolve(np.zeros((1, 1, 40_000)), sources, dt, 2.0, "additive", rng)
    expected = 2.0 * math.sqrt(dt * sum((1 + dt) ** (2 * k) for k in range(4)))
    assert ends.std() == pytest.approx(expected, rel=0.015)


def test_without_noise_the_error_of_going_back_is_the_closed_form_and_halves_with_dt():
    image, errors = picture(), []
    P = as_matrix(displacement(12, 18))
    for dt in (0.02, 0.01, 0.005):
        found = recoveries(image, 0.0, dt, "additive", np.random.default_rng(0))
        there_and_back = np.linalg.matrix_power(np.eye(len(P)) - dt**2 * P @ P, round(1 / dt))
        expected = (there_and_back @ image.reshape(len(P), 3)).reshape(image.shape)
        assert found["with_noise"] == pytest.approx(expected, abs=1e-12)
        assert np.array_equal(found["with_noise"], found["without_noise"])
        errors.append(rmse(expected, image))
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.01)


def test_additive_noise_leaves_the_error_that_linear_algebra_says():
    """From a black picture the recovery is noise alone: its variance sums over the steps."""
    dt, gamma, P = 0.1, 0.7, as_matrix(displacement(6, 9))
    forward, back = np.eye(54) + dt * P, np.eye(54) - dt * P
    power = np.linalg.matrix_power
    on_the_way = sum(mean_square(power(back, 10) @ power(forward, k)) for k in range(10))
    on_the_way_back = sum(mean_square(power(back, k)) for k in range(10))
    black = np.zeros((6, 9, 3000))
    found = recoveries(black, gamma, dt, "additive", np.random.default_rng(0))
    scale = gamma * math.sqrt(dt)
    assert rmse(found["without_noise"], black) == pytest.approx(
        scale * math.sqrt(on_the_way), rel=0.01
    )
    assert rmse(found["with_noise"], black) == pytest.approx(
        scale * math.sqrt(on_the_way + on_the_way_back), rel=0.01
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fresh_noise_on_the_way_back_only_harms_and_smoothing_never_does(strategy):
    image = picture()
    found = recoveries(image, 0.5, 0.05, strategy, np.random.default_rng(0))
    error = {who: rmse(state, image) for who, state in found.items()}
    assert error["smoothed"] <= error["without_noise"] < error["with_noise"]


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = (
        recoveries(picture(), 1.0, 0.1, "multiplicative", np.random.default_rng(seed))
        for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[who], again[who]) for who in first)
    assert not np.array_equal(first["features"], other["features"])


def test_psnr_is_20_db_a_tenth_and_none_without_error():
    assert psnr_db(0.1) == pytest.approx(20)
    assert psnr_db(0.01) == pytest.approx(40)
    assert psnr_db(0.0) is None


def test_values_that_overflow_are_refused_with_the_reason():
    with pytest.raises(BadInput, match="overflow; lower it"):
        recoveries(picture(), 1e4, 0.01, "multiplicative", np.random.default_rng(0))


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


def test_an_output_folder_that_is_a_file_is_refused_before_anything_is_computed(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    code, printed = invoke("demo", "reversal", "--out", str(tmp_path / "file" / "below"))
    assert code == 2
    assert "--out to be a folder" in printed
    with pytest.raises(BadInput, match="--out"):
        output.check_folder(tmp_path / "file")


def test_a_figure_as_png_is_an_image():
    states = {
        name: recoveries(picture(), gamma, 0.5, "additive", np.random.default_rng(0))
        for name, gamma in (("ode", 0.0), ("additive", 1.0), ("multiplicative", 1.0))
    }
    figure = reversal_report.recovery_figure(picture(), states)
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 11
    assert titles[0] == "original"
    assert figure.axes[2].get_xlabel().startswith("RMSE")
    with Image.open(io.BytesIO(output.as_png(figure))) as image:
        assert image.format == "PNG"
