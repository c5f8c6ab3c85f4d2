"""The YAML that `runner init` writes: it runs on the user's data, each key with its reason."""

import json
import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attacks.by_name import find
from runner.data import Data
from runner.experiment import config
from runner.faults import UserFault

TEMPLATE = """\
# {name}: which recipe keeps its training images private, and what does that cost?
#
#   runner check {file}    every fault at once; each arm is tried on a few images
#   runner plan {file}     models, time, disk, and the smallest false positive rate it can show
#   runner run {file}      train, ask, audit, report; the same line goes on after any stop
#
# Every key that there is, with its default, stands in docs/configuration.md. What is left out here
# has its default. To try another value: runner run {file} --set training.epochs=3
name: {name}
description: ""  # a sentence at the top of the report

data:
  name: {data}{root}
{found}  # num_examples: 500  # begin with so many of them
{augment}
model: {model}

training:
  epochs: 20
  batch_size: {batch_size}
  lr: 0.1

# Each arm has 16 models, each trained on half of the images, so that 8 saw an image and 8 did not.
design: {{name: pairs, num_models: 16}}

arms:  # the recipes that are compared, under names of yours
  erm: {{defense: erm}}  # no defense
  pgd_at:  # adversarial training
    defense: {{name: pgd_at, attack: {{eps: {eps}, step_size: {step}, num_steps: 5}}}}
  # trades:  # adversarial training too, with a dial between accuracy and robustness
  #   defense: {{name: trades, beta: 6, attack: {{eps: {eps}, step_size: {step}, num_steps: 5}}}}
  # private:  # differential privacy, for a network without BatchNorm
  #   defense: {{name: dp_sgd, noise_multiplier: 1.0}}
{private}
robustness:  # how far each pixel may be moved is eps, in [0, 1]
  attacks:
    pgd20: {{name: pgd, eps: {eps}, step_size: {step}, num_steps: 20}}

membership:  # who was trained on what, guessed from answers
  attacks:
    lira_online: {{name: lira, mode: online}}
    rmia: {{name: rmia}}

report:
  images: none  # no image of the data is shown; samples and all show some

fleet:
  num_gpus: 0  # of a model: 1 is a GPU of its own, 0.5 is half of one
"""


AUGMENT = """\
  # augment: {crop_padding: 2, flip: true}  # if a moved or mirrored image is one of its class
"""


EPS_OF_ROWS = "how far each column may be moved is eps, as a share of its range"
LARGE = 64  # pixels a side from which on a network should begin with a stride


class Asked(NamedTuple):
    """What the options say."""

    file: Path
    data: str
    root: Path | None
    name: str | None
    keys: Sequence[str] = ()  # of the data, as `data.label=ill`


def write(asked: Asked) -> Path:
    """Write the YAML and return its path; nothing that is there is touched.

    Raises:
        UserFault: there is such a file, it cannot be written, or the data cannot be read.
    """
    told = text(asked)
    try:
        with asked.file.open("x") as file:
            file.write(told)
    except FileExistsError:
        why = f"{asked.file}: it is there, and init writes over nothing; give another name"
        raise UserFault(why) from None
    except OSError as error:
        raise UserFault(
            f"{asked.file}: {error.strerror}; give a file in a folder of yours"
        ) from None
    return asked.file


def text(asked: Asked) -> str:
    """Return the YAML.

    Raises:
        UserFault: the data are unknown, or cannot be read.
    """
    told = asked.name or asked.file.stem
    name = re.sub(r"[^a-z0-9_-]+", "_", told.lower()).strip("_-")[:60] or "mine"
    try:
        kind = find("runner.data", asked.data, Data)
    except ValueError as error:
        raise UserFault(f"--data: {error}") from None
    own = _own_keys(asked.keys)
    keys = {"name": asked.data, "download": False} | ({"root": asked.root} if asked.root else {})
    shape, num = _shape(config.validate(keys | own, kind, "--root"))
    grey, side = shape[0] == 1 or kind.tabular, min(shape[1:3])
    eps = (0.1, 0.025) if grey else ("8/255", "2/255")
    found = f"  # {num:,} images to train on, " if num else "  # Images "
    sort = "grey" if grey else "colour"
    found += f"of {shape[1]} x {shape[2]} pixels, {sort}, in {shape[3]} classes.\n"
    if kind.tabular:
        found = f"  # {num:,} rows to train on, {shape[0]} inputs each, in {shape[3]} classes.\n"
    said = "".join(f"\n  {key}: {json.dumps(value)}" for key, value in own.items())
    text = TEMPLATE.format(
        file=shlex.quote(os.fspath(asked.file)),
        name=name if config.parse(name) == name else json.dumps(name),
        data=asked.data,
        root=(f"\n  root: {json.dumps(os.fspath(asked.root))}" if asked.root else "") + said,
        found=found,
        model="mlp" if kind.tabular else _network(side),
        augment="" if kind.tabular else AUGMENT,
        private="" if kind.tabular else "  #   model: {norm: group}\n",
        batch_size=32 if num and num < 1000 else 128,
        eps=eps[0],
        step=eps[1],
    )
    return _of_rows(text) if kind.tabular else text


def _of_rows(text: str) -> str:
    """The same in the words of a table."""
    text = re.sub(r"\bimages\b(?!:)", "rows", re.sub(r"\ban? image\b", "a row", text))
    return text.replace("how far each pixel may be moved is eps, in [0, 1]", EPS_OF_ROWS)


def _network(side: int) -> str:
    """A network that is meant for images of so many pixels a side."""
    if side > LARGE:
        return "{name: resnet18, stem: large}  # pretrained ones: torchvision, timm"
    width = 16 if side < 32 else 32
    return f"{{name: small_cnn, width: {width}}}  # for figures to publish: resnet18, wide_resnet"


def _own_keys(given: Sequence[str]) -> dict[str, Any]:
    """The keys of the data that are said beside the root.

    Raises:
        UserFault: one is no key of the data.
    """
    said, _ = config.read(None, given)
    if strange := [key for key in said if key != "data"]:
        raise UserFault(f"--set: expected keys of the data, as data.label=ill, got {strange[0]}")
    return said.get("data", {})


def _shape(data: Data) -> tuple[tuple[int, int, int, int], int | None]:
    """Channels, H, W and classes, and how many images the pool has, where they must be read.

    Raises:
        UserFault: they must be, and cannot.
    """
    if data.pictured is not None:
        return data.pictured, None
    try:
        whole = data.load()
    except (ValueError, OSError) as error:
        raise UserFault(
            f"--root: {str(error).replace('set data.root to', 'give')}{_how(error)}"
        ) from None
    channels, height, width = whole.pool_images.shape[1:]
    return (channels, height, width, whole.num_classes), len(whole.pool_images)


def _how(error: Exception) -> str:
    """How a key of the data that a fault asks for is said here."""
    return "; here by --set data.KEY=VALUE" if "data." in str(error) else ""
