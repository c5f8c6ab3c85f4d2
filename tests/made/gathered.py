"""results.json of stages that wrote made-up facts and scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from runner.experiment.experiment import Experiment
from runner.plan.work import Work, prepare
from runner.results.gather import gather
from runner.storage import store
from runner.storage.answers import Answered, answers_to_bytes, robustness_to_bytes
from runner.storage.scores import PARTITIONS, Reading, scores_table
from tests.conftest import NOISY


def gathered(
    work: Work,
    null_scores: np.ndarray | None = None,
    member_scores: Mapping[int, np.ndarray] | None = None,
) -> dict[str, Any]:
    """results.json of an experiment whose stages wrote made-up facts and scores (M, N).

    Model m is right on 0.9 - m / 100 of its members and on 0.5 of the others; the mean over draws,
    where there are any, on 0.05 more of both.

    Args:
        member_scores: by the number of draws; None are random numbers.
    """
    experiment, at = work.experiment, work.store
    for arm, run in [(arm, run) for arm, runs in work.plan.arms.items() for run in runs]:
        questions = experiment.questions(arm)
        answers = questions.answers
        by = {"": 0.0} | ({"_mean": 0.05} if answers.draws > 1 else {})
        store.finish(at.run(run.id), [], {"train_time_s": 1.0})
        told = {f"train_accuracy{key}": 0.9 - run.number / 100 + more for key, more in by.items()}
        folder, labels = at.answers(run.id, questions.answers_id), np.zeros(len(run.member))
        once = Answered(np.zeros((len(labels), len(answers.names))))
        content = answers_to_bytes(labels, once, answers.names)
        store.write(folder / "answers.parquet", content)
        store.finish(folder, ["answers.parquet"], told)
        for attack, asked in questions.attacks_of(run.number).items():
            folder = at.robustness(run.id, questions.robustness_id(attack))
            labels = np.zeros(asked.num_examples or 60, int)
            right = {f"accuracy{key}": 0.5 + more for key, more in by.items()}
            said = [(np.arange(len(labels)) < share * len(labels)) - 1 for share in right.values()]
            content = robustness_to_bytes(np.arange(len(labels)), labels, *said)
            store.write(folder / "robustness.parquet", content)
            store.finish(folder, ["robustness.parquet"], {**right, "num_examples": 60})
    examples = np.arange(work.plan.member.shape[1], dtype=np.int32)
    random = np.random.default_rng(0).random(work.plan.member.shape)
    for source in work.sources:
        given = (member_scores or {}).get(source.draws, random)
        for attack in experiment.membership.attacks:
            for matrix, scores in (("member", given), ("null", null_scores)):
                table = scores_table(
                    Reading(*source, attack, matrix),
                    examples,
                    random if scores is None else scores,
                )
                folder = work.scores / "blocks"
                pq.write_to_dataset(table, folder, partition_cols=PARTITIONS)
    runs = {"trained": 0, "reused": len(work.plan.runs)}
    return gather(work, runs)


def noisy(tmp_path: Path, **changes: Any) -> Work:
    """NOISY with these changes, in a storage below the folder."""
    return prepare(Experiment.model_validate({**NOISY, **changes}), tmp_path / "storage")
