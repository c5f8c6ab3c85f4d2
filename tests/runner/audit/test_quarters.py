"""Attacks on targets of quarters, whose only shadow is their partner, by slow float64 oracles.

Through the audit in this process, over two blocks of examples; each oracle is written from the
definition, a target and mostly an example at a time.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from attacks.membership import Examples, MembershipAttack, by_halves
from attacks.membership.info_rmia import InfoRMIA
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira import Lira
from attacks.membership.loss_trace import LossTrace
from attacks.membership.quantile import Quantile
from attacks.membership.rmia import RMIA
from attacks.membership.threshold import CUTS, Threshold
from runner.audit.scores import Scoring, audit
from runner.experiment.training import Design
from runner.plan.plan import member_matrix
from runner.statistics.metrics import auc
from runner.storage.answers import Answered, Source, answers_to_bytes, trace_to_bytes
from runner.storage.ids import seed_of
from runner.storage.parquet import BLOCK
from runner.storage.scores import Reading, read_scores

M, N, C, E = 4, BLOCK + 210, 4, 3  # two examples are left over
PARTNER = np.arange(M) ^ 1
SHADOWS = [PARTNER[[m]] for m in range(M)]
QUARTERS = Design(name="quarters", num_models=M)
MEMBERS = {"member": member_matrix(QUARTERS, N, 0), "null": member_matrix(QUARTERS, N, 1)}
ERM = Source("erm", 1)
FEW = np.r_[np.arange(0, N, 97), N - 20 : N]  # examples that slow oracles score


class Answers(NamedTuple):
    """What all models answer, as float64 of what is stored."""

    labels: np.ndarray  # (N,)
    logits: np.ndarray  # (M, N, C)
    log_odds: np.ndarray  # (M, N)
    correct: np.ndarray  # (M, N) bool
    losses: np.ndarray  # (M, N, E)


@pytest.fixture(scope="module")
def answers() -> Answers:
    """Models that know their members, and examples of which some are hard for all."""
    rng = np.random.default_rng(0)
    labels, rows = rng.integers(0, C, N), np.arange(N)
    logits = rng.normal(size=(1, N, C)) + rng.normal(size=(M, N, C))
    logits[:, rows, labels] += 1.5 * (MEMBERS["member"] == 1) + rng.normal(0, 2, N)
    logits = logits.astype(np.float32).astype(np.float64)
    right = logits[:, rows, labels]
    others = logits.copy()
    others[:, rows, labels] = -np.inf
    odds = (right - np.log(np.exp(others).sum(axis=2))).astype(np.float32).astype(np.float64)
    losses = np.log1p(np.exp(-odds))[:, :, None] * [3.0, 2.0, 1.0]
    losses = losses.astype(np.float32).astype(np.float64)
    return Answers(labels, logits, odds, logits.argmax(axis=2) == labels, losses)


def scored(
    folder: Path, answers: Answers, attacks: Mapping[str, MembershipAttack]
) -> dict[tuple[str, str], np.ndarray]:
    """The scores (M, N) of each attack under each matrix, as the audit stores them."""
    paths = []
    for m in range(M):
        path = folder / f"{m}" / "answers" / "0" / "answers.parquet"
        path.parent.mkdir(parents=True)
        odds, right = (each[m][:, None] for each in (answers.log_odds, answers.correct))
        said = Answered(odds, answers.logits[m], right)
        path.write_bytes(answers_to_bytes(answers.labels, said, ["identity"]))
        trace = trace_to_bytes(answers.labels, answers.losses[m])
        (path.parents[2] / "loss_trace.parquet").write_bytes(trace)
        paths.append(str(path))
    scores = folder / "scores"
    audit(Scoring({ERM: paths}, MEMBERS, PARTNER, SHADOWS, attacks, scores), in_ray=False)
    return {
        (name, matrix): np.stack(
            [read_scores(scores, Reading("erm", 1, name, matrix), m) for m in range(M)]
        )
        for name in attacks
        for matrix in MEMBERS
    }


def kinds(member: np.ndarray, m: int) -> np.ndarray:
    """What target m's shadow was to each example, (N,): 1 in, 0 not, -1 nobody's."""
    shadow, found = member[PARTNER[m]], np.full(N, -1)
    for x in range(N):
        if shadow[x] == 1:
            found[x] = 1
        elif shadow[x] == 0 or member[m, x] >= 0:
            found[x] = 0
    return found


def best_cut(values: np.ndarray, inside: np.ndarray, cuts: np.ndarray) -> float:
    """The lowest of the cuts that best tell members from others, by whole numbers."""
    members, others = values[inside], values[~inside]
    best, found = -1, np.nan
    for cut in cuts:
        right = int((others < cut).sum()) * len(members) + int((members >= cut).sum()) * len(others)
        if right > best:
            best, found = right, cut
    return float(found)


def by_class(statistic: np.ndarray, cuts: np.ndarray, answers: Answers, row: np.ndarray):
    """A shadow's thresholds, by its statistic (N,) and what it was trained on; one an example."""
    found = np.empty(N)
    for c in range(C):
        of_class = (answers.labels == c) & (row >= 0)
        cut = best_cut(statistic[of_class], row[of_class] == 1, cuts)
        found[answers.labels == c] = cut
    return found


def log_p(answers: Answers) -> np.ndarray:
    return -np.log1p(np.exp(-answers.log_odds))


def mentr(answers: Answers, m: int, x: int) -> float:
    """Minus the modified entropy, by its sum over classes."""
    p = np.exp(answers.logits[m, x] - answers.logits[m, x].max())
    p, y = p / p.sum(), answers.labels[x]
    total = (1 - p[y]) * np.log(p[y])
    for i in range(C):
        total += 0 if i == y else p[i] * np.log1p(-p[i])
    return total


def relative(p: np.ndarray, row: np.ndarray, m: int, a: float) -> np.ndarray:
    """p(x|target) / p(x) of every example, by the only shadow; NaN of those it was trained on."""
    usual = ((1 + a) * p[PARTNER[m]] + 1 - a) / 2
    return np.where(row == 0, p[m] / usual, np.nan)


def rmia(answers: Answers, row: np.ndarray, m: int, attack: RMIA) -> np.ndarray:
    """The share of z beaten, (FEW,): z are examples that the shadow was not trained on."""
    ratio = relative(1 / (1 + np.exp(-answers.log_odds)), row, m, a=0.3)
    found = []
    for x in FEW:
        z = [z for z in attack.places(N) if z != x and not np.isnan(ratio[z])]
        found.append(np.mean([ratio[x] > ratio[each] for each in z]))
    return np.array(found)


def info_rmia(answers: Answers, row: np.ndarray, m: int) -> np.ndarray:
    p = 1 / (1 + np.exp(-answers.log_odds))
    ratio = relative(p, row, m, a=0.3)
    some = row == 0
    usual = p[m, some] / ratio[some]
    divergence = (usual * np.log2(usual / p[m, some])).sum() / usual.sum()
    return (np.log2(ratio) + divergence)[FEW]


def total(answers: Answers, row: np.ndarray, m: int) -> np.ndarray:
    """How many standard deviations of all its shadow's answers the target's is surer; (FEW,)."""
    shadow = answers.log_odds[PARTNER[m]]
    spread = shadow[row == 0].std(ddof=0)
    return ((answers.log_odds[m] - shadow) / spread)[FEW]


SMALL = RMIA(mode="offline", num_z=60)
ORACLES: dict[str, tuple[MembershipAttack, Callable[[Answers, np.ndarray, int], np.ndarray]]] = {
    "loss": (Threshold(), lambda a, row, m: log_p(a)[m, FEW]),
    "confidence": (
        Threshold(statistic="confidence"),
        lambda a, row, m: 1 / (1 + np.exp(-a.log_odds[m, FEW])),
    ),
    "mentr": (
        Threshold(statistic="modified_entropy"),
        lambda a, row, m: np.array([mentr(a, m, x) for x in FEW]),
    ),
    "loss of class": (
        Threshold(per_class=True),
        lambda a, row, m: (log_p(a)[m] - by_class(log_p(a)[PARTNER[m]], -np.exp(-CUTS), a, row))[
            FEW
        ],
    ),
    "mentr of class": (
        Threshold(statistic="modified_entropy", per_class=True),
        lambda a, row, m: (
            np.array([mentr(a, m, x) for x in FEW])
            - by_class(
                np.array([mentr(a, PARTNER[m], x) for x in range(N)]), -np.exp(-2 * CUTS), a, row
            )[FEW]
        ),
    ),
    "right": (LabelOnly(), lambda a, row, m: a.correct[m, FEW].astype(float)),
    "righter": (
        LabelOnly(calibrate="out"),
        lambda a, row, m: a.correct[m, FEW] - a.correct[PARTNER[m], FEW].astype(float),
    ),
    "trace": (LossTrace(), lambda a, row, m: -a.losses[m, FEW].mean(axis=1)),
    "trace less": (
        LossTrace(calibrate="out"),
        lambda a, row, m: (a.losses[PARTNER[m], FEW] - a.losses[m, FEW]).mean(axis=1),
    ),
    "rmia": (SMALL, lambda a, row, m: rmia(a, row, m, SMALL)),
    "info": (InfoRMIA(mode="offline"), info_rmia),
}
ATTACKS = {name: attack for name, (attack, _) in ORACLES.items()}


@pytest.fixture(scope="module")
def found(
    answers: Answers, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], np.ndarray]:
    return scored(tmp_path_factory.mktemp("quarters"), answers, ATTACKS)


@pytest.mark.parametrize("name", ORACLES)
def test_a_target_is_scored_as_its_definition_says_by_its_partner_alone(
    name: str, answers: Answers, found: dict[tuple[str, str], np.ndarray]
):
    for matrix, m in (("member", 0), ("member", 3), ("null", 1)):
        member = MEMBERS[matrix]
        expected = ORACLES[name][1](answers, kinds(member, m), m)
        judged = member[m, FEW] >= 0
        scores = found[name, matrix][m, FEW]
        np.testing.assert_allclose(scores[judged], expected[judged], 2e-5, 2e-6)


@pytest.mark.parametrize("name", ORACLES)
def test_members_are_found_and_those_of_the_null_matrix_are_not(
    name: str, found: dict[tuple[str, str], np.ndarray]
):
    """Four standard errors of the mean over two pairs, whose scores are of the same examples."""
    least = 0.53 if isinstance(ATTACKS[name], LabelOnly) else 0.6
    for matrix, member in MEMBERS.items():
        each = [
            auc(scores[row >= 0], row[row >= 0] == 1)
            for scores, row in zip(found[name, matrix], member, strict=True)
        ]
        if matrix == "member":
            assert min(each) > least
        else:
            of_one = np.sqrt((N / 2 + 1) / (3 * (N / 2) ** 2))
            assert np.mean(each) == pytest.approx(0.5, abs=4 * of_one / np.sqrt(2))


@pytest.mark.parametrize("name", ORACLES)
def test_neither_other_pairs_nor_the_targets_own_row_change_a_score(
    name: str, answers: Answers, found: dict[tuple[str, str], np.ndarray], tmp_path: Path
):
    """Target 0 keeps its shadow's row; all else is drawn anew."""
    if ATTACKS[name].alone:
        pytest.skip("it looks at no row")
    rng, member = np.random.default_rng(5), MEMBERS["member"].copy()
    judged = member[0] >= 0
    member[0, judged] = rng.permutation(member[0, judged])
    member[2:] = member_matrix(QUARTERS, N, 9)[2:]
    others = [each.copy() for each in answers]
    for each in others[1:]:
        each[2:] = each[3:1:-1]
    again = scored_under(member, Answers(*others), {name: ATTACKS[name]}, tmp_path)
    np.testing.assert_array_equal(again[0, judged], found[name, "member"][0, judged])


def scored_under(
    member: np.ndarray, answers: Answers, attacks: Mapping[str, MembershipAttack], folder: Path
) -> np.ndarray:
    """The scores (M, N) of one attack under some other member matrix."""
    (name,) = attacks
    matrices = MEMBERS | {"member": member}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.MEMBERS", matrices)
        return scored(folder, answers, attacks)[name, "member"]


def test_lira_by_one_variance_of_all_ranks_by_how_much_surer_than_its_shadow_a_target_is(
    answers: Answers, tmp_path: Path
):
    attack = Lira(mode="offline", variance="total")
    scores = scored(tmp_path, answers, {"lira": attack})["lira", "member"]
    for m in (0, 3):
        judged = MEMBERS["member"][m, FEW] >= 0
        expected = total(answers, kinds(MEMBERS["member"], m), m)[judged]
        order = np.argsort(expected)
        assert (np.diff(scores[m, FEW][judged][order]) >= 0).all()


def test_quantile_is_told_non_members_of_the_half_that_its_target_is_judged_on(
    answers: Answers, tmp_path: Path
):
    attack = Quantile()
    found = scored(tmp_path, answers, {"alone": attack})
    examples = Examples(np.arange(N), answers.labels, N, C)
    for matrix, member in MEMBERS.items():
        for m in (0, 3):
            seed = seed_of(0, matrix, m) % 2**32
            kept = attack.signal(answers.logits[m], examples)
            expected = by_halves(attack, kept, member[m], examples, seed)
            np.testing.assert_allclose(found["alone", matrix][m], expected, 1e-4, 1e-5)
