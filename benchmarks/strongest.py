"""How often the interval of the strongest attack holds what it speaks of, by simulation.

    python benchmarks/strongest.py --repeats 1000
    python benchmarks/strongest.py --repeats 400 --design quarters --pairs 1 2 3 5

Three attacks on two arms: of one the members score higher by a gap, 0 being an exact tie; the other
two find equally much. All three share a part of what scatters: each score by itself, examples, and
models. Both arms are read by all three, the second one's members score a little lower. The figures
are those that the runner computes (tests/made/simulated_arms.py): AUC, TPR at 10 % and at 1 % FPR
of 700 members and 700 non-members, with 48 resamples. By `quarters` each model of a pair is judged
on its own half of a pool that is twice as large, drawn anew for each pair.

What is held: `stated` is the mean of the attacks' expected figures by how often each was chosen,
`best` the expected figure of the strongest attack. Beside the runner's way (`both`: chosen on other
pairs and other examples): chosen on other pairs alone, the best of all with its own interval, and
that with the error shared by Bonferroni, from the highest lower to the highest upper end.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit

from runner.statistics.averages import Averaging
from runner.statistics.intervals import Interval
from runner.statistics.resampling import half_samples
from runner.statistics.strongest import Strongest, strongest
from tests.made.simulated_arms import FIGURES, REGIMES, Regime, figures

N, R = 700, 48  # members of each model, resamples
PAIRS = (4, 8, 32)
GAPS = (0.0, 0.03, 0.06, 0.3)  # by which members of the first attack score higher
TWO = 2  # attacks beside the first one
SHARED = 0.7  # of every variance, by all attacks
ARMS = 2
BOTH_WAYS = (-1.0, 1.0)
STATED, BEST = 0, 1
WAYS = {  # what of each is told
    "both": (STATED, BEST),
    "difference": (STATED,),
    "other pairs alone": (STATED,),
    "best of all": (BEST,),
    "error shared": (BEST,),
}
HEAD = "pairs | gap | stated | best | stated, of a difference | other pairs alone | best of all"
HEAD += " | error shared | first chosen, AUC and TPR at 1 % | above the best, in spreads"


class Told(NamedTuple):
    """One interval and, of each attack, how often it was chosen in each arm, (ARMS, 1 + TWO)."""

    interval: Interval
    shares: np.ndarray


def draw(
    regime: Regime, num_pairs: int, seed: int, quarters: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return point (ARMS, A, 2P, 3) and resampled (ARMS, A, 2P, R, 3) figures of A attacks.

    Attacks are the first one at each gap, then the two others.
    """
    rng, num = np.random.default_rng(seed), 2 * num_pairs
    size = (4 if quarters else 2) * N  # of the pool
    order = np.argsort(rng.random((num_pairs, size), np.float32), axis=1)
    if quarters:
        places, member = order.reshape(num, 2 * N), np.tile(np.arange(2 * N) < N, (num, 1))
    else:
        half = order < N
        places = np.tile(np.arange(size), (num, 1))
        member = np.stack([half, ~half], axis=1).reshape(num, size)

    def mixed(*shape: int) -> np.ndarray:
        """Noise of each attack, (1 + TWO, *shape), correlated by SHARED."""
        own = rng.standard_normal((1 + TWO, *shape), np.float32)
        return SHARED**0.5 * rng.standard_normal(shape, np.float32) + (1 - SHARED) ** 0.5 * own

    of_example = regime.examples * mixed(size)
    easy = 3.0 * (rng.random((1 + TWO, size)) < regime.vulnerable)
    of_model = regime.models * mixed(num)
    found = []
    for arm in range(ARMS):
        noise = mixed(num, 2 * N) + of_example[:, places]
        gain = 0.5 - 0.1 * arm + of_model[:, :, None] + easy[:, places]
        scored = [(0, gap) for gap in GAPS] + [(1 + a, 0.0) for a in range(TWO)]
        of_each = (noise[a] + member * (gain[a] + g) for a, g in scored)
        found.append([_figures(scores, member, places if quarters else None) for scores in of_each])
    point, resampled = (np.array([[one[i] for one in arm] for arm in found]) for i in range(2))
    return point, resampled


def _figures(
    scores: np.ndarray, member: np.ndarray, places: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The figures of (B, 2N) scores; where examples differ by model, at such places of the pool."""
    if places is None:
        return figures(scores, member, R)
    bits = half_samples(4 * N, R, 0)
    each = [
        figures(own[None], row[None], R, bits[at])
        for own, row, at in zip(scores, member, places, strict=True)
    ]
    return np.concatenate([one for one, _ in each]), np.concatenate([two for _, two in each])


def readings(
    point: np.ndarray, resampled: np.ndarray, chosen: Strongest, over: Averaging
) -> Iterator[tuple[str, Told]]:
    """Every way's interval of one arm's figure; point (A, M), resampled (A, M, R)."""
    yield "both", Told(over.leakage(chosen.point, chosen.resampled), chosen.shares)
    alone = strongest(point, np.repeat(point[:, :, None], 2, axis=2), over)
    picked = _of_units(point, over)
    drawn = np.take_along_axis(resampled, picked[None, :, None], axis=0)[0]
    yield "other pairs alone", Told(over.leakage(alone.point, drawn), alone.shares)
    each = [over.leakage(*one) for one in zip(point, resampled, strict=True)]
    best = int(np.argmax([interval.mean for interval in each]))
    sure = np.arange(len(point)) == best
    yield "best of all", Told(each[best], sure.astype(float))
    wide = [_shared_error(interval, len(each), len(over.models) // 2) for interval in each]
    low, high = (max(getattr(one, end) for one in wide) for end in ("low", "high"))
    yield "error shared", Told(each[best]._replace(low=low, high=high), sure.astype(float))


def _of_units(point: np.ndarray, over: Averaging) -> np.ndarray:
    """Which attack all other pairs choose for each model, (M,): its resamples are taken of it."""
    pairs = (point[:, ::2] + point[:, 1::2]) / 2
    others = pairs.sum(axis=1, keepdims=True) - pairs
    return np.argmax(others if pairs.shape[1] > 1 else pairs, axis=0)[over.units()]


def _shared_error(one: Interval, num: int, num_pairs: int) -> Interval:
    """An interval widened so that one of several misses 5 times in 100 at most."""
    by = stdtrit(num_pairs - 1, 1 - 0.025 / num) / stdtrit(num_pairs - 1, 0.975)
    odds, ends = logit(one.mean), logit([one.low, one.high])
    low, high = expit(odds + by * (ends - odds))
    return one._replace(low=float(low), high=float(high))


def simulate(
    regime: Regime, num_repeats: int, pairs: Sequence[int], quarters: bool
) -> Iterator[str]:
    """Yield a line for each number of pairs and gap."""
    told: dict[tuple, list[Told]] = {}
    points = []
    for seed in range(num_repeats):
        point, resampled = draw(regime, max(pairs), seed, quarters)
        points.append(point.mean(axis=2))
        for num_pairs in pairs:
            models = np.arange(2 * num_pairs)
            over = Averaging(models, models ^ 1)
            for g in range(len(GAPS)):
                for f in range(len(FIGURES)):
                    some = [[g], *([a] for a in range(-TWO, 0))], models
                    of_arms = [
                        (point[arm, :, :, f][some], resampled[arm, :, :, :, f][some])
                        for arm in range(ARMS)
                    ]
                    both = [strongest(*of_arm, over) for of_arm in of_arms]
                    for way, one in readings(*of_arms[0], both[0], over):
                        told.setdefault((way, num_pairs, g, f), []).append(one)
                    apart = over.leakage(
                        both[1].point - both[0].point,
                        both[1].resampled - both[0].resampled,
                        BOTH_WAYS,
                    )
                    one = Told(apart, np.stack([each.shares for each in both]))
                    told.setdefault(("difference", num_pairs, g, f), []).append(one)
    truth = np.mean(points, axis=0)  # (ARMS, A, 3)
    # What is the same by construction is measured together.
    truth[:, [0, *range(-TWO, 0)]] = truth[:, [0, *range(-TWO, 0)]].mean(axis=1, keepdims=True)
    for num_pairs in pairs:
        for g, gap in enumerate(GAPS):
            at = truth[:, [g, *range(-TWO, 0)]]
            of_each = {way: [told[way, num_pairs, g, f] for f in range(3)] for way in WAYS}
            yield f"| {num_pairs} | {gap:g} | {' | '.join(_cells(of_each, at))} |"


def _cells(of_each: dict[str, list[list[Told]]], truth: np.ndarray) -> Iterator[str]:
    """What each way holds over the three figures, the choices, and how far off the AUC is.

    Args:
        truth: (ARMS, A, 3).
    """
    for way, of_figures in of_each.items():
        held = np.array([_held(one, truth[:, :, f]) for f, one in enumerate(of_figures)])
        for column in WAYS[way]:
            yield f"{held[:, column].min():.1f} to {held[:, column].max():.1f}"
    first = [100 * np.mean([one.shares[0] for one in of_each["both"][f]]) for f in (0, 2)]
    yield f"{first[0]:.0f}, {first[1]:.0f}"
    biases = [_bias(of_each[way][0], truth[0, :, 0]) for way in ("both", "best of all")]
    yield f"{biases[0]:+.2f}, {biases[1]:+.2f}"


def _held(told: list[Told], truth: np.ndarray) -> tuple[float, float]:
    """How often in 100 intervals hold what is stated, and the best attack's own figure."""
    stated, best = [], []
    for interval, shares in told:
        if shares.ndim == 1:
            at, most = float(shares @ truth[0]), float(truth[0].max())
        else:
            at, most = float(shares[1] @ truth[1] - shares[0] @ truth[0]), float("nan")
        stated.append(interval.low <= at <= interval.high)
        best.append(interval.low <= most <= interval.high)
    return 100 * float(np.mean(stated)), 100 * float(np.mean(best))


def _bias(told: list[Told], truth: np.ndarray) -> float:
    """How far the mean lies above the best attack's own figure, in spreads of the mean."""
    means = np.array([one.interval.mean for one in told])
    return float((means.mean() - truth.max()) / means.std())


def main() -> None:
    """Print a table for each regime."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=1000)
    names = ["nothing", "models", "examples", "as measured"]
    parser.add_argument("--regimes", nargs="+", default=names, choices=REGIMES)
    parser.add_argument("--design", default="pairs", choices=["pairs", "quarters"])
    parser.add_argument("--pairs", type=int, nargs="+", default=PAIRS)
    asked = parser.parse_args()
    for name in asked.regimes:
        start = time.process_time()
        print(f"\n{name}, {asked.repeats} repeats", flush=True)
        print(f"| {HEAD} |\n{'|---' * 10}|")
        quarters = asked.design == "quarters"
        for line in simulate(REGIMES[name], asked.repeats, asked.pairs, quarters):
            print(line, flush=True)
        print(f"{time.process_time() - start:.0f} s of a core", flush=True)


if __name__ == "__main__":
    main()
