"""How often the bounds on epsilon from canaries are wrong, and how much they show, by simulation.

    python benchmarks/epsilon_bounds.py

Mechanisms whose epsilon is known, canaries with a fair coin each, and guesses and bounds that share
their error as a report has them, of one model and one attack: Gaussian noise on each canary by
itself; randomized response as good as a test of that Gaussian; and, of few canaries, the mechanism
that is guessed of best among all those of the trade-off that treat canaries alike, by linear
programming, where the chance is computed and not drawn. A bound is wrong where it exceeds the
mechanism's. Ends with 1 if one is wrong significantly more often than it says. Cost: about 8
minutes on one core.
Results: benchmarks/results/epsilon_bounds.md.
"""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from attacks.epsilon import gaussian_bound, guess, one_run_bound
from attacks.epsilon import trade_off_p_value as p_value
from attacks.epsilon.gaussian import gaussian_least_fpr
from attacks.gaussian_noise import epsilon_of, log_delta, mu_of
from tests.made.worst_mechanism import gaussian_lines, worst

DELTA = 1e-5
ERROR = 0.05
SHARES = (0.1, 0.5, 0.9)  # the default of `epsilon.guesses`

Told = Callable[[np.random.Generator, np.ndarray, float], np.ndarray]  # coins, mu -> scores


def noisy(random: np.random.Generator, coins: np.ndarray, mu: float) -> np.ndarray:
    """What Gaussian noise of this mu leaves of each coin."""
    return coins * mu + random.standard_normal(len(coins))


def turned(random: np.random.Generator, coins: np.ndarray, mu: float) -> np.ndarray:
    """Each coin, or its contrary as often as the best guess of `noisy` is wrong."""
    kept = random.random(len(coins)) < ndtr(mu / 2)
    return np.where(kept, coins, ~coins) + 0.1 * random.random(len(coins))


class Audit(NamedTuple):
    """The guesses of one model by one attack."""

    num: int  # canaries
    guesses: tuple[int, ...]  # of in, and as many of out

    def right(self, scores: np.ndarray, coins: np.ndarray) -> list[int]:
        """Return how many guesses are right, for each number of them."""
        said = [guess(scores, num, num) for num in self.guesses]
        return [int((s[coins] == 1).sum() + (s[~coins] == -1).sum()) for s in said]

    def first(self, right: Sequence[int], tests: int = 1) -> float:
        """Return the best bound of any training, where so many tests share the error."""
        options = DELTA, 1 - ERROR, tests * len(self.guesses)
        return max(one_run_bound(self.num, 2 * n, v, *options) for n, v in self.both(right))

    def second(self, right: Sequence[int], tests: int = 1) -> float:
        """Return the best bound of a training whose trade-off is Gaussian."""
        options = 1 - ERROR, tests * len(self.guesses)
        best = max(gaussian_bound(self.num, 2 * n, v, *options) for n, v in self.both(right))
        return epsilon_of(best, DELTA)

    def both(self, right: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Return the numbers of guesses with those that are right."""
        return zip(self.guesses, right, strict=True)


def audit_of(num_canaries: int, shares: tuple[float, ...] = SHARES) -> Audit:
    """Return the audit that guesses such shares of the canaries."""
    return Audit(num_canaries, tuple(max(1, int(share * num_canaries / 2)) for share in shares))


def shown(told: Told, mu: float, audit: Audit, repeats: int, seed: int) -> np.ndarray:
    """The epsilons, (repeats, 3): the first test's, the Gaussian's, and the better of the two."""
    random, found = np.random.default_rng(seed), []
    for _ in range(repeats):
        coins = random.random(audit.num) < 0.5
        right = audit.right(told(random, coins, mu), coins)
        better = max(audit.first(right, 2), audit.second(right, 2))
        found.append((audit.first(right), audit.second(right), better))
    return np.array(found)


def drawn(repeats: int) -> Iterator[tuple[str, float, bool]]:
    """Print a line a setting, and yield how often which bound was wrong."""
    print(
        "| mechanism | epsilon | mu | canaries | guesses | first test: median | wrong (%) ", end=""
    )
    print("| if Gaussian: median | wrong (%) | better of both: median | wrong (%) |")
    print("|---|" + "--:|" * 10)
    for told in (noisy, turned):
        for epsilon in (1.0, 3.0, 8.0):
            for num, shares in ((200, SHARES), (1000, SHARES), (1000, (0.2,)), (1000, (1.0,))):
                mu = mu_of(epsilon, DELTA)
                found = shown(told, mu, audit_of(num, shares), repeats, seed=num)
                cells = [f"{told.__name__}", f"{epsilon:g}", f"{mu:.3f}", f"{num:,}"]
                cells.append(", ".join(f"{share:g}" for share in shares))
                for column in found.T:
                    wrong = float(np.mean(column > epsilon))
                    cells += [f"{np.median(column):.2f}", f"{100 * wrong:.1f}"]
                    yield f"{told.__name__}, epsilon {epsilon:g}, {num}", wrong, True
                print("| " + " | ".join(cells) + " |", flush=True)


def computed() -> Iterator[tuple[str, float, bool]]:
    """Print how often the bound of the worst mechanism is wrong, exactly, and yield it."""
    print("\n| canaries | guesses | mu | wrong from so many right on | wrong (%) | p-value (%) |")
    print("|" + "--:|" * 6)
    for mu in (0.25, 0.5, 0.75, 1.0):
        for m, r in ((20, 20), (40, 40), (60, 30), (80, 80)):
            bounds = [gaussian_bound(m, r, v, 1 - ERROR) for v in range(r + 1)]
            first = next((v for v, bound in enumerate(bounds) if bound > mu), None)
            if first is None:
                print(f"| {m} | {r} | {mu:g} | never | 0.00 | |")
                continue
            lines = gaussian_lines(mu, 60, lambda *at: math.exp(log_delta(*at)))
            counts = worst(m, r, first, lines)
            wrong = float(counts[first:].sum())
            told = 100 * p_value(m, r, first, gaussian_least_fpr(mu))
            print(f"| {m} | {r} | {mu:g} | {first} | {100 * wrong:.2f} | {told:.2f} |", flush=True)
            yield f"worst, mu {mu:g}, {m}, {r}", wrong, False


def most() -> None:
    """Print what guesses that are all right would show, by the default guesses."""
    print("\n| canaries | the most: first test | if Gaussian |\n|--:|--:|--:|")
    for num in (100, 300, 1000, 5000):
        audit = audit_of(num)
        right = [2 * n for n in audit.guesses]
        print(f"| {num:,} | {audit.first(right):.2f} | {audit.second(right):.2f} |")


def strangers() -> None:
    """Print what the Gaussian's bound says of randomized response, whose trade-off is another."""
    print("\n| randomized response, epsilon | first test | if Gaussian |\n|--:|--:|--:|")
    for epsilon in (1.0, 2.0, 3.0, 5.0):
        right = round(1000 / (1 + math.exp(-epsilon)))
        other = epsilon_of(gaussian_bound(1000, 1000, right), DELTA)
        print(f"| {epsilon:g} | {one_run_bound(1000, 1000, right, DELTA):.2f} | {other:.2f} |")


def main() -> None:
    """Print all tables, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000, help="simulated audits a setting")
    rates = [*drawn(repeats := parser.parse_args().repeats), *computed()]
    most()
    strangers()
    drawn_may = 3 * math.sqrt(ERROR * (1 - ERROR) / repeats)
    wrong = [
        f"{what}: {rate:.2%}"
        for what, rate, is_drawn in rates
        if rate > ERROR + (drawn_may if is_drawn else 1e-6)
    ]
    print("\nwrong too often: " + ("; ".join(wrong) or "none"))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
