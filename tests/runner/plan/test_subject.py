"""The scores of exactly these answers, attacks and matrices have a folder of their own."""

from pathlib import Path
from typing import Any

import numpy as np

from runner.plan.subject import Subject, scores_in
from runner.plan.work import Work


def test_scores_of_other_answers_attacks_or_seeds_lie_elsewhere(work: Work):
    def place(answers: dict[str, Any] | None = None, **changed: Any) -> Path:
        settings = work.settings._replace(**changed)
        return Path(str(scores_in(work.folder, settings, answers or {"runs": ["a"]})))

    fewer = work.settings.membership.model_copy(update={"attacks": {}})
    kept = place(name="another", averages=work.settings.averages.model_copy(), description="x")
    found = [kept, place(seed=1), place(membership=fewer), place({"runs": ["b"]})]
    assert len(set(found)) == 4
    assert kept == place()
    assert {path.parent for path in found} == {Path(str(work.folder)) / "scores"}


def test_an_experiment_made_ready_can_be_audited(work: Work):
    subject: Subject = work
    assert subject.labels is work.dataset.pool_labels
    assert subject.settings.membership == work.experiment.membership
    assert np.array_equal(subject.over.models, np.arange(6))
    assert [*subject.plan.matrices] == ["member", "null"]
