"""What used to take time by the square of images or models, beside the plain way, one line a ratio.

    python benchmarks/squares.py

Twins: images of a pool that are there twice or nearly, beside a comparison of every pair pixel by
pixel, timed on 300 images of the kind and counted up by the number of pairs. Evened shadows: who is
left out of every target's shadows, beside sorting and counting the models anew for each target. A
core's time, the median of the rounds' ratios; both find the same.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from runner.plan.shadows import EvenShadows, even_shadows
from runner.results.twins import RADIUS, find_twins

FEW = 300  # images that are compared pair by pair


def pools() -> dict[str, np.ndarray]:
    """Pools of 32x32x3 uint8 images, by what they are; the first FEW of each are of its kind."""
    rng = np.random.default_rng(0)
    some = rng.integers(0, 256, (50, 3, 32, 32)).astype(np.uint8)
    smooth = np.kron(rng.integers(40, 200, (1, 3, 4, 4)), np.ones((8, 8)))

    def noisy(deviation: float) -> np.ndarray:
        noise = rng.normal(0, deviation, (5000, 3, 32, 32)).astype(np.float32)
        return np.clip(np.rint(smooth + noise), 0, 255).astype(np.uint8)

    return {
        "5,000 equal images": np.repeat(some[:1], 5000, axis=0),
        "20,000 images of 50 different ones": some[rng.integers(0, 50, 20_000)],
        "5,000 images, all near": noisy(1),
        "5,000 images, just not near": noisy(5),
        "20,000 images without twins": rng.integers(0, 256, (20_000, 3, 32, 32)).astype(np.uint8),
    }


def all_pairs(images: np.ndarray) -> tuple[set[int], set[int]]:
    """The exact and the near twins, every pair compared pixel by pixel."""
    exact, near = set(), set()
    for i in range(len(images)):
        for j in range(i + 1, len(images)):
            difference = images[i].astype(np.float32) - images[j]
            if np.square(difference).mean() <= RADIUS**2:
                near |= {i, j}
                exact |= set() if difference.any() else {i, j}
    return exact, near


def each_anew(even: EvenShadows, member: np.ndarray) -> np.ndarray:
    """What `EvenShadows.seen` returns, the models sorted and counted for every target."""
    order, seen = even._order(0, member.shape[1]), []
    for target in range(len(member)):
        found = member.copy()
        found[[target, even.partner[target]]] = -1
        there = (found >= 0).sum(axis=0)
        in_order = np.take_along_axis(found, order, axis=0)
        for kind, sizes in ((1, even.inside), (0, even.outside)):
            of_kind = in_order == kind
            in_order[of_kind & (np.cumsum(of_kind, axis=0) > sizes[target][there])] = -1
        np.put_along_axis(found, order, in_order, axis=0)
        seen.append(found)
    return np.stack(seen)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    return work(), time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    for name, images in pools().items():
        few, own, ratios = images[:FEW], [], []
        pairs = len(images) * (len(images) - 1) / (FEW * (FEW - 1))
        exact, near = all_pairs(few)
        for _ in rounds:
            _, slow = timed(lambda few=few: all_pairs(few))
            _, fast = timed(lambda all=images: find_twins(all, np.ones(len(all), bool)))
            own.append(fast)
            ratios.append(slow * pairs / fast)
        found = find_twins(few, np.ones(FEW, bool))
        assert (set(found.exact), set(found.near)) == (exact, near)
        print(f"{name}: {median(own):.2f} s, {median(ratios):,.0f} times less than all pairs")
    for num_models in (64, 256):
        ranks = np.random.default_rng(0).random((num_models, 512)).argsort(axis=0)
        member = (ranks < num_models // 2).astype(np.int8)
        even = even_shadows(member, np.arange(num_models), 0)
        assert even
        own, ratios = [], []
        for _ in rounds:
            slow, of_slow = timed(lambda even=even, member=member: each_anew(even, member))
            fast, of_fast = timed(lambda even=even, member=member: even.seen(member, 0))
            assert np.array_equal(slow, fast)
            own.append(of_fast)
            ratios.append(of_slow / of_fast)
        print(
            f"evened shadows of {num_models} models over 512 examples: {median(own):.3f} s, "
            f"{median(ratios):.1f} times less than each target anew"
        )


if __name__ == "__main__":
    main()
