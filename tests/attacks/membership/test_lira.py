import subprocess
import sys

import numpy as np
import pytest

from attacks.membership.lira import Lira
from runner.experiment.describe import one_line
from tests.made.shadows import (
    ANY,
    CARLINI,
    auc,
    gaussian_answers,
    line,
    oracle,
    others,
    pairs,
    ragged,
    score_all,
)

MODES = [{"mode": "online"}, {"mode": "offline"}, {"mode": "offline", "sides": "two"}]
VARIANCES = ["per_example", "pooled", "shrunk", "total"]
KINDS = [Lira.model_validate({**mode, "variance": v}) for mode in MODES for v in VARIANCES]
KINDS += [Lira(mode=m, variance="shrunk", prior_freedom=8) for m in ("online", "offline")]
MORE = [
    kind.model_copy(update={"centre": centre, "across_views": views})
    for kind in KINDS
    for centre, views in (("median", "mean"), ("mean", "joint"), ("median", "joint"))
]


@pytest.mark.parametrize("attack", KINDS + MORE + CARLINI, ids=line)
def test_score_is_the_definition(attack: Lira):
    rng = np.random.default_rng(0)
    member = ragged(16, 12, rng)
    answers = gaussian_answers(member, 2, 1, rng)
    expected = oracle(attack, answers[0], answers[1:], member[1:])
    scores = attack.score(answers[0], answers[1:], member[1:], ANY)
    np.testing.assert_allclose(scores, expected, 1e-7, 1e-9)


@pytest.mark.parametrize("attack", KINDS + MORE + CARLINI, ids=line)
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
        alone = attack.score(answers[m], answers[kept], member[kept], ANY)
        np.testing.assert_allclose(scores[m], alone, 1e-6, 1e-6)


class Doubled(Lira):
    """A user's own, over LiRA."""

    def score_all(self, answers, member, partner, examples, totals):
        return 2 * super().score_all(answers, member, partner, examples, totals)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("draw", [pairs, ragged])
def test_attacks_that_share_their_fits_have_the_bits_of_each_alone(draw, apart: bool):
    rng = np.random.default_rng(7)
    member, partner = draw(16, 40 if apart else 300, rng), np.arange(16) ^ 1
    answers = gaussian_answers(member, 2, 1, rng)
    if apart:
        member = np.stack([np.where(others(m, partner)[:, None], member, -1) for m in range(16)])
    attacks, own = (KINDS + MORE)[::-1] + CARLINI * (not apart), [Doubled(), Doubled()]
    like = [
        [a for a in attacks if (a.variance, a.centre, a.across_views) == kind]
        for kind in dict.fromkeys((a.variance, a.centre, a.across_views) for a in attacks)
    ]
    for some in [*like, attacks[:3], own]:
        given = answers, member, partner, ANY
        totals = type(some[0]).sums_of(some, *given)
        scores = type(some[0]).scores_of(some, *given, totals)
        for attack, sums, found in zip(some, totals, scores, strict=True):
            alone = attack.sums(*given)
            assert sums.keys() == alone.keys()
            for key, each in alone.items():
                np.testing.assert_array_equal(sums[key], each)
            np.testing.assert_array_equal(found, attack.score_all(*given, alone))


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_a_target_that_outweighs_its_class_leaves_it_without_cancellation(attack: Lira):
    rng = np.random.default_rng(2)
    member = pairs(12, 6, rng)
    answers = gaussian_answers(member, 0, 0.01, rng)
    answers[0] += 14
    answers[1] += 1e4  # its partner outweighs the shadows by 12 digits of the squares
    scores = score_all(attack, answers, member, np.arange(12) ^ 1)
    expected = oracle(attack, answers[0], answers[2:], member[2:])
    np.testing.assert_allclose(scores[0], expected, 1e-6)


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_answers_without_spread_give_finite_scores_at_the_variance_floor(attack: Lira):
    rng = np.random.default_rng(3)
    member = pairs(8, 5, rng)
    answers = np.where(member == 1, 13.3, -13.3).astype(np.float32)[:, :, None]
    scores = score_all(attack, answers, member, np.arange(8) ^ 1)
    expected = oracle(attack, answers[0], answers[2:], member[2:])
    np.testing.assert_allclose(scores[0], expected, 1e-6)
    assert (scores[member == 1].min()) > scores[member == 0].max()


@pytest.mark.parametrize("attack", KINDS + MORE + CARLINI, ids=line)
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


@pytest.mark.parametrize("attack", KINDS, ids=line)
@pytest.mark.parametrize("num_models", [8, 16])
def test_a_redrawn_member_matrix_scores_one_half(attack: Lira, num_models: int):
    rng = np.random.default_rng(5)
    member, null = pairs(num_models, 10_000, rng), pairs(num_models, 10_000, rng)
    answers = gaussian_answers(member, 2, 1, rng, num_views=1)
    scores = score_all(attack, answers, null, np.arange(num_models) ^ 1)
    aucs = [auc(*of_model) for of_model in zip(scores, null, strict=True)]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_memorised_examples_are_found(attack: Lira):
    rng = np.random.default_rng(6)
    member = pairs(16, 2000, rng)
    answers = gaussian_answers(member, 4, 1, rng)
    scores = score_all(attack, answers, member, np.arange(16) ^ 1)
    assert min(auc(*of_model) for of_model in zip(scores, member, strict=True)) > 0.9


def test_offline_scores_rank_targets_fifty_deviations_above_the_out_models():
    shadows = np.array([-1.0, 1.0])[:, None, None] * np.ones((2, 5, 1))
    target = np.array([9.0, 38, 39, 50, 51])[:, None]
    attack = Lira(mode="offline", variance="pooled")
    scores = attack.score(target, shadows, np.zeros((2, 5), np.int8), ANY)
    assert (np.diff(scores) > 10).all()
    assert scores[3] == pytest.approx(50**2 / 2 + np.log(50 * np.sqrt(2 * np.pi)), rel=1e-6)


def test_offline_scores_are_one_sided():
    shadows = np.array([-1.0, 1.0])[:, None, None] * np.ones((2, 3, 1))
    scores = Lira(mode="offline").score(
        np.array([[-5.0], [0.0], [5.0]]), shadows, np.zeros((2, 3), np.int8), ANY
    )
    assert scores[0] < scores[1] < scores[2]
    assert scores[1] == pytest.approx(np.log(2))


def test_pooled_variance_leaves_out_the_difference_between_examples():
    shadows = np.array([-1.0, 1.0])[:, None, None] + np.array([0.0, 1000.0])[:, None]
    scores = Lira(mode="offline", variance="pooled").score(
        np.array([[0.0], [1000.0]]), shadows, np.zeros((2, 2), np.int8), ANY
    )
    assert scores == pytest.approx(np.log([2, 2]))
    target = np.array([[1.0], [1001.0]])
    one_above = Lira(mode="offline", variance="pooled").score(
        target, shadows, np.zeros((2, 2), np.int8), ANY
    )
    assert one_above == pytest.approx(-np.log([0.15865525393] * 2))


def test_the_two_classes_have_their_own_variance():
    shadows = np.array([-1.0, 1.0, 0.0, 8.0])[:, None, None]
    member = np.array([[0], [0], [1], [1]], np.int8)
    for variance in ("per_example", "pooled"):
        score = Lira(variance=variance).score(np.array([[2.0]]), shadows, member, ANY)
        # out N(0, 1), in N(4, 16): (4/1 + log 1 - 4/16 - log 16) / 2
        assert score == pytest.approx([(4 - 0.25 - np.log(16)) / 2])


@pytest.mark.parametrize("attack", KINDS + MORE + CARLINI, ids=line)
@pytest.mark.parametrize("draw", [pairs, ragged])
def test_blocks_of_examples_score_as_all_of_them_at_once(attack: Lira, draw):
    rng = np.random.default_rng(8)
    member, partner = draw(12, 70, rng), np.arange(12) ^ 1
    answers = gaussian_answers(member, 2, 1, rng)
    whole = attack.sums(answers, member, partner, ANY)
    blocks = [slice(0, 33), slice(33, 70)]
    first, second = (attack.sums(answers[:, b], member[:, b], partner, ANY) for b in blocks)
    assert set(first) == set(second) == set(whole)
    totals = {key: first[key] + second[key] for key in first}
    scores = attack.score_all(answers, member, partner, ANY, whole)
    for b in blocks:
        of_block = attack.score_all(answers[:, b], member[:, b], partner, ANY, totals)
        np.testing.assert_allclose(of_block, scores[:, b], 1e-9, 1e-9)


def test_nothing_is_summed_where_the_variance_is_an_examples_own():
    rng = np.random.default_rng(8)
    member = pairs(8, 7, rng)
    answers = gaussian_answers(member, 2, 1, rng)
    assert Lira(variance="per_example").sums(answers, member, np.arange(8) ^ 1, ANY) == {}


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_an_example_with_too_few_shadows_scores_nan_and_no_other_does(attack: Lira):
    rng = np.random.default_rng(9)
    member, partner = pairs(12, 5, rng), np.arange(12)  # nobody has a partner
    member[:, 0] = -1  # judged for no model
    member[:, 1] = [1, 1, 1, *[0] * 9]  # a target that is in has two in shadows
    member[:, 2] = [1, 1, *[0] * 10]  # it has one
    member[:, 3] = [1, *[0] * 11]  # it has none
    answers = gaussian_answers(member, 2, 1, rng)
    nan = [True, False, attack.variance == "per_example", True, False]
    if attack.mode == "offline":
        nan = [True, False, False, False, False]
    scores = score_all(attack, answers, member, partner)
    assert np.isnan(scores[0]).tolist() == nan
    alone = attack.score(answers[0], answers[1:], member[1:], ANY)
    np.testing.assert_allclose(alone, scores[0], 1e-9)


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_a_class_of_only_the_target_and_its_partner_scores_nan(attack: Lira):
    rng = np.random.default_rng(11)
    member = np.zeros((6, 3), np.int8)
    member[:2] = 1
    answers = gaussian_answers(member, 14, 1, rng)
    scores = score_all(attack, answers, member, np.arange(6) ^ 1)
    assert np.isnan(scores[:2]).all() == (attack.mode == "online")


@pytest.mark.parametrize("attack", KINDS, ids=line)
def test_four_models_in_pairs_have_no_residuals_but_a_total_spread(attack: Lira):
    rng = np.random.default_rng(10)
    member = pairs(4, 60, rng)
    answers = gaussian_answers(member, 2, 1, rng)
    scores = score_all(attack, answers, member, np.arange(4) ^ 1)
    assert np.isnan(scores).all() == (attack.variance != "total")
    expected = oracle(attack, answers[3], answers[:2], member[:2])
    np.testing.assert_allclose(scores[3], expected, 1e-6, 1e-9)


@pytest.mark.parametrize("attack", [k for k in MORE if k.centre == "mean"], ids=line)
def test_a_joint_normal_of_one_view_is_that_view(attack: Lira):
    rng = np.random.default_rng(12)
    member, partner = pairs(10, 30, rng), np.arange(10) ^ 1
    answers = gaussian_answers(member, 2, 1, rng, num_views=1)
    apart = attack.model_copy(update={"across_views": "mean"})
    expected = score_all(apart, answers, member, partner)
    np.testing.assert_allclose(score_all(attack, answers, member, partner), expected, 1e-9)


@pytest.mark.parametrize("variance", ["per_example", "pooled", "total"])
def test_a_joint_ratio_does_not_depend_on_the_coordinates_of_the_views(variance: str):
    rng = np.random.default_rng(13)
    member, partner = pairs(24, 30, rng), np.arange(24) ^ 1
    answers = gaussian_answers(member, 2, 1, rng, num_views=3)
    mixed = answers @ np.array([[1, 0.4, 0.0], [0.2, 2, 0.1], [-0.3, 0.5, 1]])
    attack = Lira.model_validate({"variance": variance, "across_views": "joint"})
    expected = score_all(attack, answers, member, partner)
    scores = score_all(attack, mixed, member, partner)
    np.testing.assert_allclose(scores, expected, 1e-3, 1e-3)  # but for the correlations' 1e-6


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("variance", ["pooled", "shrunk"])
def test_a_view_asked_twice_is_worth_one_to_a_joint_normal(mode: dict[str, str], variance: str):
    rng = np.random.default_rng(14)
    member, partner = pairs(10, 30, rng), np.arange(10) ^ 1
    answers = gaussian_answers(member, 2, 1, rng, num_views=1)
    keys: dict[str, object] = {**mode, "variance": variance, "across_views": "joint"}
    if variance == "shrunk":
        keys["prior_freedom"] = 1e6  # a normal: a Student's t judges two answers of one as two
    attack = Lira.model_validate(keys)
    one = score_all(attack, answers, member, partner)
    two = score_all(attack, answers.repeat(2, axis=2), member, partner)
    difference = two - one
    if attack.sides != "one":  # the densities of answers that lie on a line are all as large
        difference -= difference.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(difference, 0, atol=1e-3)


def test_one_sided_joint_scores_rank_by_the_common_shift():
    shadows = np.random.default_rng(15).normal(0, 1, (40, 1, 2)) * [1, 3]
    out = np.zeros((40, 4), np.int8)
    target = np.array([[-2.0, -2], [0, 0], [2, 2], [60, 60]])
    attack = Lira(mode="offline", variance="per_example", across_views="joint")
    scores = attack.score(target, shadows.repeat(4, axis=1), out, ANY)
    assert (np.diff(scores) > 0).all()
    assert np.isfinite(scores).all()


def test_a_preset_gives_the_keys_that_are_left_out():
    code = Lira(preset="lira-carlini-code", mode="offline")
    assert one_line(code) == (
        "lira(preset lira-carlini-code, mode offline, variance per_example, centre median, "
        "sides two, across_views mean)"
    )
    assert one_line(Lira(mode="offline")) == (
        "lira(preset lira-corrected, mode offline, variance shrunk, prior_freedom estimated, "
        "centre mean, sides one, across_views mean)"
    )
    given = {"preset": "lira-carlini-code", "variance": "total", "centre": "median"}
    assert Lira.model_validate(given).variance == "total"
    for attack in (*KINDS, *MORE, *CARLINI, Lira(), code):
        assert Lira.model_validate(attack.model_dump()) == attack


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"preset": "lira-carlini-code", "variance": "pooled"}, "variance per_example or total"),
        ({"preset": "lira-carlini-code", "variance": "shrunk"}, "got shrunk"),
        ({"preset": "lira-carlini-code", "centre": "mean"}, "expected centre median"),
        ({"preset": "lira-carlini-code", "across_views": "joint"}, "expected across_views mean"),
        ({"preset": "lira-carlini-code", "mode": "offline", "sides": "one"}, "expected sides two"),
        ({"preset": "lira-carlini-code", "prior_freedom": 8}, "`prior_freedom` is of"),
        ({"sides": "two"}, "`sides` is of `mode: offline`"),
        ({"variance": "pooled", "prior_freedom": 8}, "`prior_freedom` is of"),
        (
            {"variance": "shrunk", "prior_freedom": 0},
            "expected a number above 0, or estimated, got 0",
        ),
        ({"preset": "lira"}, "lira-corrected"),
    ],
    ids=str,
)
def test_keys_that_do_not_go_together_are_refused(keys: dict[str, object], why: str):
    with pytest.raises(ValueError, match=why):
        Lira.model_validate(keys)


# -compute_score_lira of advanced_mia.py in tensorflow-privacy 0.8.12, asked for the answers below.
# Its keys: option, fix_variance, median_or_mean.
TENSORFLOW_PRIVACY = {
    ("both", False, "mean"): [1.21515819, -0.45940483, 0.12713722, -0.13049802],
    ("both", False, "median"): [1.70010155, -0.35784586, 0.23965229, -0.51867649],
    ("both", True, "mean"): [0.46000162, -0.30161818, 0.10936882, -0.03705887],
    ("both", True, "median"): [0.42151671, -0.25731041, 0.1918797, -0.38722963],
    ("out", False, "mean"): [3.45562921, 2.22718217, 2.42509808, 3.01543251],
    ("out", False, "median"): [4.05664893, 2.08049077, 2.46799509, 3.00669448],
    ("out", True, "mean"): [2.63409691, 2.34327688, 2.35976881, 3.15208018],
}


@pytest.mark.parametrize("option", TENSORFLOW_PRIVACY, ids=str)
def test_tensorflow_privacys_library_gives_the_same_scores(option: tuple[str, bool, str]):
    """But for a fixed variance around medians: there it is what spreads the residuals from those.

    There, too, a fixed variance is one for all views; this has one for each.
    """
    classes, fixed, centre = option
    answers = 5 * np.sin(np.arange(80) ** 2).reshape(10, 4, 2)[:, :, :1]
    member = ((np.arange(10)[:, None] + np.arange(4)) % 2).astype(np.int8)
    member[9] = 1
    keys = {"variance": "pooled" if fixed else "per_example", "centre": centre}
    if classes == "out":
        keys |= {"mode": "offline", "sides": "two"}
    scores = Lira.model_validate(keys).score(answers[0], answers[1:], member[1:], ANY)
    if option == ("both", True, "median"):
        assert abs(scores - TENSORFLOW_PRIVACY[option]).max() == pytest.approx(0.08207, abs=1e-5)
    else:
        np.testing.assert_allclose(scores, TENSORFLOW_PRIVACY[option], 1e-7)


@pytest.mark.slow
def test_of_simulated_answers_the_variances_find_what_they_should():
    """Out answers N(hardness, s^2), s lognormal; in answers higher, and of 0.6 of the deviation.

    At 0.1 % FPR, 8, 16 and 64 shadows. So an example's own variance pays from many shadows on, a
    shrunk one at once, and the deviation of all in answers is no substitute for the out models'.
    """
    found = {num_shadows: simulated(num_shadows) for num_shadows in (8, 16, 64)}
    for tpr in found.values():
        assert tpr["shrunk"] > tpr["pooled"] > 0.01
        assert tpr["pooled"] > tpr["carlini total"]
    assert found[8]["pooled"] > found[8]["per_example"]
    assert found[64]["per_example"] > found[64]["pooled"]
    assert found[64]["shrunk"] > 0.95 * found[64]["per_example"]


def simulated(num_shadows: int) -> dict[str, float]:
    """The true positive rate of each variance, of 3 targets and 30,000 examples each."""
    rng, size = np.random.default_rng(num_shadows), 30_000
    attacks = {v: Lira.model_validate({"variance": v}) for v in VARIANCES}
    attacks["carlini total"] = Lira(preset="lira-carlini-code", variance="total")
    found = dict.fromkeys(attacks, 0.0)
    for _ in range(3):
        hardness, gap = rng.normal(3, 3, size), np.abs(rng.normal(0, 2, size))
        deviation = np.exp(rng.normal(0, 0.35, size))
        member = np.repeat([[1], [0], [1]], [num_shadows // 2, num_shadows // 2, 1], axis=0)
        member = np.repeat(member, size, axis=1)
        member[-1] = rng.integers(0, 2, size)
        noise = rng.normal(0, 1, member.shape) * deviation * np.where(member == 1, 0.6, 1)
        answers = (hardness + gap * member + noise)[:, :, None]
        for name, attack in attacks.items():
            scores = attack.score(answers[-1], answers[:-1], member[:-1].astype(np.int8), ANY)
            threshold = np.quantile(scores[member[-1] == 0], 0.999)
            found[name] += float((scores[member[-1] == 1] > threshold).mean()) / 3
    return found


def test_workers_of_the_audit_need_no_torch():
    pytest.importorskip("ray", reason="machines that only train have no Ray")
    modules = "attacks.membership.lira, runner.storage.answers, runner.audit.scores"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
