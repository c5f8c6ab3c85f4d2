"""Poisson batches of bounded size: how often one is cut, and what is still proved."""

import math
import re
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from torch import nn

from defenses import Facts, Kit
from defenses._accounting import spent
from defenses._poisson import poisson_batches
from defenses._truncation import Bounded, spent_in_part
from defenses.dp_sgd import DPSGD


def test_the_probability_of_a_cut_is_the_sum_of_the_binomial_of_one_member_more():
    rate = Fraction(1, 8)
    for most in (6, 9, 12, 20):
        tail = sum(math.comb(21, k) * rate**k * (1 - rate) ** (21 - k) for k in range(most + 1, 22))
        assert Bounded(20, 0.125, most, 3).cut == pytest.approx(float(3 * tail), rel=1e-12)
    assert Bounded(20, 0.125, 21, 3).cut == 0
    assert Bounded(20, 0.5, 1, 300).cut == 1
    n, q = 10**6 + 1, 1e-4
    terms = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + k * math.log(q) + (n - k) * math.log1p(-q)
        for k in range(301, 700)
    ]  # fmt: skip
    tiny = Bounded(n - 1, q, 300, 1).cut
    assert tiny == pytest.approx(math.fsum(map(math.exp, terms)), rel=1e-7)
    assert 0 < tiny < 1e-50


def test_what_is_left_and_what_is_taken_are_all_of_delta():
    batches = Bounded(1000, 0.05, 100, 100)
    left = batches.left(2.0, 1e-5)
    assert left + (1 + math.e**2) * batches.cut == pytest.approx(1e-5, rel=1e-12)
    assert 0 < left < 1e-5


@pytest.mark.parametrize("most", [86, 90, 120])
def test_epsilon_is_the_one_at_which_the_rest_of_delta_gives_no_more(most: int):
    """Of a curve in closed form: epsilon = -log(delta) / 4."""
    batches = Bounded(1000, 0.05, most, 100)
    found = spent_in_part(lambda delta: -math.log(delta) / 4, 1e-3, batches)
    assert -math.log(batches.left(found, 1e-3)) / 4 == pytest.approx(found, rel=1e-5)
    assert found >= -math.log(1e-3) / 4
    assert -math.log(batches.left(found, 1e-3)) / 4 <= found * (1 + 1e-12)


def sums(num_others: int, rate: float, most: int, own: float | None) -> dict[float, float]:
    """The probability of each sum of a batch: every other gradient is 1, and one may be `own`."""
    found: dict[float, float] = {}
    for others, p in enumerate(binom.pmf(range(num_others + 1), num_others, rate)):
        for drawn in (False, True) if own is not None else (False,):
            q = p * ((rate if drawn else 1 - rate) if own is not None else 1)
            size = others + drawn
            kept = min(1.0, most / size) if size else 1.0  # of each one that was drawn
            if drawn:
                with_it = min(size, most) - 1 + (own or 0.0)
                found[with_it] = found.get(with_it, 0) + q * kept
                q *= 1 - kept
            without = float(min(size, most))
            found[without] = found.get(without, 0) + q
    return found


def delta_at(epsilon: float, one: dict[float, float], other: dict[float, float]) -> float:
    """The smallest delta of one step at this epsilon, with noise 1 on its sum."""
    x = np.linspace(-9, 17, 26_001)
    p, q = (sum(w * norm.pdf(x, m) for m, w in s.items()) for s in (one, other))
    over = np.maximum(p - math.exp(epsilon) * q, 0)
    return float(over.sum() * (x[1] - x[0]))


def test_a_step_that_cuts_keeps_what_is_said_and_breaks_what_uncut_batches_give():
    """An example pushes one of the others out: the sum moves by 2 where the accountant has 1."""
    broken = 0
    for rate, most in ((0.5, 4), (0.5, 6), (0.5, 7), (0.8, 7), (0.9, 4)):
        alone = [{0.0: 1 - rate, 1.0: rate}, {0.0: 1.0}]  # of uncut batches, the worst there is
        batches = Bounded(7, rate, most, 1)
        pair = [sums(7, rate, most, own) for own in (-1.0, None)]
        for epsilon in (0.0, 0.3, 1.0, 2.0, 3.0):
            uncut = max(delta_at(epsilon, *p) for p in (alone, alone[::-1]))
            cut = max(delta_at(epsilon, *p) for p in (pair, pair[::-1]))
            assert cut <= uncut + batches.extra(epsilon)
            broken += cut > uncut
    assert broken  # so the bound is needed


def kit(seed: int = 5) -> Kit:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    return Kit(model, optimizer, lambda epoch: [], torch.arange(40) * 3 + 1, 12, seed)


def test_no_batch_is_larger_and_one_that_is_not_too_large_is_as_it_was_drawn():
    whole = [b.tolist() for b in poisson_batches(kit(), 0)]
    most = sorted(map(len, whole))[1]
    cut = [b.tolist() for b in poisson_batches(kit(), 0, most)]
    assert max(map(len, whole)) > most == max(map(len, cut))
    assert len(cut) == len(whole)
    same = next(i for i, batch in enumerate(whole) if len(batch) > most)
    assert cut[:same] == whole[:same]
    assert set(cut[same]) < set(whole[same])
    assert cut == [b.tolist() for b in poisson_batches(kit(), 0, most)]


def test_whoever_was_drawn_is_as_likely_to_be_kept_as_any_other():
    kept, members = np.zeros(40), kit().members.numpy()
    sizes = []
    for epoch in range(400):
        for batch in poisson_batches(kit(), epoch, 9):
            kept[np.isin(members, batch.numpy())] += 1
            sizes.append(len(batch))
    share = np.mean(sizes) / 40
    assert np.abs(kept / len(sizes) - share).max() < 5 * math.sqrt(share * (1 - share) / len(sizes))


FACTS = Facts(nn.Identity(), 1000, 50, 5, 1e-5)


def test_the_guarantee_pays_for_its_cuts_and_says_how_much():
    plain = DPSGD(noise_multiplier=1.1, accountant="rdp").guarantee(FACTS)
    some = DPSGD(noise_multiplier=1.1, accountant="rdp", max_batch_size=95).guarantee(FACTS)
    all_fit = DPSGD(noise_multiplier=1.1, accountant="rdp", max_batch_size=1001).guarantee(FACTS)
    assert plain.epsilon is not None
    assert some.epsilon is not None
    assert some.status == "proved"
    assert all_fit.epsilon == plain.epsilon < some.epsilon < 1.2 * plain.epsilon
    told = re.search(r"batches of at most 95, whose cuts take (\S+) of delta", some.why)
    assert told
    extra = (1 + math.exp(some.epsilon)) * 100 * float(binom.sf(95, 1001, 0.05))
    assert float(told[1]) == pytest.approx(extra, rel=0.01)
    at = spent(1.1, 0.05, 100, 1e-5 - extra, "rdp")
    assert at == pytest.approx(some.epsilon, rel=1e-5)


def test_too_many_cuts_leave_no_guarantee_and_the_way_out_gives_one():
    given = DPSGD(noise_multiplier=1.1, accountant="rdp", max_batch_size=70).guarantee(FACTS)
    assert (given.epsilon, given.status) == (None, "none")
    wanted = re.search(r"cuts batches too often: .* use max_batch_size: (\d+) or more", given.why)
    assert wanted
    enough = DPSGD(noise_multiplier=1.1, accountant="rdp", max_batch_size=int(wanted[1]))
    assert enough.guarantee(FACTS).status == "proved"


def test_a_bound_that_one_accountant_can_pay_for_is_not_called_too_small():
    """The other one's epsilon is larger, and what cuts add to delta grows with it."""
    by_rdp = partial(spent, 1.05, 0.05, 100, accountant="rdp")
    with pytest.raises(ValueError, match="too often"):
        spent_in_part(by_rdp, 1e-5, Bounded(1000, 0.05, 95, 100))
    given = DPSGD(noise_multiplier=1.05, max_batch_size=95).guarantee(FACTS)
    assert given.status == "proved"
    assert "accountant prv; one example" in given.why


def test_the_noise_of_a_target_pays_for_its_cuts():
    keys = {"target_epsilon": 2.0, "accountant": "rdp"}
    noises = []
    for most in (None, 95, 1001):
        found = DPSGD.model_validate({**keys, "max_batch_size": most}).resolved(1000, 50, 5)
        reached = found.guarantee(FACTS).epsilon
        assert reached is not None
        assert 1.98 < reached <= 2.0
        noises.append(found.noise_multiplier)
    assert noises[0] == noises[2] < noises[1]
    with pytest.raises(ValueError, match=r"too often: .* use max_batch_size: \d+ or more"):
        DPSGD.model_validate({**keys, "max_batch_size": 70}).resolved(1000, 50, 5)


def test_a_bound_below_the_batch_size_or_of_no_random_size_is_refused():
    with pytest.raises(ValueError, match=r"max_batch_size 49 is below training\.batch_size 50"):
        DPSGD(noise_multiplier=1.0, max_batch_size=49).resolved(1000, 50, 5)
    with pytest.raises(ValueError, match="without poisson_sampling all have"):
        DPSGD(noise_multiplier=1.0, max_batch_size=99, poisson_sampling=False)
