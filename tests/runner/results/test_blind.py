"""Designs that leak by themselves are seen without any model, and random ones are not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from runner.experiment.training import Design
from runner.plan.canaries import coins
from runner.plan.plan import member_matrix
from runner.results._blind import FALSE_ALARM, Blind, _auc, _targets, blind_aucs
from runner.results.checks import Check, blind_check

N = 3000
GENERATOR = np.random.RandomState(0)
IMAGES = GENERATOR.randint(0, 240, (N, 1, 8, 8)).astype(np.uint8)
LABELS = GENERATOR.randint(0, 10, N)


def halves(num_models: int = 4, seed: int = 0) -> np.ndarray:
    return member_matrix(Design(num_models=num_models), N, seed)


def shown(member: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The images, of which `images` are those that are members of the first model."""
    return np.where((member[0] == 1)[:, None, None, None], images, IMAGES)


def test_halves_drawn_at_random_pass_and_say_what_would_have_been_seen():
    check = blind_check(halves(), np.arange(4) ^ 1, LABELS, IMAGES)
    assert check.verdict == "pass"
    assert "the class, the image and the place in the file" in check.says
    assert "members of 2 targets" in check.says  # a mirror is not asked again


def brighter(images: np.ndarray) -> np.ndarray:
    return images + GENERATOR.randint(0, 15, (N, 1, 1, 1)).astype(np.uint8)


def marked(images: np.ndarray) -> np.ndarray:
    changed = images.copy()
    changed[:, :, 0, 3] = np.maximum(changed[:, :, 0, 3], 60)
    return changed


def of_fewer_levels(images: np.ndarray) -> np.ndarray:
    return images // 2 * 2


def smoother(images: np.ndarray) -> np.ndarray:
    return (0.8 * images + 0.2 * np.roll(images, 1, axis=3)).astype(np.uint8)


@pytest.mark.parametrize("change", [brighter, marked, of_fewer_levels, smoother])
def test_members_that_look_a_little_otherwise_fail(change):
    member = halves()
    check = blind_check(member, np.arange(4) ^ 1, LABELS, shown(member, change(IMAGES)))
    assert check.verdict == "fail", check.says
    assert "overstate" in check.says


@pytest.mark.parametrize("images", [None, IMAGES])
def test_members_that_lie_together_in_the_file_fail(images: np.ndarray | None):
    first_half = np.arange(N) < N // 2
    every_second, some_of_seven = np.arange(N) % 2 == 0, np.arange(N) % 7 < 3
    of_each_class = np.zeros(N, bool)
    for label in range(10):
        places = np.flatnonzero(label == LABELS)
        of_each_class[places[: len(places) // 2]] = True
    for row in (first_half, every_second, some_of_seven, of_each_class, LABELS < 5):
        member = np.stack([row, ~row]).astype(np.int8)
        assert blind_check(member, np.array([1, 0]), LABELS, images).verdict == "fail"


def test_without_images_it_is_not_known():
    check = blind_check(halves(), np.arange(4) ^ 1, LABELS, None)
    assert check.verdict == "unknown"
    assert "there are no images" in check.says


def test_one_target_of_several_that_leaks_is_enough():
    member = halves(8)
    member[6], member[7] = np.arange(N) < N // 2, np.arange(N) >= N // 2
    assert blind_check(member, np.arange(8) ^ 1, LABELS, IMAGES).verdict == "fail"


def test_only_examples_that_are_judged_are_looked_at():
    """Canaries are noise among photographs: who they are is public, their coins are not."""
    judged = np.arange(N - 1500, N)
    images = np.where(np.arange(N)[:, None, None, None] < N - 1500, IMAGES // 4, IMAGES)
    check = blind_check(coins(3, N, judged, 1), np.arange(3), LABELS, images)
    assert check.verdict == "pass"
    quarters = member_matrix(Design(name="quarters", num_models=4), N, 0)
    assert blind_check(quarters, np.arange(4) ^ 1, LABELS, IMAGES).verdict == "pass"


def test_few_examples_leave_it_open_and_too_few_unknown():
    def check(n: int) -> Check:
        member = member_matrix(Design(num_models=4), n, 0)
        return blind_check(member, np.arange(4) ^ 1, LABELS[:n], IMAGES[:n])

    assert [check(n).verdict for n in (300, 20, 4)] == ["undecided", "undecided", "unknown"]
    assert "from 0.6" in check(300).says
    assert "of so few examples none" in check(20).says  # no AUC is above 1


def test_random_rows_raise_no_alarm():
    """Chance is exact: what is judged is not learnt from. 40 draws alarm 0.08 times on average."""
    few = slice(200)
    for seed in range(40):
        member = np.random.RandomState(seed).randint(0, 2, (1, 200)).astype(np.int8)
        blind = blind_aucs(member, np.arange(1), LABELS[few], IMAGES[few])
        assert (blind.aucs < blind.needed).all()


def test_the_auc_is_that_of_scikit_learn_and_its_error_that_of_random_orders():
    guess = GENERATOR.randint(0, 50, 300)
    is_member = GENERATOR.rand(300) < 0.4
    auc, error = _auc(guess, is_member)
    assert auc == pytest.approx(roc_auc_score(is_member, guess))
    drawn = [_auc(GENERATOR.permutation(300), is_member)[0] for _ in range(2000)]
    assert np.std(drawn) == pytest.approx(error, rel=0.06)
    assert np.mean(drawn) == pytest.approx(0.5, abs=4 * error / 2000**0.5)


def test_the_alarm_is_shared_over_the_targets():
    from scipy.stats import norm

    one = Blind(np.array([0.6]), np.array([0.01]))
    assert norm.sf((one.needed - 0.5) / 0.01) == pytest.approx(FALSE_ALARM)
    four = Blind(np.full(4, 0.6), np.full(4, 0.01))
    assert 4 * norm.sf((four.needed - 0.5) / 0.01) == pytest.approx(np.full(4, FALSE_ALARM))


def test_targets_are_spread_over_all_and_one_of_a_pair():
    assert _targets(np.arange(2) ^ 1) == [0]
    assert _targets(np.arange(16) ^ 1) == [0, 4, 10, 14]
    assert _targets(np.arange(3)) == [0, 1, 2]
