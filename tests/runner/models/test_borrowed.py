"""Networks of torchvision and timm: what they begin with, what they are shown, what is refused."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from attacks.by_name import find
from runner.data.digits import Digits
from runner.experiment.experiment import Experiment
from runner.models import ImageShape, Model, built
from runner.models._borrowed import IMAGENET
from runner.models._start import put, read
from runner.plan.plan import make_plan
from tests.conftest import TINY
from tests.made.commands import invoke, written
from tests.made.networks import CIFAR, DIGITS, images_of

SMALL = {"name": "torchvision", "architecture": "shufflenet_v2_x0_5"}


def given(num_classes: int, architecture: str = SMALL["architecture"]) -> nn.Module:
    """A network of torchvision's as somebody trained it."""
    torch.manual_seed(1)
    network = models.get_model(architecture, weights=None, num_classes=num_classes)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.running_mean is not None
        norm.running_mean.uniform_(-1, 1)
    return network.eval()


def of(shape: ImageShape, **keys: Any) -> Any:
    """The network of these keys, seeded otherwise than what is given to it."""
    torch.manual_seed(2)
    fields = {**SMALL, **keys}
    return built(find("runner.models", fields["name"], Model).model_validate(fields), shape).eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The weights of a network with ten classes."""
    path = tmp_path / "ten.pth"
    torch.save(given(10).state_dict(), path)
    return path


@pytest.mark.parametrize("shape", [DIGITS, CIFAR], ids=["one channel", "three channels"])
def test_a_start_answers_as_the_network_that_it_was_taken_from(shape: ImageShape, file: Path):
    images = images_of(shape)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in IMAGENET)
    shown = (images.repeat(1, 3 // shape.channels, 1, 1) - mean) / std
    assert torch.equal(of(shape, weights=file)(images), given(10)(shown))
    larger = nn.functional.interpolate(shown, size=(48, 48), mode="bilinear")
    assert torch.equal(of(shape, weights=file, resize=48)(images), given(10)(larger))
    own = of(shape, weights=file, mean=[0.0], std=[1.0])
    assert torch.equal(own(images), given(10)(images.repeat(1, 3 // shape.channels, 1, 1)))


def test_without_a_start_images_are_normalised_as_the_data_and_no_draw_is_changed():
    images, mean, std = images_of(CIFAR), *(torch.tensor(x).view(1, 3, 1, 1) for x in CIFAR[4:])
    network = of(CIFAR)
    torch.manual_seed(2)
    plain = models.get_model(SMALL["architecture"], weights=None, num_classes=10).eval()
    assert torch.equal(network(images), plain((images - mean) / std))


def test_a_layer_of_other_classes_is_begun_anew_and_said(file: Path):
    shape = DIGITS._replace(num_classes=7)
    network, kept = of(shape, weights=file), given(10).state_dict()
    fresh = of(shape)
    for name, value in network.network.state_dict().items():
        expected = fresh.network.fc.state_dict()[name[3:]] if name[:3] == "fc." else kept[name]
        assert torch.equal(value, expected), name
    model = find("runner.models", "torchvision", Model).model_validate({**SMALL, "weights": file})
    (told,) = model.remarks(shape)
    assert "begins with the weights of ten.pth (SHA-256 " in told
    assert "but for fc, begun anew for 7 classes" in told
    assert "mean [0.485, 0.456, 0.406]" in told
    assert "of one channel is shown to it 3 times" in told
    assert "its last layer's too" in model.remarks(DIGITS)[0]


def wrapped(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """As a checkpoint of a network in DataParallel has it."""
    return {"epoch": 3, "state_dict": {f"module.{n}": t for n, t in state.items()}}


def without_counters(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {n: t for n, t in state.items() if "num_batches_tracked" not in n}


def without_its_head(state: Mapping[str, Tensor]) -> dict[str, Any]:
    return {n: t for n, t in state.items() if not n.startswith("fc.")}


@pytest.mark.parametrize("saved", [dict, wrapped, without_counters, without_its_head])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_people_save_is_read(tmp_path: Path, saved: Any, suffix: str):
    state, path = saved(given(10).state_dict()), tmp_path / f"x{suffix}"
    if suffix == ".safetensors":
        save_file(state.get("state_dict", state), path)
    else:
        torch.save(state, path)
    network = given(3)
    assert put(network, read(path), lambda: given(4)) == ("fc",)
    assert torch.equal(network.conv1[0].weight, given(10).conv1[0].weight)  # pyright: ignore


def test_nothing_is_unpickled_and_weights_of_another_network_are_refused(
    tmp_path: Path, file: Path
):
    torch.save(given(10), tmp_path / "whole.pt")
    with pytest.raises(ValueError, match=r"whole.pt': it holds more than tensors.*unpickled"):
        read(tmp_path / "whole.pt")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match="cannot be read"):
        read(tmp_path / "text.safetensors")
    torch.save({"lr": 0.1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="lr is no tensor"):
        read(tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"of another network: .* is lacking"):
        of(DIGITS, architecture="squeezenet1_1", weights=file)
    with pytest.raises(ValueError, match=r"another network: conv1\.0\.weight has the shape"):
        of(DIGITS, architecture="shufflenet_v2_x1_0", weights=alike(file))
    with pytest.raises(ValueError, match=r"of 3 channels, or of one.*these have 2"):
        of(ImageShape(2, 8, 8, 10, (0.5,), (0.5,)))


def alike(file: Path) -> Path:
    """The names of the larger network's weights, with a first one of another size."""
    state = given(10, "shufflenet_v2_x1_0").state_dict()
    state["conv1.0.weight"] = state["conv1.0.weight"][:8].clone()
    torch.save(state, file)
    return file


def test_keys_that_cannot_be_are_refused_with_the_way_out(tmp_path: Path):
    def refused(why: str, **keys: Any) -> None:
        with pytest.raises(ValidationError, match=why):
            find("runner.models", "torchvision", Model).model_validate({**SMALL, **keys})

    refused("unknown architecture of torchvision 'resnet19'; did you mean", architecture="resnet19")
    refused("no file at '.*no.pt'; give the path", weights=str(tmp_path / "no.pt"))
    refused("`mean` and `std` go together", mean=[0.5])
    refused("options.num_classes is what the data have", options={"num_classes": 3})


def test_the_bytes_of_a_start_are_in_the_id_of_a_model_and_its_place_is_not(
    file: Path, tmp_path: Path
):
    def run(path: Path) -> str:
        keys = {**TINY, "model": {**SMALL, "weights": str(path)}}
        experiment = Experiment.model_validate(keys)
        return make_plan(experiment, dataset).arms["erm"][0].id

    dataset = Digits(num_examples=200).load()
    first = run(file)
    moved = Path(shutil.copy(file, tmp_path / "moved.pth"))
    assert run(moved) == first
    with moved.open("ab") as more:
        more.write(b"\0")
    assert run(moved) != first


def test_a_network_is_tried_on_the_data_and_its_start_is_told(file: Path, tmp_path: Path):
    keys = {**TINY, "model": {**SMALL, "weights": str(file)}}
    code, out = invoke("check", written(tmp_path, keys))
    assert code == 0, out
    assert "note: erm, pgd_at: The network shufflenet_v2_x0_5: it begins with" in out
    noisy = {"rp": {"defense": {"name": "residual_perturbation", "gamma": 0.5}}}
    code, out = invoke("check", written(tmp_path, {**keys, "arms": noisy}))
    assert code == 2
    assert "arms.rp.defense: residual perturbation needs a network with residual blocks" in out


def test_a_network_of_timm_begins_with_a_file_by_the_mean_that_timm_says():
    timm = pytest.importorskip("timm", reason="pip install -e '.[timm]'")
    keys = {"name": "timm", "architecture": "mobilenetv3_small_050", "options": {"drop_rate": 0.1}}
    cls = find("runner.models", "timm", Model)
    network: Any = built(cls.model_validate(keys), DIGITS)
    assert network(images_of(DIGITS)).shape == (4, 10)
    assert type(network.network) is type(timm.create_model(keys["architecture"]))
    with pytest.raises(ValidationError, match="did you mean 'mobilenetv3_small_050'"):
        cls.model_validate({**keys, "architecture": "mobilnetv3_small_050"})
