from pathlib import Path
from typing import Literal

import numpy as np
import pytest

pytest.importorskip("ray", reason="machines that only train have no Ray")

from attacks.membership import Examples, MembershipAttack
from attacks.membership.lira import Lira
from runner.audit import _blocks
from runner.audit._packed import packed
from runner.audit.scores import Scoring, audit
from runner.plan.circles import circles_of
from runner.storage.answers import Answered, Source, answers_to_bytes
from runner.storage.parquet import BLOCK
from runner.storage.scores import Reading, read_scores
from runner.storage.store import Corrupt
from tests import oracles

pytestmark = [
    pytest.mark.ray,
    pytest.mark.usefixtures("local_ray"),
    # Ray Data copies its own context attribute by attribute, deprecated ones included.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context"),
]

M, N, V = 6, 2 * BLOCK + 37, 2
PARTNER = np.arange(M) ^ 1
SHADOWS = [np.array([m for m in range(M) if m not in (t, PARTNER[t])]) for t in range(M)]
ERM = Source("erm", 1)
ATTACKS = {
    "online": Lira(),
    "offline": Lira(mode="offline", variance="per_example"),
}


def draw_members(seed: int) -> np.ndarray:
    """Membership (M, N) int8 of complementary halves."""
    half = np.random.default_rng(seed).integers(0, 2, (M // 2, N))
    return np.stack([half, 1 - half], axis=1).reshape(M, N).astype(np.int8)


MEMBERS = {"member": draw_members(0), "null": draw_members(1)}


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    """Log-odds (M, N, V) float32 of two arms, one of which memorises more."""
    rng = np.random.default_rng(2)
    gap = MEMBERS["member"][:, :, None]
    return {
        arm: (much * gap + rng.normal(0, 1, (M, N, V))).astype(np.float32)
        for arm, much in {"erm": 3, "trades": 1}.items()
    }


def write(folder: Path, answers: dict[str, np.ndarray]) -> dict[Source, list[str]]:
    """Files of answers of one draw."""
    sources = {}
    for arm, of_arm in answers.items():
        paths = [str(folder / f"{arm}-{m}.parquet") for m in range(M)]
        sources[Source(arm, 1)] = paths
        for path, log_odds in zip(paths, of_arm, strict=True):
            said = Answered(log_odds, np.zeros((N, 3)))
            content = answers_to_bytes(np.zeros(N, int), said, ["plain", "flip"])
            Path(path).write_bytes(content)
    return sources


def in_one_piece(attack: MembershipAttack, answers: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Scores (M, N) of all examples as one block."""
    examples = Examples(np.arange(N), np.zeros(N, int), N, 3)
    totals = attack.sums(answers, member, PARTNER, examples)
    return attack.score_all(answers, member, PARTNER, examples, totals)


def test_the_stage_scores_as_one_process_does_and_a_rerun_replaces(
    tmp_path: Path, answers: dict[str, np.ndarray], capfd: pytest.CaptureFixture[str]
):
    sources, folder = write(tmp_path, answers), tmp_path / "scores"
    written = []
    for _ in range(2):
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, folder))
        files = sorted(folder.rglob("*.parquet"))
        written.append([(path.parent, path.stat().st_size) for path in files])
    assert written[0] == written[1]
    assert len(written[0]) == 2 * 2 * 2 * 3  # arms, attacks, matrices, blocks
    for arm, of_arm in answers.items():
        for name, attack in ATTACKS.items():
            for matrix, member in MEMBERS.items():
                expected = in_one_piece(attack, of_arm, member)
                for m in range(M):
                    scores = read_scores(folder, Reading(arm, 1, name, matrix), m)
                    np.testing.assert_allclose(scores, expected[m], 1e-5, 1e-6)
    few = np.r_[:5, N - 5 : N]
    scores = read_scores(folder, Reading("erm", 1, "offline", "null"), 3)[few]
    shadows, member = answers["erm"][[0, 1, 4, 5]], MEMBERS["null"][[0, 1, 4, 5]]
    expected = oracles.lira(
        answers["erm"][3][few], shadows[:, few], member[:, few], "offline", pooled=False
    )
    np.testing.assert_allclose(scores, expected, 1e-5, 1e-6)
    assert "".join(capfd.readouterr()) == ""


def test_scoring_in_this_process_gives_what_the_cluster_gives(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources = write(tmp_path, answers)
    for name, in_ray in {"cluster": True, "here": False, "again": False}.items():
        folder = tmp_path / name.replace("again", "here")
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, folder), in_ray=in_ray)
    for arm in answers:
        for attack in ATTACKS:
            for matrix in MEMBERS:
                for m in range(M):
                    reading = Reading(arm, 1, attack, matrix)
                    cluster, here = (
                        read_scores(tmp_path / name, reading, m) for name in ("cluster", "here")
                    )
                    np.testing.assert_array_equal(cluster, here)


def test_tasks_of_several_blocks_find_the_bits_that_tasks_of_one_do(
    tmp_path: Path, answers: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
):
    sources, found = write(tmp_path, {"erm": answers["erm"]}), []
    for least in (_blocks.LEAST_TASKS, 1):
        monkeypatch.setattr(_blocks, "LEAST_TASKS", least)
        folder = tmp_path / str(least)
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, folder), in_ray=False)
        readings = [Reading("erm", 1, name, matrix) for name in ATTACKS for matrix in MEMBERS]
        found.append([read_scores(folder, of, m) for of in readings for m in range(M)])
        assert len([*folder.rglob("*.parquet")]) == len(readings) * (3 if least > 1 else 2)
    np.testing.assert_array_equal(*found)


class Spoiler(MembershipAttack):
    """A user's own that computes in the arrays that it is given."""

    name: Literal["spoiler"] = "spoiler"

    def score_all(self, answers, member, partner, examples, totals):
        answers *= np.nan
        member[:] = 1
        return np.zeros(answers.shape[:2])


def test_an_attack_that_writes_into_what_it_is_given_changes_no_other(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources, found = write(tmp_path, {"erm": answers["erm"]}), []
    for number, attacks in enumerate(({"a": Lira()}, {"first": Spoiler(), "a": Lira()})):
        folder = tmp_path / str(number)
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, attacks, folder), in_ray=False)
        found.append([read_scores(folder, Reading("erm", 1, "a", "null"), m) for m in range(M)])
    np.testing.assert_array_equal(*found)


def test_an_attack_reads_the_views_it_names(tmp_path: Path, answers: dict[str, np.ndarray]):
    sources, folder = write(tmp_path, {"erm": answers["erm"]}), tmp_path / "scores"
    attacks = {
        "flip": Lira(views=("flip",)),
        "both": Lira(views=("flip", "plain")),
        "all": Lira(),
    }
    audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, attacks, folder), in_ray=False)
    member = MEMBERS["member"]
    for name, columns in {"flip": [1], "both": [0, 1], "all": [0, 1]}.items():
        seen = answers["erm"][:, :, columns]
        expected = in_one_piece(Lira(), seen, member)
        scores = read_scores(folder, Reading("erm", 1, name, "member"), 3)
        np.testing.assert_allclose(scores, expected[3], 1e-5, 1e-6)


def test_a_truncated_file_is_named_before_anything_starts(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources = write(tmp_path, {"erm": answers["erm"]})
    broken = Path(sources[ERM][4])
    broken.write_bytes(broken.read_bytes()[:-50])
    with pytest.raises(Corrupt) as corrupt:
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))
    assert corrupt.value.path == str(broken)
    assert not (tmp_path / "scores").exists()


def test_a_damaged_answer_found_by_a_worker_is_named(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources = write(tmp_path, {"erm": answers["erm"]})
    broken = Path(sources[ERM][4])
    content = bytearray(broken.read_bytes())
    content[content.index(answers["erm"][4, N - 1].tobytes())] ^= 1
    broken.write_bytes(content)
    with pytest.raises(Corrupt) as corrupt:
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))
    assert type(corrupt.value) is Corrupt
    assert corrupt.value.path == str(broken)
    assert "Ray" not in str(corrupt.value)


def test_a_file_of_other_examples_or_views_is_named(tmp_path: Path, answers: dict[str, np.ndarray]):
    sources = write(tmp_path, {"erm": answers["erm"]})
    odd = Path(sources[ERM][2])
    contents = {
        r"answers \('plain', 'crop'\)": (N, ["plain", "crop"]),
        "has 4 blocks": (N + BLOCK, ["plain", "flip"]),
        "block 2 of .* holds other examples": (N + 1, ["plain", "flip"]),
    }
    for message, (size, views) in contents.items():
        said = Answered(np.zeros((size, V)))
        odd.write_bytes(answers_to_bytes(np.zeros(size), said, views))
        with pytest.raises(ValueError, match=message) as refused:
            audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))
        assert str(odd) in str(refused.value)


def test_an_answer_that_is_no_number_is_refused(tmp_path: Path, answers: dict[str, np.ndarray]):
    bad = answers["erm"].copy()
    bad[3, 9000, 1] = np.inf
    sources = write(tmp_path, {"erm": bad})
    with pytest.raises(ValueError, match=r"block 1 of .*erm-3\.parquet has log_odds that are not"):
        audit(Scoring(sources, MEMBERS, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))


def test_an_example_without_enough_shadows_is_refused_only_if_it_is_judged(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources = write(tmp_path, {"erm": answers["erm"]})
    member = MEMBERS["member"].copy()
    member[:, 8500] = -1
    audit(Scoring(sources, {"member": member}, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))
    scores = read_scores(tmp_path / "scores", Reading("erm", 1, "online", "member"), 0)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [8500]
    member[:, 8500] = 1
    with pytest.raises(ValueError, match=r"online cannot judge .* erm under the member matrix"):
        audit(Scoring(sources, {"member": member}, PARTNER, SHADOWS, ATTACKS, tmp_path / "scores"))


def test_the_first_pass_is_skipped_where_no_attack_needs_it(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    sources = write(tmp_path, {"erm": answers["erm"]})
    matrices = {name: packed(member) for name, member in MEMBERS.items()}
    circles = circles_of(PARTNER, SHADOWS)
    job = _blocks.BlockScoring(sources, matrices, circles, ATTACKS)
    assert _blocks._needs_sums(job)
    assert not _blocks._needs_sums(job._replace(attacks={"offline": ATTACKS["offline"]}))


def test_the_mean_over_draws_is_judged_by_its_own_columns(
    tmp_path: Path, answers: dict[str, np.ndarray]
):
    (sources,), folder = [write(tmp_path, {"erm": answers["erm"]})], tmp_path / "scores"
    mean = answers["trades"]
    for path, once, averaged in zip(sources[ERM], answers["erm"], mean, strict=True):
        views, said = ["plain", "flip"], (Answered(once), Answered(averaged))
        content = answers_to_bytes(np.zeros(N), said[0], views, said[1])
        Path(path).write_bytes(content)
    both = sources | {Source("erm", 5): sources[ERM]}
    audit(Scoring(both, MEMBERS, PARTNER, SHADOWS, ATTACKS, folder))
    for draws, said in {1: answers["erm"], 5: mean}.items():
        for name, attack in ATTACKS.items():
            expected = in_one_piece(attack, said, MEMBERS["member"])
            scores = read_scores(folder, Reading("erm", draws, name, "member"), 2)
            np.testing.assert_allclose(scores, expected[2], 1e-5, 1e-6)
