"""An edit in a checkout gives new ids to what hangs on it, and to nothing else."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, TINY

DEFENSE = '''"""Own."""
from pathlib import Path
from typing import Literal
import own_losses
from defenses.erm import ERM as Base
from defenses import Defense

class Own(Defense):
    name: Literal["own"] = "own"
    start: Path | None = None

    def losses_at(self, model, images, adversarial, labels):
        return own_losses.doubled(Base().losses_at(model, images, adversarial, labels))
'''
ATTACK = '''"""Own."""
from typing import Literal
from attacks.evasion import EvasionAttack

class Nothing(EvasionAttack):
    name: Literal["nothing"] = "nothing"
    eps: float = 0.1

    def perturb(self, model, images, labels):
        return images
'''
GUESS = '''"""Own."""
from typing import Literal
from attacks.membership import MembershipAttack

class Guess(MembershipAttack):
    name: Literal["guess"] = "guess"

    def score(self, target, shadows, shadow_member, examples, seed=0):
        return target.mean(axis=1)
'''
OWN = {
    "defenses/own.py": DEFENSE,
    "own_losses.py": "def doubled(losses):\n    return losses\n",
    "attacks/evasion/nothing.py": ATTACK,
    "attacks/membership/guess.py": GUESS,
    "start.bin": "1",
}
CONFIG: dict[str, Any] = {
    **TINY,
    "arms": {"erm": {"defense": "erm"}, "own": {"defense": {"name": "own", "start": "start.bin"}}},
    "answers": {"adversarial": {"moved": {"name": "nothing"}}},
    "robustness": {"attacks": {"nothing": {"name": "nothing"}, "pgd": {"name": "pgd"}}},
    "membership": {"attacks": {"guess": {"name": "guess"}, "lira": {"name": "lira"}}},
}
# It imports what takes long once, and answers each line in a new process, as a command would.
SERVER = """
import json, os, sys
import numpy, pydantic, pyarrow, scipy.special, sklearn, torch, torchvision
for line in sys.stdin:
    if os.fork() == 0:
        from runner.experiment.experiment import Experiment
        from runner.plan.work import prepare
        work = prepare(Experiment.model_validate(json.loads(line)), "storage")
        asked = {n: work.experiment.questions(n) for n in work.plan.arms}
        ids = {n: runs[0].id for n, runs in work.plan.arms.items()}
        ids["answers"] = asked["erm"].answers_id
        ids |= {f"under {n}": asked["erm"].robustness_id(n) for n in ("nothing", "pgd", None)}
        ids["scores"] = work.scores.name
        print(json.dumps(ids), flush=True)
        os._exit(0)
    os.wait()
"""


class Checkout:
    """A copy of the project in which somebody works, and the ids that a command would have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("runner", "defenses", "attacks"):
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / package, folder / package, ignore=left_out)
        for name, text in OWN.items():
            (folder / name).write_text(text)
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            cwd=folder,
            env={"PATH": "", "PYTHONPATH": str(folder), "HOME": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ids(self) -> dict[str, str]:
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps(CONFIG), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = Checkout(tmp_path_factory.mktemp("checkout"))
    with made.server:
        yield made
        assert made.server.stdin
        made.server.stdin.close()


RUNS = {"erm", "own"}
ATTACKED = {"under nothing", "under pgd", "under None"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("defenses/own.py", {"own", "scores"}),
        ("own_losses.py", {"own", "scores"}),
        ("start.bin", {"own", "scores"}),
        ("defenses/erm.py", RUNS | {"scores"}),  # the own one takes it in
        ("defenses/trades.py", set()),
        ("runner/models/small_cnn.py", RUNS | {"scores"}),
        ("runner/train/fit.py", RUNS | {"scores"}),
        ("runner/storage/ids.py", RUNS | ATTACKED | {"answers", "scores"}),
        ("runner/ask/answers.py", {"answers", "scores"}),
        ("runner/ask/robustness.py", ATTACKED),
        ("attacks/evasion/nothing.py", {"answers", "under nothing", "scores"}),
        ("attacks/evasion/pgd.py", {"under pgd"}),
        ("attacks/membership/guess.py", {"scores"}),
        ("attacks/membership/_carlini.py", {"scores"}),  # of LiRA
        ("attacks/membership/rmia.py", set()),
        ("runner/report/text.py", set()),
    ],
)
def test_an_edit_makes_new_what_hangs_on_it(name: str, new: set[str], checkout: Checkout):
    file, before = checkout.folder / name, checkout.ids()
    text = file.read_text()
    if file.suffix == ".py":
        file.write_text(f"# a comment\n{text}")
        assert checkout.ids() == before
    file.write_text(f"{text}\nADDED = 1\n")
    after = checkout.ids()
    file.write_text(text)
    assert {what for what in before if before[what] != after[what]} == new
    assert checkout.ids() == before
