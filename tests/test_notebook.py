"""docs/notebook.ipynb is what docs/_notebook.py writes, and its cells run from top to bottom.

They are run one after the other in one process, without Jupyter: that needs a kernel, a port and
six more packages, and would tell no more of them.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.made.commands import HOUSE, without_ray

PAGE = HOUSE / "docs" / "notebook.ipynb"


def cells(kind: str) -> list[str]:
    found = json.loads(PAGE.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def test_the_notebook_is_as_its_script_writes_it():
    script = "import runpy; print(end=runpy.run_path('docs/_notebook.py')['notebook']())"
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=HOUSE, capture_output=True, text=True, check=True
    )
    assert PAGE.read_text() == made.stdout, "python docs/_notebook.py"


@pytest.mark.ray("commands")
@pytest.mark.slow
def test_its_cells_run_from_top_to_bottom_and_show_what_they_end_with(tmp_path: Path):
    wide = "pandas.options.display.width, pandas.options.display.max_columns = 200, 20"
    lines = ["import ast, pandas", wide, "space = {}"]
    for cell in cells("code"):
        lines += [
            f"tree = ast.parse({cell!r})",
            "last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None",
            "exec(compile(tree, 'cell', 'exec'), space)",
            "print(eval(compile(ast.Expression(last.value), 'cell', 'eval'), space))"
            " if last else None",
        ]
    env = without_ray() | {"PYTHONPATH": str(HOUSE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for shown in ("natural_accuracy", "fpr", "erm.memorization", "SoftmaxBackward", "/auc"):
        assert shown in done.stdout, done.stdout
    results = tmp_path / "results" / "experiments" / "notebook" / "results.json"
    assert json.loads(results.read_text())["runs"] == {"trained": 12, "reused": 0}
