import re
from pathlib import Path

import numpy as np
import pytest

from runner.experiment.config import load
from runner.experiment.experiment import Experiment
from runner.experiment.first_yaml import Asked, text
from tests.made.commands import invoke


def uncommented(yaml: str) -> str:
    """The YAML with all that it only suggests."""
    head, body = yaml.split("\ndata:")
    suggested = re.sub(r"^  # (?=(num_examples|augment|trades|private|  ))", "  ", body, flags=re.M)
    return f"{head}\ndata:{suggested}"


@pytest.mark.parametrize("data", ["mnist", "cifar10", "cifar100", "svhn", "idc", "fashion_mnist"])
def test_every_kind_of_data_has_a_first_yaml_that_is_valid_with_all_that_it_suggests(
    tmp_path: Path, data: str
):
    file = tmp_path / "My Data.yaml"
    file.write_text(text(Asked(file, data, tmp_path / 'of "mine"', None)))
    plain = load(file, [], Experiment)
    assert plain.name == "my_data"
    assert plain.data.root == tmp_path / 'of "mine"'
    assert plain.report.images == "none"
    file.write_text(uncommented(file.read_text()))
    whole = load(file, [], Experiment)
    assert list(whole.arms) == ["erm", "pgd_at", "trades", "private"]
    assert whole.data.num_examples == 500
    assert whole.data.augment.flip


def test_a_name_that_yaml_reads_as_a_number_is_put_in_quotes(tmp_path: Path):
    told = text(Asked(tmp_path / "2024.yaml", "mnist", None, None))
    assert '\nname: "2024"\n' in told


def test_what_init_writes_of_images_of_ones_own_passes_check_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (250, 12, 12, 3), np.uint8), np.arange(250) % 2
    np.savez("images.npz", images=images, labels=labels)
    code, out = invoke("init", "mine.yaml", "--data", "npz", "--root", "images.npz")
    assert (code, out) == (0, "mine.yaml: written; next: runner check mine.yaml\n")
    told = Path("mine.yaml").read_text()
    assert "# 200 images to train on, of 12 x 12 pixels, colour, in 2 classes." in told
    code, out = invoke("check", "mine.yaml")
    assert (code, out) == (0, "mine.yaml: no fault; 2 arms, 32 models\n")


def test_init_writes_over_nothing_and_nothing_where_it_cannot_know_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("name: mine\n")
    code, out = invoke("init", "mine.yaml", "--data", "digits")
    assert code == 2
    assert "mine.yaml: it is there, and init writes over nothing; give another name" in out
    assert Path("mine.yaml").read_text() == "name: mine\n"
    code, out = invoke("init", "new.yaml", "--data", "digts")
    assert code == 2
    assert "--data: unknown data set 'digts'; did you mean 'digits'?" in out
    code, out = invoke("init", "new.yaml", "--data", "npz", "--root", "none.npz")
    assert code == 2
    assert "--root: no .npz file at 'none.npz': give the file" in out
    code, out = invoke("init", "none/new.yaml", "--data", "digits")
    assert code == 2
    assert "No such file or directory; give a file in a folder of yours" in out
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
