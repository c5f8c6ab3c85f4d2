import numpy as np
import pytest

from attacks.memorization import memorization

random_member = np.random.default_rng(5).integers(0, 2, (40, 300)).astype(np.int8)


def simulated(
    inside: np.ndarray, outside: np.ndarray, num_pairs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Answers of pairs of models that are right at these rates, and who was a member."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 2, (num_pairs, len(inside)))
    member = np.concatenate([first, 1 - first]).astype(np.int8)
    rate = np.where(member == 1, inside, outside)
    return random.random(rate.shape) < rate, member


def test_a_score_is_the_difference_of_the_rates_among_judged_models():
    correct = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 1], [0, 1, 0], [1, 1, 1]], bool)
    member = np.array([[1, 1, -1], [1, 0, 1], [0, 0, 0], [0, 1, 0], [-1, 0, 1]], np.int8)
    found = memorization(correct, member)
    assert found.score == pytest.approx([1 - 0, 1 - 1 / 3, 1 - 1 / 2])
    drawn_in = [(3 / 4, 2), (1 / 4, 2)], [(3 / 4, 2), (2 / 5, 3)], [(3 / 4, 2), (2 / 4, 2)]
    errors = [sum(p * (1 - p) / n for p, n in rates) ** 0.5 for rates in drawn_in]
    assert found.standard_error == pytest.approx(errors)


def test_known_memorization_is_recovered_within_its_errors():
    random = np.random.default_rng(0)
    inside = random.uniform(0.5, 1, 2000)
    outside = inside * random.uniform(0, 1, 2000)
    found = memorization(*simulated(inside, outside, 100, 1))
    z = (found.score - (inside - outside)) / found.standard_error
    assert np.abs(z).max() < 4.5
    assert abs(z.mean()) < 4 / 2000**0.5
    assert z.std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("num_pairs", [8, 16, 32, 64])
@pytest.mark.parametrize("inside", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("outside", [0.02, 0.2, 0.5])
def test_an_interval_of_1_96_errors_holds_the_true_score_in_about_95_percent(
    num_pairs: int, inside: float, outside: float
):
    """Answers are 0 or 1, so that no interval holds it in exactly 95 % of cases."""
    rates = np.full(20_000, inside), np.full(20_000, outside)
    found = memorization(*simulated(*rates, num_pairs, 2))
    holds = np.abs(found.score - (inside - outside)) <= 1.96 * found.standard_error
    assert holds.mean() > 0.915
    if 0.02 < outside < inside < 1 and num_pairs >= 32:
        assert holds.mean() == pytest.approx(0.95, abs=0.015)


def test_the_error_of_models_that_all_agree_is_not_0():
    member = np.repeat([[1], [0]], 8, axis=0).astype(np.int8)
    found = memorization(np.ones((16, 1), bool), member)
    assert found.score == 0
    assert found.standard_error == pytest.approx((2 * (9 / 10 * 1 / 10) / 8) ** 0.5)


def test_a_redrawn_member_matrix_has_a_mean_score_of_0():
    correct, member = simulated(np.full(4000, 0.99), np.full(4000, 0.4), 16, 3)
    redrawn = simulated(np.zeros(4000), np.zeros(4000), 16, 4)[1]
    assert memorization(correct, member).score.mean() == pytest.approx(0.59, abs=0.01)
    null = memorization(correct, redrawn)
    assert abs(null.score.mean()) < 4 * null.score.std() / 4000**0.5


def test_probabilities_have_the_error_of_their_sample_variance():
    probability = np.random.default_rng(6).random((40, 300))
    found = memorization(probability, random_member)
    for i in range(0, 300, 50):
        inside, outside = (probability[random_member[:, i] == c, i] for c in (1, 0))
        assert found.score[i] == pytest.approx(inside.mean() - outside.mean())
        error = inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)
        assert found.standard_error[i] == pytest.approx(error**0.5)


def test_the_error_of_probabilities_holds_the_true_score_in_about_95_percent():
    random = np.random.default_rng(7)
    member = simulated(np.zeros(5000), np.zeros(5000), 32, 8)[1]
    inside, outside = random.beta(8, 2, member.shape), random.beta(3, 3, member.shape)
    found = memorization(np.where(member == 1, inside, outside), member)
    holds = np.abs(found.score - (0.8 - 0.5)) <= 1.96 * found.standard_error
    assert holds.mean() == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("kind", [bool, float])
def test_an_example_without_models_in_a_class_has_no_score(kind: type):
    correct = np.ones((4, 3), kind)
    member = np.array([[1, 0, -1], [1, 0, 1], [1, 0, 0], [1, 0, 0]], np.int8)
    found = memorization(correct, member)
    assert np.isnan(found.score).tolist() == [True, True, False]
    assert np.isnan(found.standard_error).tolist() == [True, True, kind is float]


@pytest.mark.parametrize(
    "wrong", [np.ones((4, 3), int), np.full((4, 3), 1.5), np.ones((4, 2), bool)]
)
def test_answers_that_are_neither_bool_nor_probabilities_are_refused(wrong: np.ndarray):
    with pytest.raises(ValueError, match="expected"):
        memorization(wrong, np.ones((4, 3), np.int8))
