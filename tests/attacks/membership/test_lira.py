import subprocess
import sys

import numpy as np
import pytest

from attacks.membership import MembershipAttack
from attacks.membership.lira import Lira
from tests import oracles

ANY = oracles.unlabelled(1)  # which examples they are does not matter to LiRA
KINDS = [
    Lira(mode=mode, variance=variance)
    for mode in ("online", "offline")
    for variance in ("per_example", "pooled")
]


def pairs(num_models: int, num_examples: int, rng: np.random.Generator) -> np.ndarray:
    """Membership (M, N) int8 of complementary halves."""
    member = np.zeros((num_models, num_examples), np.int8)
    member[::2] = rng.random((num_models // 2, num_examples)) < 0.5
    member[1::2] = 1 - member[::2]
    return member


def ragged(num_models: int, num_examples: int, rng: np.random.Generator) -> np.ndarray:
    """Membership with models that are in neither class; 4 shadows of each class at the least."""
    member = rng.integers(-1, 2, (num_models, num_examples)).astype(np.int8)
    member[:6], member[6:12] = 0, 1
    return rng.permuted(member, axis=0)


def gaussian_answers(
    member: np.ndarray, gap: float, std: float, rng: np.random.Generator, num_views: int = 2
) -> np.ndarray:
    """Log-odds (M, N, V) float32 of examples of different hardness; members have `gap` more."""
    hardness = rng.normal(0, 3, (1, member.shape[1], num_views))
    noise = rng.normal(0, std, (*member.shape, num_views))
    return (hardness + gap * (member == 1)[:, :, None] + noise).astype(np.float32)


def others(m: int, partner: np.ndarray) -> np.ndarray:
    models = np.arange(len(partner))
    return (models != m) & (models != partner[m])


def score_all(
    attack: MembershipAttack, answers: np.ndarray, member: np.ndarray, partner: np.ndarray
) -> np.ndarray:
    return attack.score_all(
        answers,
        member,
        partner,
        ANY,
        attack.sums(answers, member, partner, ANY),
    )


def auc(scores: np.ndarray, member: np.ndarray) -> float:
    """P(a member's score is above a non-member's), of one target; no ties expected."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(1, len(scores) + 1)
    num_in = int(member.sum())
    above = ranks[member == 1].sum() - num_in * (num_in + 1) / 2
    return above / (num_in * (len(scores) - num_in))


@pytest.mark.parametrize("attack", KINDS, ids=repr)
def test_score_is_the_definition(attack: Lira):
    rng = np.random.default_rng(0)
    member = ragged(16, 12, rng)
    answers = gaussian_answers(member, 2, 1, rng)
    expected = oracles.lira(
        answers[0], answers[1:], member[1:], attack.mode, attack.variance == "pooled"
    )
    np.testing.assert_allclose(attack.score(answers[0], answers[1:], member[1:]), expected, 1e-9)


@pytest.mark.parametrize("attack", KINDS, ids=repr)
@pytest.mark.parametrize("draw", [pairs, ragged])
@pytest.mark.parametrize(("gap", "std"), [(1, 2), (14, 0.01)])
def test_all_targets_at_once_score_as_one_target_alone(attack: Lira, draw, gap, std):
    rng = np.random.default_rng(1)
    member = draw(16, 300, rng)  # 300 examples are more than fit one part
    partner = np.arange(16) ^ 1
    if draw is ragged:
        partner = np.array([0, 2, 1, *rng.permutation(np.arange(3, 16))])  # one is its own
    answers = gaussian_answers(member, gap, std, rng)
    scores = score_all(attack, answers, member, partner)
    for m in range(16):
        kept = others(m, partner)
        alone = attack.score(answers[m], answers[kept], member[kept])
        np.testing.assert_allclose(scores[m], alone, 1e-6)


@pytest.mark.parametrize("attack", KINDS, ids=repr)
def test_a_target_that_outweighs_its_class_leaves_it_without_cancellation(attack: Lira):
    rng = np.random.default_rng(2)
    member = pairs(12, 6, rng)
    answers = gaussian_answers(member, 0, 0.01, rng)
    answers[0] += 14
    answers[1] += 1e4  # its partner outweighs the shadows by 12 digits of the squares
    scores = score_all(attack, answers, member, np.arange(12) ^ 1)
    expected = oracles.lira(
        answers[0], answers[2:], member[2:], attack.mode, attack.variance == "pooled"
    )
    np.testing.assert_allclose(scores[0], expected, 1e-6)


@pytest.mark.parametrize("attack", KINDS, ids=repr)
def test_answers_without_spread_give_finite_scores_at_the_variance_floor(attack: Lira):
    rng = np.random.default_rng(3)
    member = pairs(8, 5, rng)
    answers = np.where(member == 1, 13.3, -13.3).astype(np.float32)[:, :, None]
    scores = score_all(attack, answers, member, np.arange(8) ^ 1)
    expected = oracles.lira(
        answers[0], answers[2:], member[2:], attack.mode, attack.variance == "pooled"
    )
    np.testing.assert_allclose(scores[0], expected, 1e-6)
    assert (scores[member == 1].min()) > scores[member == 0].max()


@pytest.mark.parametrize("attack", KINDS, ids=repr)
def test_a_target_is_judged_without_its_own_and_its_partners_membership(attack: Lira):
    rng = np.random.default_rng(4)
    member, partner = pairs(10, 200, rng), np.arange(10) ^ 1
    answers = gaussian_answers(member, 3, 0.5, rng)
    expected = score_all(attack, answers, member, partner)
    for m in (0, 3, 8):
        forged = member.copy()
        forged[[m, partner[m]]] = rng.integers(0, 2, (2, 200))
        scores = score_all(attack, answers, forged, partner)
        np.testing.assert_allclose(scores[m], expected[m], 1e-9, 1e-9)


@pytest.mark.parametrize("attack", KINDS, ids=repr)
@pytest.mark.parametrize("num_models", [8, 16])
def test_a_redrawn_member_matrix_scores_one_half(attack: Lira, num_models: int):
    rng = np.random.default_rng(5)
    member, null = pairs(num_models, 10_000, rng), pairs(num_models, 10_000, rng)
    answers = gaussian_answers(member, 2, 1, rng, num_views=1)
    scores = score_all(attack, answers, null, np.arange(num_models) ^ 1)
    aucs = [auc(*of_model) for of_model in zip(scores, null, strict=True)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("attack", KINDS, ids=repr)
def test_memorised_examples_are_found(attack: Lira):
    rng = np.random.default_rng(6)
    member = pairs(16, 2000, rng)
    answers = gaussian_answers(member, 4, 1, rng)
    scores = score_all(attack, answers, member, np.arange(16) ^ 1)
    assert min(auc(*of_model) for of_model in zip(scores, member, strict=True)) > 0.9


def test_offline_scores_rank_targets_fifty_deviations_above_the_out_models():
    shadows = np.array([-1.0, 1.0])[:, None, None] * np.ones((2, 5, 1))
    target = np.array([9.0, 38, 39, 50, 51])[:, None]
    scores = Lira(mode="offline").score(target, shadows, np.zeros((2, 5), np.int8))
    assert (np.diff(scores) > 10).all()
    assert scores[3] == pytest.approx(50**2 / 2 + np.log(50 * np.sqrt(2 * np.pi)), rel=1e-6)


def test_offline_scores_are_one_sided():
    shadows = np.array([-1.0, 1.0])[:, None, None] * np.ones((2, 3, 1))
    scores = Lira(mode="offline").score(
        np.array([[-5.0], [0.0], [5.0]]), shadows, np.zeros((2, 3), np.int8)
    )
    assert scores[0] < scores[1] < scores[2]
    assert scores[1] == pytest.approx(np.log(2))


def test_pooled_variance_leaves_out_the_difference_between_examples():
    shadows = np.array([-1.0, 1.0])[:, None, None] + np.array([0.0, 1000.0])[:, None]
    scores = Lira(mode="offline", variance="pooled").score(
        np.array([[0.0], [1000.0]]), shadows, np.zeros((2, 2), np.int8)
    )
    assert scores == pytest.approx(np.log([2, 2]))
    target = np.array([[1.0], [1001.0]])
    one_above = Lira(mode="offline", variance="pooled").score(
        target, shadows, np.zeros((2, 2), np.int8)
    )
    assert one_above == pytest.approx(-np.log([0.15865525393] * 2))


def test_the_two_classes_have_their_own_variance():
    shadows = np.array([-1.0, 1.0, 0.0, 8.0])[:, None, None]
    member = np.array([[0], [0], [1], [1]], np.int8)
    for variance in ("per_example", "pooled"):
        score = Lira(variance=variance).score(np.array([[2.0]]), shadows, member)
        # out N(0, 1), in N(4, 16): (4/1 + log 1 - 4/16 - log 16) / 2
        assert score == pytest.approx([(4 - 0.25 - np.log(16)) / 2])


def test_auto_pools_below_64_models():
    rng = np.random.default_rng(7)
    for num_models, named in ((62, Lira(variance="pooled")), (64, Lira(variance="per_example"))):
        member, partner = pairs(num_models, 20, rng), np.arange(num_models) ^ 1
        answers = gaussian_answers(member, 2, 1, rng)
        auto = Lira()
        assert (auto.sums(answers, member, partner, ANY) == {}) == (num_models == 64)
        expected = score_all(named, answers, member, partner)
        np.testing.assert_array_equal(score_all(auto, answers, member, partner), expected)
        kept = others(0, partner)
        np.testing.assert_array_equal(
            auto.score(answers[0], answers[kept], member[kept]),
            named.score(answers[0], answers[kept], member[kept]),
        )


def test_sums_of_blocks_add_up_to_the_sums_of_all():
    rng = np.random.default_rng(8)
    member, partner = pairs(8, 700, rng), np.arange(8) ^ 1
    answers = gaussian_answers(member, 2, 1, rng)
    attack = Lira(variance="pooled")
    whole = attack.sums(answers, member, partner, ANY)
    first = attack.sums(answers[:, :333], member[:, :333], partner, ANY)
    second = attack.sums(answers[:, 333:], member[:, 333:], partner, ANY)
    assert set(whole) == {"in_squares", "in_count", "out_squares", "out_count"}
    for key, total in whole.items():
        np.testing.assert_allclose(first[key] + second[key], total, 1e-12)
    assert set(Lira(mode="offline").sums(answers, member, partner, ANY)) == {"out_squares", "out_count"}


def test_an_example_with_too_few_shadows_scores_nan_and_no_other_does():
    rng = np.random.default_rng(9)
    member, partner = pairs(12, 4, rng), np.arange(12)  # nobody has a partner
    member[:, 0] = -1  # judged for no model
    member[:, 1] = [1, 1, 1, *[0] * 9]  # a target that is in has two in shadows
    member[:, 2] = [1, 1, *[0] * 10]  # it has one
    member[:, 3] = [1, *[0] * 11]  # it has none
    answers = gaussian_answers(member, 2, 1, rng)
    expected = [[True, False, True, True], [True, False, False, True]] * 2
    for attack, nan in zip(KINDS, expected, strict=True):
        if attack.mode == "offline":
            nan = [True, False, False, False]
        scores = score_all(attack, answers, member, partner)
        assert np.isnan(scores[0]).tolist() == nan
        alone = attack.score(answers[0], answers[1:], member[1:])
        np.testing.assert_allclose(alone, scores[0], 1e-9)


def test_a_class_of_only_the_target_and_its_partner_scores_nan():
    rng = np.random.default_rng(11)
    member = np.zeros((6, 3), np.int8)
    member[:2] = 1
    answers = gaussian_answers(member, 14, 1, rng)
    for attack in KINDS:
        scores = score_all(attack, answers, member, np.arange(6) ^ 1)
        assert np.isnan(scores[:2]).all() == (attack.mode == "online")


def test_four_models_in_pairs_have_no_residuals_to_pool():
    rng = np.random.default_rng(10)
    member = pairs(4, 6, rng)
    answers = gaussian_answers(member, 2, 1, rng)
    assert np.isnan(score_all(Lira(), answers, member, np.arange(4) ^ 1)).all()


def test_workers_of_the_audit_need_no_torch():
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    modules = "attacks.membership.lira, runner.tables, runner.audit"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
