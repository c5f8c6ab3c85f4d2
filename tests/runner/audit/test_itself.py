"""Attacks whose only shadow is the target, through the audit in this process."""

from pathlib import Path

import numpy as np

from attacks.membership import Examples, by_halves
from attacks.membership.quantile import Quantile
from runner.audit.scores import Scoring, audit
from runner.experiment.training import Design
from runner.plan.plan import member_matrix
from runner.statistics.metrics import auc
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.ids import seed_of
from runner.storage.scores import Reading, read_scores

M, N, C = 2, 400, 4
MEMBERS = {
    name: member_matrix(Design(name="pairs", num_models=M), N, seed)
    for name, seed in (("member", 0), ("null", 1))
}


def test_a_target_without_shadows_is_judged_by_its_own_non_members_and_the_null_by_the_nulls(
    tmp_path: Path,
):
    rng, partner = np.random.default_rng(0), np.arange(M) ^ 1
    labels, paths = rng.integers(0, C, N), []
    logits = rng.normal(size=(M, N, C)).astype(np.float32)
    logits[:, np.arange(N), labels] += 2 * MEMBERS["member"]
    for m in range(M):
        path = tmp_path / f"{m}.parquet"
        said = Answered(np.zeros((N, 1)), logits[m])
        path.write_bytes(answers_to_bytes(labels, said, ["identity"]))
        paths.append(str(path))
    attack, source, folder = Quantile(), Source("erm", 1), tmp_path / "scores"
    nobody = [np.arange(0)] * M
    audit(
        Scoring({source: paths}, MEMBERS, partner, nobody, {"alone": attack}, folder, seed=5),
        in_ray=False,
    )
    examples = Examples(np.arange(N), labels, N, C)
    for m in range(M):
        for matrix, member in MEMBERS.items():
            found = read_scores(folder, Reading("erm", 1, "alone", matrix), m)
            seed = seed_of(5, matrix, m) % 2**32
            kept = attack.signal(logits[m], examples)
            expected = by_halves(attack, kept, member[m], examples, seed)
            np.testing.assert_array_equal(found, expected.astype(np.float32))
        found = read_scores(folder, Reading("erm", 1, "alone", "member"), m)
        assert auc(found, MEMBERS["member"][m] == 1) > 0.85
