"""A copy of the house whose trainings stand at a gate, so that a test has time to end something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.made.commands import HOUSE

ROOMS = ("attacks", "configs", "defenses", "runner")
WAITING = """

from defenses._gate import standing  # noqa: E402

ERM.losses_at = standing(ERM.losses_at)
"""


class Gate:
    """The gate before the fifth training step of every Run of `erm`, in a copy of the house.

    The fifth step of the tests' small experiments lies in their second epoch: who stands there has
    a checkpoint. Ids and weights are those of the house itself.
    """

    def __init__(self, folder: Path) -> None:
        self.house, self._at = folder / "house", folder / "gate"
        self._at.mkdir()
        for room in ROOMS:
            shutil.copytree(HOUSE / room, self.house / room)
        defenses = self.house / "defenses"
        shutil.copy(Path(__file__).with_name("standing.py"), defenses / "_gate.py")
        (defenses / "gate.txt").write_text(str(self._at))
        with (defenses / "erm.py").open("a") as file:
            file.write(WAITING)
        # The gate moves no weight: the copy's record has it, so that ids stay as they are.
        record = [sys.executable, "-m", "runner.code.record"]
        env = {**os.environ, "PYTHONPATH": str(self.house)}
        subprocess.run(record, cwd=self.house, env=env, check=True)

    def let_through(self, trainings: int) -> None:
        """Let so many more trainings through."""
        before = len([*self._at.iterdir()])
        for n in range(before, before + trainings):
            (self._at / f"pass-{n}").touch()

    def slow_down(self) -> None:
        """Let all go on, each step taking half a second."""
        (self._at / "slow").touch()

    def open(self) -> None:
        """Let all go on as if there were no gate."""
        (self._at / "open").touch()
