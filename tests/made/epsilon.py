"""Audits of canaries whose scores are made up."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from runner.plan.work import Work, prepare
from runner.results._epsilon import epsilon_figures
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes
from runner.storage.scores import PARTITIONS, Reading, scores_table
from tests.made.canaries import audited

FIRST = 160  # the place of the first canary in the pool


def figures(work: Work, scores: np.ndarray, odds: np.ndarray | None = None) -> dict[str, Any]:
    """`epsilon` of results.json where every attack gives the same scores (M, N).

    Args:
        odds: (M,) float, the log-odds of the first canary; None: no answers are there.
    """
    examples = np.arange(scores.shape[1], dtype=np.int32)
    for source in work.sources:
        for attack in work.experiment.membership.attacks:
            table = scores_table(Reading(*source, attack, "member"), examples, scores)
            pq.write_to_dataset(table, work.scores / "blocks", partition_cols=PARTITIONS)
    for source, paths in work.sources.items():
        for path, of_first in zip(paths, [] if odds is None else odds, strict=odds is not None):
            answers = np.zeros((len(examples), 1))
            answers[FIRST] = of_first
            once = Answered(answers)
            mean = Answered(answers) if source.draws > 1 else None
            content = answers_to_bytes(work.dataset.pool_labels, once, ["identity"], mean)
            store.write(Path(path), content)
    found = epsilon_figures(work)
    assert found is not None
    return found


def made(folder: Path, **changed: Any) -> Work:
    """A small experiment with canaries, of whose 40 half are guessed."""
    changes = {"epsilon": {"guesses": [0.5]}, **changed.pop("changes", {})}
    return prepare(audited(changes=changes, **changed), folder)


def with_everything(folder: Path) -> dict[str, Any]:
    """The parts of results.json about canaries, with enough models, a guarantee and an alarm."""
    arms = {"private": {"defense": {"name": "dp_sgd", "noise_multiplier": 20, "accountant": "rdp"}}}
    work = made(folder, num_models=30, changes={"arms": arms})
    member = work.plan.member.astype(float)
    design = work.experiment.design.model_dump(exclude_none=True)
    return {"design": design, "epsilon": figures(work, member, member[:, FIRST])}
