"""What a user reads who wrote something wrong: the place, the reason, the way out, word by word."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from attacks.by_name import Keys
from attacks.evasion.pgd import PGD
from attacks.membership.lira import Lira
from defenses.dp_sgd import DPSGD
from runner.data.npz import Npz
from runner.experiment.config import ConfigError, load
from runner.experiment.experiment import Experiment
from runner.experiment.fields import Arm
from runner.experiment.sweep import Axis

FILE = """\
name: mine
data: {name: digits, num_examples: 200}
model: small_cnn
training:
  epochs: 2
  lr: 0.1
arms:
  erm: {defense: erm}
  pgd_at:
    defense: {name: pgd_at, attack: {eps: 0.1}}
robustness:
  attacks: {pgd2: {name: pgd, eps: 0.1}}
"""
NAME, EPOCHS, LR, ERM, EPS = (
    "name: mine\n",
    "epochs: 2",
    "  lr: 0.1\n",
    "erm: {defense: erm}",
    "attack: {eps: 0.1}",
)
ARMS = FILE[FILE.index("  erm:") : FILE.index("robustness")]
ATTACKS = "attacks: {pgd2: {name: pgd, eps: 0.1}}"


def told(folder: Path, text: str, *overrides: str) -> list[str]:
    """Every fault of a text without the lists of legal names, and the note below them."""
    path = folder / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, Experiment)
    return re.sub(r"\(known: [^)]+\)", "(known: ...)", str(caught.value)).splitlines()[1:]


IN_THE_FILE = [  # what stands there, what the user wrote in its place, what is said
    (
        EPOCHS,
        "epochs: many",
        "line 5: training.epochs: expected a whole number above 0, got 'many'",
    ),
    (
        EPOCHS,
        "epochs: 2.5",
        "line 5: training.epochs: expected a whole number above 0, got 2.5",
    ),
    (
        EPOCHS,
        "epochs: true",
        "line 5: training.epochs: expected a whole number above 0, got true",
    ),
    (
        EPOCHS,
        "epochs:",
        "line 5: training.epochs: expected a whole number above 0, got null",
    ),
    (
        LR,
        "  lr: true\n  schedule: {milestones: [true]}\n",
        "line 6: training.lr: expected a number above 0, got true\n"
        "  line 7: training.schedule.milestones.0: expected a number above 0, got true",
    ),
    (
        EPS,
        "attack: {eps: false}",
        "line 10: arms.pgd_at.defense.attack.eps: expected a number from 0 to 1, got false",
    ),
    (
        EPOCHS,
        "epochs: 0",
        "line 5: training.epochs: expected a whole number above 0, got 0",
    ),
    (
        EPOCHS,
        "epochs: 20 epochs",
        "line 5: training.epochs: expected a whole number above 0, got '20 epochs'; did "
        "you mean 20?",
    ),
    (
        EPOCHS,
        "epochs: [20]",
        "line 5: training.epochs: expected a whole number above 0, got [20]; write 20",
    ),
    (
        EPOCHS,
        "epoch: 2",
        "line 5: training.epoch: unknown key 'epoch'; did you mean 'epochs'? (known: ...)",
    ),
    (
        "  epochs: 2\n",
        "",
        "line 4: training.epochs: it is missing, and has no default; give it a whole "
        "number above 0",
    ),
    (
        LR,
        "  lr: 0,1\n",
        "line 6: training.lr: expected a number above 0, got '0,1'; did you mean 0.1?",
    ),
    (
        LR,
        "  optimizer: agd\n",
        "line 6: training.optimizer: expected sgd or adam, got 'agd'; did you mean 'sgd'?",
    ),
    (
        LR,
        "  nesterov: maybe\n",
        "line 6: training.nesterov: expected true or false, got 'maybe'",
    ),
    (
        LR,
        "  ema: 99%\n",
        "line 6: training.ema: expected a number above 0 and below 1, got '99%'; did you "
        "mean 0.99?",
    ),
    (
        LR,
        "  schedule: {milestones: 5}\n",
        "line 6: training.schedule.milestones: expected a list, each a number above 0, "
        "got 5; write [5]",
    ),
    (
        NAME,
        "name: My Experiment\n",
        "line 1: name: expected a name of a-z, 0-9, _ and -, at most 60 characters, got "
        "'My Experiment'; did you mean 'my_experiment'?",
    ),
    (
        NAME,
        "name: 5\n",
        "line 1: name: expected a name of a-z, 0-9, _ and -, at most 60 characters, got "
        "5; write '5', in quotes",
    ),
    (
        NAME,
        NAME + "lr: 0.1\n",
        "line 2: lr: unknown key 'lr'; did you mean `training.lr`?",
    ),
    (
        NAME,
        NAME + "true: 1\n",
        "1: expected text as a key, got true; put it in quotes",
    ),
    (
        NAME,
        NAME + "on: 1\n",
        "line 2: on: unknown key 'on'; did you mean `robustness.on`?",
    ),
    (
        "data: {name: digits, num_examples: 200}\n",
        "",
        "data: it is missing, and has no default; give it a data set: its name, or a "
        "mapping with a `name` (known: ...)",
    ),
    (
        ERM,
        "erm: erm",
        "line 8: arms.erm: expected a mapping of keys such as `defense`, `model`, "
        "`training`, got 'erm'; write {defense: erm}",
    ),
    (
        ERM,
        "erm: {defense: ern}",
        "line 8: arms.erm.defense: unknown defense 'ern'; did you mean 'erm'? (known: ...)",
    ),
    (
        ERM,
        "erm: {defense: [erm]}",
        "line 8: arms.erm.defense: expected a defense: its name, or a mapping with a "
        "`name`, got [erm]; write erm (known: ...)",
    ),
    (
        ERM,
        "10: {defense: erm}",
        "line 8: arms.10: expected a name of a-z, 0-9, _ and -, at most 60 characters, "
        "got 10; write '10', in quotes",
    ),
    (
        ARMS,
        "  - erm\n  - pgd_at\n",
        "line 7: arms: expected a mapping of names, at least one, got [erm, pgd_at]; "
        "give each a name of yours: {erm: {defense: erm}, pgd_at: {defense: pgd_at}}",
    ),
    (
        EPS,
        "attack: {eps: 8}",
        "line 10: arms.pgd_at.defense.attack.eps: expected a number from 0 to 1, as "
        "pixels are here, got 8; did you mean 8/255?",
    ),
    (
        EPS,
        "attack: {eps: -0.1}",
        "line 10: arms.pgd_at.defense.attack.eps: expected a number from 0 to 1, got -0.1",
    ),
    (
        EPS,
        "attack: {eps: 8/0}",
        "line 10: arms.pgd_at.defense.attack.eps: expected a number or a fraction like "
        "8/255, got '8/0'",
    ),
    (
        EPS,
        "attack: {steps: 10}",
        "line 10: arms.pgd_at.defense.attack.steps: unknown key 'steps'; did you mean "
        "'eps'? (known: ...)",
    ),
    (
        ATTACKS,
        "attacks: [pgd]",
        "line 12: robustness.attacks: expected a mapping of names, got [pgd]; give each "
        "a name of yours: {pgd: pgd}",
    ),
    (
        ATTACKS,
        "attacks: pgd",
        "line 12: robustness.attacks: expected a mapping of names, got 'pgd'; give each "
        "a name of yours: {pgd: pgd}",
    ),
    (
        ATTACKS,
        "on: train",
        "line 12: robustness.on: expected test or non_members, got 'train'",
    ),
    (
        NAME,
        NAME + "answers: {views: identity}\n",
        "line 2: answers.views: expected a list of 1 or more, each text, got 'identity'; "
        "write [identity]",
    ),
    (
        NAME,
        NAME + "answers: {views: []}\n",
        "line 2: answers.views: expected a list of 1 or more, each text, got []",
    ),
    (
        NAME,
        NAME + "fleet: {num_gpus: all}\n",
        "line 2: fleet.num_gpus: expected a number of 0 or more, or auto, got 'all'",
    ),
    (
        NAME,
        NAME + "fleet: 2\n",
        "line 2: fleet: expected a mapping of keys such as `num_cpus`, `num_gpus`, "
        "`workers_per_run`, got 2",
    ),
    (
        NAME,
        NAME + "membership: {false_positive_rates: [1%]}\n",
        "line 2: membership.false_positive_rates.0: expected a number above 0 and below "
        "1, got '1%'; did you mean 0.01?",
    ),
    (
        "model: small_cnn\n",
        "model: small_cnn\nname: other\n",
        "line 4: name: this key stands here twice, first in line 1; keep one of them",
    ),
    (
        LR,
        "\tlr: 0.1\n",
        "line 6: file: not YAML: a tab stands here; indent with spaces",
    ),
    (
        LR,
        "   lr: 0.1\n",
        "line 6: file: not YAML: this line is indented deeper than the one above it, "
        "which has a value; put keys of one block at one depth",
    ),
    (
        LR,
        " lr: 0.1\n",
        "line 6: file: not YAML: the indentation of this line fits none of the lines above it",
    ),
    (
        LR,
        "  lr:0.1\n",
        "line 6: file: not YAML: `lr:0.1` is no `key: value`: a space is missing after the `:`",
    ),
    (
        LR,
        "  - lr: 0.1\n",
        "line 6: file: not YAML: a list item `- ` stands among keys; indent it below the "
        "key that it is of",
    ),
    (
        NAME,
        NAME + "description: this: that\n",
        "line 2: file: not YAML: a second `: ` in one line; put the text in quotes, or "
        "begin a new line",
    ),
    (
        NAME,
        "name: 'mine\n",
        "line 1: file: not YAML: the quote that opens here is not closed",
    ),
    (
        NAME,
        "name: @mine\n",
        "line 1: file: not YAML: a value cannot begin with `@`; put it in quotes",
    ),
    (
        ERM,
        "erm: {defense: erm",
        "line 8: file: not YAML: the `{` that opens here is not closed, or a comma is missing",
    ),
    (
        NAME,
        "name: *mine\n",
        "line 1: file: not YAML: there is no `&mine` that `*mine` could stand for; put a "
        "text in quotes",
    ),
    (
        NAME,
        "name: 'it's mine'\n",
        "line 1: file: not YAML: text follows a closing quote; inside of '...' a quote "
        "is written twice: 'it''s'",
    ),
    (
        NAME,
        'name: "C:\\mine"\n',
        "line 1: file: not YAML: `\\` begins an escape in double quotes; use single "
        "quotes, or `\\\\`",
    ),
    (
        NAME,
        NAME + "---\n",
        "line 2: file: not YAML: a second document begins here (`---`); one file is one "
        "configuration",
    ),
    (
        NAME,
        "name: !mine x\n",
        "line 1: file: not YAML: could not determine a constructor for the tag '!mine'; "
        "leave the tag out",
    ),
    (
        ATTACKS,
        "attacks: {name: pgd, eps: 0.1}",
        "line 12: robustness.attacks: expected a mapping of names, and this has none of "
        "yours; write {pgd: {name: pgd, eps: 0.1}}",
    ),
    (
        ARMS,
        "  defense: erm\n",
        "line 7: arms: expected a mapping of names, and this has none of yours; write "
        "{erm: {defense: erm}}",
    ),
    (
        "  epochs: 2\n  lr: 0.1\n",
        "  - epochs: 2\n",
        "line 4: training: expected a mapping of keys such as `epochs`, got [{epochs: 2}]",
    ),
]
ON_THE_LINE = [  # --set, what is said
    (
        ["training.epochs=many"],
        [
            "--set training.epochs=many: training.epochs: expected a whole number above 0, "
            "got 'many'"
        ],
    ),
    (
        ["training.epochs"],
        ["--set training.epochs: training.epochs: expected KEY=VALUE, such as training.epochs=3"],
    ),
    (
        ["training.epochs=[1"],
        [
            "--set 'training.epochs=[1': training.epochs: the value is not YAML: the `[` "
            "that opens here is not closed, or a comma is missing"
        ],
    ),
    (
        ["training=null"],
        [
            "--set training=null: training: it is missing, and has no default; give it a "
            "mapping of keys such as `epochs`"
        ],
    ),
    (
        ["name.x=1"],
        ["--set name.x=1: name.x: it goes through name, which is 'mine' and has no keys"],
    ),
    (
        ["model.width=8"],
        [
            "--set model.width=8: model.width: it goes through model, which is 'small_cnn' and "
            "has no keys; --set 'model={name: small_cnn, width: 8}' gives it some"
        ],
    ),
    (
        ["training.epochs=true"],
        ["--set training.epochs=true: training.epochs: expected a whole number above 0, got true"],
    ),
    (
        ["arms.erms.training.lr=1"],
        [
            "--set arms.erms.training.lr=1: arms.erms.defense: it is missing, and has no "
            "default; give it a defense: its name, or a mapping with a `name` (known: ...)"
        ],
    ),
    (
        ["arms.pgd_at.defense.attack.eps=8"],
        [
            "--set arms.pgd_at.defense.attack.eps=8: arms.pgd_at.defense.attack.eps: "
            "expected a number from 0 to 1, as pixels are here, got 8; did you mean 8/255?"
        ],
    ),
    (
        ["robustness.attacks=[pgd]"],
        [
            "--set 'robustness.attacks=[pgd]': robustness.attacks: expected a mapping of "
            "names, got [pgd]; give each a name of yours: {pgd: pgd}"
        ],
    ),
    (
        ["data.name=mnits"],
        [
            "--set data.name=mnits: data: unknown data set 'mnits'; did you mean 'mnist'? "
            "(known: ...)"
        ],
    ),
    (
        ["seed=1", "training.epoch=3"],
        [
            "--set training.epoch=3: training.epoch: unknown key 'epoch'; did you mean "
            "'epochs'? (known: ...)"
        ],
    ),
    (
        ["seed=1", "training={epochs: 2, lr: 0}"],
        ["--set 'training={epochs: 2, lr: 0}': training.lr: expected a number above 0, got 0"],
    ),
    (
        ["fleet.workers_per_run=2"],
        [
            "line 3: model.norm: on CPUs each worker of a Run would keep BatchNorm "
            "statistics of its own; use `norm: group`, or fleet.workers_per_run: 1",
            "The file by itself has no fault: what --set says does not go with it.",
        ],
    ),
]


@pytest.mark.parametrize(
    ("right", "wrong", "said"), IN_THE_FILE, ids=[w for _, w, _ in IN_THE_FILE]
)
def test_a_fault_of_the_file_has_its_line_the_reason_and_the_way_out(
    tmp_path: Path, right: str, wrong: str, said: str
):
    assert FILE.count(right) == 1
    assert told(tmp_path, FILE.replace(right, wrong)) == f"  {said}".splitlines()


@pytest.mark.parametrize(("overrides", "said"), ON_THE_LINE, ids=[o[-1] for o, _ in ON_THE_LINE])
def test_a_fault_of_set_is_blamed_on_it_and_on_no_line_of_the_file(
    tmp_path: Path, overrides: list[str], said: list[str]
):
    assert [line.removeprefix("  ") for line in told(tmp_path, FILE, *overrides)] == said


def test_no_message_speaks_as_pydantic_does():
    for _, _, said in IN_THE_FILE:
        for jargon in ("input should", "valid", "field required", "dictionary", "type=", "{'"):
            assert jargon not in said.lower()


JUNK = (
    *(None, True, 3, -1, 2.5, 1e9, float("inf"), float("nan"), "x", "10%", "", [], [1], ["x"]),
    *([[1, 2]], [None], {}, {"a": 1}, {"a": {"b": [1]}}, {1: 2}, {"name": "x"}, {"name": 3}),
)


def blocks(cls: type[Keys]) -> Iterator[type[Keys]]:
    """A class and those of its keys, but for what is found by name."""
    yield cls
    for field in cls.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Keys) and not field.metadata:
                yield from blocks(kind)


@pytest.mark.parametrize("cls", [*blocks(Experiment), Arm, Axis, PGD, Lira, DPSGD, Npz])
def test_whatever_stands_behind_a_key_is_accepted_or_refused_in_our_words(cls: type[Keys]):
    for key in cls.model_fields:
        for value in JUNK:
            errors = []
            try:
                cls.model_validate({key: value})
            except ValidationError as invalid:
                errors = invalid.errors()
            for error in errors:
                assert error["type"] in ("fault", "value_error"), (key, value, error)  # ours
                assert "put should" not in error["msg"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello", "found 'hello'"),
        ("- a", "found a list"),
        ("\0", "a character stands here that no text has; is it a text file?"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused_in_words(tmp_path: Path, text: str, said: str):
    assert said in told(tmp_path, text)[0]
