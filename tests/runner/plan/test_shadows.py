"""Whether shadows that are evened say nothing of the target by their number, and who they are."""

import numpy as np
import pytest

from attacks.membership import Examples, MembershipAttack
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira import Lira
from attacks.membership.rmia import RMIA
from attacks.membership.shadow_mlp import ShadowMLP
from attacks.membership.threshold import Threshold
from runner.experiment.training import Design
from runner.plan.canaries import coins
from runner.plan.plan import member_matrix, others_of
from runner.plan.shadows import EvenShadows, even_shadows
from runner.results._design import best_aucs, count_aucs
from runner.results.checks import count_check
from runner.statistics import metrics

ATTACKS: dict[str, MembershipAttack] = {
    "shrunk": Lira(),
    "pooled": Lira(variance="pooled"),
    "per_example": Lira(variance="per_example"),
    "median": Lira(variance="per_example", centre="median"),
    "total": Lira(variance="total"),
    "offline": Lira(mode="offline"),
    "two_sided": Lira(mode="offline", variance="per_example", sides="two"),
    "carlini": Lira(preset="lira-carlini-code"),
    "rmia": RMIA(),
    "rmia_offline": RMIA(mode="offline"),
    "rmia_2024": RMIA(preset="rmia-2024"),
    "per_class": Threshold(per_class=True),
    "labels": LabelOnly(calibrate="out"),
}
UNEVEN = {("shrunk", 8): 0.45, ("per_example", 8): 0.43, ("per_example", 16): 0.49}


def fixed(num_models: int, num_examples: int, num_in: int, seed: int = 0) -> np.ndarray:
    """Each example in exactly so many models, and no complementary rows."""
    ranks = np.random.default_rng(seed).random((num_models, num_examples)).argsort(0)
    return (ranks < num_in).astype(np.int8)


def alone(member: np.ndarray) -> np.ndarray:
    return np.arange(len(member))


def evened(member: np.ndarray, seed: int = 0) -> EvenShadows:
    found = even_shadows(member, alone(member), seed)
    assert found is not None
    return found


@pytest.mark.parametrize(("num_models", "num_in"), [(4, 2), (8, 4), (8, 3), (16, 5), (16, 13)])
def test_every_target_keeps_as_many_shadows_of_each_kind(num_models: int, num_in: int):
    member = fixed(num_models, 300, num_in)
    seen = evened(member).seen(member, 0)
    assert (seen[alone(member), alone(member)] == -1).all()
    np.testing.assert_array_equal((seen == 1).sum(1), num_in - 1)
    np.testing.assert_array_equal((seen == 0).sum(1), num_models - num_in - 1)
    kept = seen >= 0
    assert (seen[kept] == np.broadcast_to(member, seen.shape)[kept]).all()


def test_who_is_left_out_hangs_on_the_seed_and_the_place_alone():
    member = fixed(8, 1300, 4)
    even = evened(member)
    whole = even.seen(member, 0)
    blocks = [even.seen(member[:, s : s + 200], s) for s in range(0, 1300, 200)]
    np.testing.assert_array_equal(np.concatenate(blocks, axis=2), whole)
    np.testing.assert_array_equal(even.seen_by(3, member), whole[3])
    assert (evened(member, 1).seen(member, 0) != whole).any()
    out = (whole[0] == -1).mean(1)[1:]  # the one model that is left out is each as often
    assert np.all(np.abs(out - 1 / 7) < 5 * np.sqrt(1 / 7 * 6 / 7 / 1300))


def test_who_ranks_too_high_of_a_kind_is_left_out_counted_one_by_one():
    member = fixed(7, 40, 3)
    member[np.random.default_rng(0).random(member.shape) < 0.15] = -1
    partner = np.array([0, 2, 1, 3, 4, 6, 5])
    sizes = np.random.default_rng(1).integers(0, 4, (2, 7, 7))
    even = EvenShadows(sizes[0], sizes[1], partner, 0)
    order, seen = even._order(0, 40), even.seen(member, 0)
    for target in range(7):
        for i in range(40):
            shadows = [m for m in order[:, i] if m not in (target, partner[target])]
            there = sum(member[m, i] >= 0 for m in shadows)
            expected = np.full(7, -1)
            for kind, most in ((1, sizes[0]), (0, sizes[1])):
                kept = [m for m in shadows if member[m, i] == kind][: most[target][there]]
                expected[kept] = kind
            np.testing.assert_array_equal(seen[target, :, i], expected)


def test_the_row_of_the_target_moves_nothing_that_it_sees():
    """Its own row but for the counts of the design, which everybody knows."""
    member = fixed(8, 400, 4)
    even, changed = evened(member), member.copy()
    changed[2] = np.random.default_rng(5).integers(0, 2, 400)
    np.testing.assert_array_equal(even.seen(changed, 0)[2], even.seen(member, 0)[2])


def test_coins_and_complementary_pairs_are_left_as_they_are():
    pairs = member_matrix(Design(num_models=8), 400, 0)
    assert even_shadows(pairs, alone(pairs) ^ 1, 0) is None
    for num_models, num_examples, seed in [(3, 400, 0), (8, 40, 1), (32, 3000, 2), (64, 100, 3)]:
        drawn = coins(num_models, num_examples, np.arange(num_examples), seed)
        assert even_shadows(drawn, alone(drawn), 0) is None
        rare = (np.random.default_rng(seed).random(drawn.shape) < 0.1).astype(np.int8)
        assert even_shadows(rare, alone(rare), 0) is None
    one_lost = pairs[:-1]
    partner = np.array([1, 0, 3, 2, 5, 4, 6])
    assert even_shadows(one_lost, partner, 0) is None
    halves = np.stack([np.random.default_rng(m).permutation(np.arange(400) % 2) for m in range(8)])
    assert even_shadows(halves.astype(np.int8), alone(halves), 0) is None


def nearly() -> dict[str, np.ndarray]:
    lost = fixed(16, 2000, 8)[:-1]
    hidden = fixed(16, 2000, 8, 1)
    hidden[np.random.default_rng(0).random(hidden.shape) < 0.05] = -1
    nowhere = fixed(8, 2000, 3, 2)
    nowhere[:, :700] = -1
    mixed = np.vstack([member_matrix(Design(num_models=8), 2000, 3), fixed(8, 2000, 4, 3)])
    return {"a model lost": lost, "some hidden": hidden, "not judged": nowhere, "pairs too": mixed}


@pytest.mark.parametrize("name", list(nearly()))
def test_designs_that_are_nearly_so_are_evened_where_counts_tell(name: str):
    member = nearly()[name]
    partner = alone(member)
    if name == "pairs too":
        partner[:8] ^= 1
    even = even_shadows(member, partner, 0)
    assert even is not None
    assert even.evened.tolist() == [m for m in partner if name != "pairs too" or m >= 8]
    assert count_check(member, partner).verdict == "fail"
    assert count_check(member, partner, even).verdict == "pass"
    assert abs(count_aucs(member, partner, even) - 0.5).max() < 0.06
    for m, (seen, row) in enumerate(zip(even.seen(member, 0), member, strict=True)):
        judged, there = row >= 0, (np.delete(member, [m, partner[m]], axis=0) >= 0).sum(axis=0)
        for number in np.unique(there[judged]):
            some = judged & (there == number)
            counts = np.stack([(seen == 1).sum(0)[some], (seen == 0).sum(0)[some]])
            if m in even.evened:
                assert (counts == counts[:, :1]).all()
            else:
                assert (counts.sum(0) == number).all()
        assert (seen[partner[m]] == -1).all()


def in_two_or_six() -> np.ndarray:
    """Half of the examples in 2 of 8 models, the others in 6: (8, 2000)."""
    return np.hstack([fixed(8, 1000, 2), fixed(8, 1000, 6, 1)])


def hidden_for_what_they_are() -> np.ndarray:
    """In 4 of 8 models each, and three in ten non-members not judged: (8, 2000)."""
    member = fixed(8, 2000, 4)
    member[(member == 0) & (np.random.default_rng(0).random(member.shape) < 0.3)] = -1
    return member


@pytest.mark.parametrize("drawn", [in_two_or_six, hidden_for_what_they_are])
def test_numbers_of_shadows_that_tell_in_both_directions_fail_the_check(drawn):
    member = drawn()
    partner = alone(member)
    found = count_check(member, partner, even_shadows(member, partner, 0))
    assert found.verdict == "fail"
    assert "audit apart" in found.says


def test_what_an_eighth_of_the_models_tells_is_told_whole():
    """In 1 of 8, or 7: a target in it leaves 0 or 6 others, one that is not 1 or 7."""
    member = np.hstack([fixed(8, 1000, 1), fixed(8, 1000, 7, 1)])
    assert best_aucs(member, alone(member)).min() > 0.999
    assert abs(count_aucs(member, alone(member)) - 0.5).max() < 0.45
    drawn = coins(16, 2000, np.arange(2000), 4)
    assert abs(best_aucs(drawn, alone(drawn)) - 0.5).max() < 0.06
    pairs = member_matrix(Design(num_models=8), 400, 0)
    assert (best_aucs(pairs, alone(pairs) ^ 1) == 0.5).all()


def scored(attack: MembershipAttack, member: np.ndarray, gap: float, even: bool, seed: int):
    """The mean AUC over the targets, of made-up answers to which members are surer by `gap`."""
    rng, (num_models, num_examples) = np.random.default_rng(seed), member.shape
    label = rng.integers(0, 4, num_examples)
    scatter = rng.gamma(3, 0.3, num_examples)
    ease = rng.normal(2, 2, num_examples) + rng.normal(0, 1, member.shape) * scatter
    odds = (ease + gap * (member == 1))[:, :, None]
    logits = rng.normal(0, 0.3, (*member.shape, 1, 4))
    logits[:, np.arange(num_examples), 0, label] += odds[:, :, 0]
    correct = (logits.argmax(3) == label[:, None]).astype(np.uint8)
    given = {"log_odds": odds, "view_logits": logits, "logits": logits[:, :, 0], "correct": correct}
    examples = Examples(np.arange(num_examples), label, num_examples, 4)
    signals = np.stack([attack.signal(one, examples) for one in given[attack.reads]])
    partner, seen = alone(member), member
    found = even_shadows(member, partner, seed)
    if even and found and attack.shadows_apart:
        seen = found.seen(member, 0)
    if attack.per_target:
        scores = np.stack(
            [
                attack.score(signals[m], signals[s], (seen[m] if even else seen)[s], examples, m)
                for m, s in enumerate(others_of(partner))
            ]
        )
    else:
        totals = attack.sums(signals, seen, partner, examples)
        scores = attack.score_all(signals, seen, partner, examples, totals)
        if seen.ndim == 3:  # the definition, target by target, is the closed form
            for m in (0, num_models - 1):
                slow = attack.score(signals[m], signals, seen[m], examples, m)
                np.testing.assert_allclose(scores[m], slow, rtol=1e-6, atol=1e-9)
    return np.mean([metrics.auc(s, row == 1) for s, row in zip(scores, member, strict=True)])


@pytest.mark.parametrize("name", list(ATTACKS))
@pytest.mark.parametrize(("num_models", "num_in"), [(8, 4), (8, 3), (16, 8)])
def test_models_that_keep_nothing_are_told_by_no_attack(name: str, num_models: int, num_in: int):
    aucs = [
        scored(ATTACKS[name], fixed(num_models, 300, num_in, seed), 0, True, seed)
        for seed in range(10)
    ]
    assert abs(np.mean(aucs) - 0.5) < max(4 * np.std(aucs) / np.sqrt(10), 0.008), np.mean(aucs)


@pytest.mark.parametrize(("name", "num_models"), list(UNEVEN))
def test_without_evening_the_same_attack_is_biased_against_the_attacker(name: str, num_models: int):
    of_each = {
        even: [
            scored(ATTACKS[name], fixed(num_models, 300, num_models // 2, s), 0, even, s)
            for s in range(10)
        ]
        for even in (False, True)
    }
    assert np.mean(of_each[False]) == pytest.approx(UNEVEN[name, num_models], abs=0.012)
    assert np.mean(of_each[False]) < np.mean(of_each[True]) - 0.006


def test_where_members_leave_a_trace_more_of_it_is_found():
    members = [fixed(8, 400, 4, seed) for seed in range(6)]
    attack = ATTACKS["per_example"]
    before, after = (
        np.mean([scored(attack, member, 1.0, even, s) for s, member in enumerate(members)])
        for even in (False, True)
    )
    assert after > before + 0.03


def test_a_network_over_shadows_learns_nothing_of_who_is_left_out():
    attack = ShadowMLP(num_shadows=7)
    aucs = [scored(attack, fixed(8, 120, 4, seed), 0, True, seed) for seed in range(1)]
    assert abs(np.mean(aucs) - 0.5) < 0.06


class Own(MembershipAttack):
    """Counts the shadows that it is given, as nobody should."""

    name: str = "own"

    def score(self, target, shadows, shadow_member, examples, seed=0):
        return -(shadow_member == 1).sum(axis=0).astype(float)


class Fast(Own):
    """The same, at once, of all models."""

    def score_all(self, answers, member, partner, examples, totals):
        return super().score_all(answers, member, partner, examples, totals)


def test_an_own_attack_is_given_even_shadows_unless_it_has_a_closed_form_of_its_own():
    assert Own().shadows_apart
    assert not Fast().shadows_apart
    member = fixed(8, 200, 4)
    before, after = (scored(Own(), member, 0, even, 0) for even in (False, True))
    assert (before, after) == (1.0, 0.5)
