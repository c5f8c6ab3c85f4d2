"""docs/notebook.ipynb: `python docs/_notebook.py` writes it anew; a test runs its cells.

Without what they print, which is another on another machine.
"""

import json
from pathlib import Path

PAGE = Path(__file__).parent / "notebook.ipynb"
CELLS = (
    (
        "markdown",
        """# Privacy and robustness of defended models, from Python

12 models of two recipes on handwritten digits, in about a minute on 2 CPU cores; what is done
is not done again when the notebook is run again. The figures show how things are read, not what is
true: 6 models an arm are few. [python.md](python.md) says more of each call.""",
    ),
    (
        "code",
        """import runner

small = [
    "name=notebook",
    "design.num_models=6",
    "training.epochs=3",
    "data.num_examples=300",
    "arms.trades=null",
    "arms.trades_demem=null",
    "robustness.sanity={num_models: 0}",
    "robustness.num_examples=50",
]
experiment = runner.load("quickstart", small, storage="results")
print(experiment.plan())""",
    ),
    (
        "markdown",
        """`run` trains what is missing, asks every model the same questions, audits,
and writes a report.""",
    ),
    (
        "code",
        """results = experiment.run()
print(results.report)
results.table()[["arm", "metric", "mean", "low", "high"]].head(12)""",
    ),
    (
        "markdown",
        """Every membership score is there, with who was a member.""",
    ),
    (
        "code",
        """scores = results.scores("erm", "rmia")
scores.groupby("member").score.describe()""",
    ),
    (
        "code",
        """curve = results.roc("erm", "rmia")
curve[curve.fpr >= 0.01].head()""",
    ),
    (
        "code",
        """examples = results.examples()[["source_row", "label", "erm.memorization"]]
examples.sort_values("erm.memorization", ascending=False).head()""",
    ),
    ("markdown", """A trained model is a module of PyTorch that normalises its images itself."""),
    (
        "code",
        """import torch

run = results.runs("erm")[0]
model = runner.load_model(run, storage="results")
model(torch.rand(2, 1, 8, 8)).softmax(1)""",
    ),
    (
        "markdown",
        """Models that were trained elsewhere are audited from their logits (models, examples,
classes), who was trained on what, and the labels. These are drawn: surer of
their members than of others.""",
    ),
    (
        "code",
        """import numpy as np

rng = np.random.default_rng(0)
half = rng.permuted(np.tile(np.arange(200) % 2, (8, 1)), axis=1)
member = np.stack([half, 1 - half], axis=1).reshape(16, 200)  # 8 pairs of complementary halves
labels = rng.integers(0, 3, 200)
logits = rng.normal(size=(16, 200, 3))
logits[:, np.arange(200), labels] += 1 + member
audited = runner.audit(logits, member, labels)
audited.table().query("metric.str.endswith('auc')")""",
    ),
)


def notebook() -> str:
    """Return the notebook as JSON."""
    cells = []
    for number, (kind, source) in enumerate(CELLS):
        cell = {"cell_type": kind, "id": f"cell{number:02d}", "metadata": {}}
        cell["source"] = source.splitlines(keepends=True)
        printed = {"execution_count": None, "outputs": []} if kind == "code" else {}
        cells.append(cell | printed)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    meta = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1) + "\n"


if __name__ == "__main__":
    PAGE.write_text(notebook())
