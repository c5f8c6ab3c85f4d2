"""Attacks that are trained anew for every target, through a real Ray cluster."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from attacks.membership import Examples
from attacks.membership.shadow_mlp import ShadowMLP
from runner.audit.scores import Scoring, audit
from runner.experiment.training import Design
from runner.plan.plan import member_matrix
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.ids import seed_of
from runner.storage.scores import Reading, read_scores
from runner.storage.store import Corrupt

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
    # Ray Data copies its own context attribute by attribute, deprecated ones included.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]

M, N, C, DRAWS = 4, 203, 4, 5
PARTNER = np.arange(M) ^ 1
SHADOWS = [PARTNER[[m]] for m in range(M)]
QUARTERS = Design(name="quarters", num_models=M)
MEMBERS = {"member": member_matrix(QUARTERS, N, 0), "null": member_matrix(QUARTERS, N, 1)}
ATTACKS = {
    "own": ShadowMLP(),
    "plain": ShadowMLP(shadow_arm="erm"),
    "of_noisy": ShadowMLP(shadow_arm="noisy"),
}


@pytest.fixture(scope="module")
def logits() -> dict[Source, np.ndarray]:
    """(M, N, C) float32 of a plain arm, and of a randomized one, once and by its mean."""
    rng, surer = np.random.default_rng(0), (MEMBERS["member"] == 1)[:, :, None]
    much = {Source("erm", 1): 3.0, Source("noisy", 1): 0.5, Source("noisy", DRAWS): 2.0}
    return {
        source: (rng.normal(size=(M, N, C)) * (1 + gap * surer)).astype(np.float32)
        for source, gap in much.items()
    }


def write(folder: Path, logits: dict[Source, np.ndarray]) -> dict[Source, list[str]]:
    """Files of answers; the mean over draws lies in the same file as one draw."""
    sources = {}
    for arm in ("erm", "noisy"):
        paths = [str(folder / f"{arm}-{m}.parquet") for m in range(M)]
        mean = logits.get(Source(arm, DRAWS))
        for m, path in enumerate(paths):
            once, odds = logits[Source(arm, 1)][m], np.zeros((N, 1))
            averaged = None if mean is None else Answered(odds, mean[m])
            said = Answered(odds, once)
            content = answers_to_bytes(np.zeros(N), said, ["identity"], averaged)
            Path(path).write_bytes(content)
        sources |= {source: paths for source in logits if source.arm == arm}
    return sources


def test_every_target_has_the_scores_that_the_attack_gives_it_and_a_rerun_replaces(
    tmp_path: Path, logits: dict[Source, np.ndarray], capfd: pytest.CaptureFixture[str]
):
    """Own shadows, an arm's shadows, and one draw of a shadow arm that has no more."""
    sources, folder = write(tmp_path, logits), tmp_path / "scores"
    written = []
    for _ in range(2):
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, folder))
        files = sorted(folder.rglob("*.parquet"))
        written.append([(path.parent, path.stat().st_size) for path in files])
    assert written[0] == written[1]
    assert len(written[0]) == 3 * 3 * 2 * M  # sources, attacks, matrices, targets
    shadow_of = {("own", source): source for source in logits} | {
        ("plain", source): Source("erm", 1) for source in logits
    }
    shadow_of |= {("of_noisy", s): Source("noisy", s.draws) for s in logits}
    for (name, source), shadow in shadow_of.items():
        for matrix, member in MEMBERS.items():
            for m in range(M):
                seed = seed_of(0, matrix, m) % 2**32
                examples = Examples(np.arange(N), np.zeros(N, int), N, C)
                of_shadows = logits[shadow][SHADOWS[m]], member[SHADOWS[m]]
                given = logits[source][m], *of_shadows, examples
                expected = ATTACKS[name].score(*given, seed)
                scores = read_scores(folder, Reading(*source, name, matrix), m)
                np.testing.assert_allclose(scores, expected, 1e-5, 1e-6)
    assert "".join(capfd.readouterr()) == ""


def test_a_damaged_answer_found_by_a_worker_is_named(
    tmp_path: Path, logits: dict[Source, np.ndarray]
):
    sources = write(tmp_path, logits)
    broken = Path(sources[Source("noisy", 1)][2])
    content = bytearray(broken.read_bytes())
    content[content.index(logits[Source("noisy", DRAWS)][2, N - 1].tobytes())] ^= 1
    broken.write_bytes(content)
    with pytest.raises(Corrupt) as corrupt:
        audit(
            Scoring(sources, MEMBERS, PARTNER, SHADOWS, {"own": ShadowMLP()}, tmp_path / "scores")
        )
    assert type(corrupt.value) is Corrupt
    assert corrupt.value.path == str(broken)
    assert "Ray" not in str(corrupt.value)


def test_what_is_no_number_or_of_other_examples_is_named(
    tmp_path: Path, logits: dict[Source, np.ndarray]
):
    sources = write(tmp_path, logits)
    odd = Path(sources[Source("erm", 1)][3])
    bad, zeros = logits[Source("erm", 1)][3].copy(), np.zeros((N + 1, 1))
    bad[7, 1] = np.inf
    contents = {
        "has logits that are not finite": answers_to_bytes(
            zeros[:N, 0], Answered(zeros[:N], bad), ["identity"]
        ),
        f"answers {N + 1} examples, the member matrix {N}": answers_to_bytes(
            zeros[:, 0], Answered(zeros, zeros), ["identity"]
        ),
    }
    for message, content in contents.items():
        odd.write_bytes(content)
        with pytest.raises(ValueError, match=message) as refused:
            audit(
                Scoring(
                    sources, MEMBERS, PARTNER, SHADOWS, {"own": ShadowMLP()}, tmp_path / "scores"
                )
            )
        assert type(refused.value) is ValueError
        assert str(odd) in str(refused.value)


def test_a_shadow_that_saw_no_members_is_refused_in_the_words_of_the_attack(
    tmp_path: Path, logits: dict[Source, np.ndarray]
):
    sources, member = write(tmp_path, logits), MEMBERS["member"].copy()
    member[1][member[1] == 1] = -1
    with pytest.raises(ValueError, match="expected members and non-members in every shadow") as no:
        audit(
            Scoring(
                sources, {"m": member}, PARTNER, SHADOWS, {"own": ShadowMLP()}, tmp_path / "scores"
            )
        )
    assert "Ray" not in str(no.value)
