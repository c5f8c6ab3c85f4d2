import numpy as np
import pytest

from runner.results import twins as stage
from runner.results.twins import MANY, find_twins


def brute(images: np.ndarray, radius: float) -> tuple[set[int], set[int]]:
    """Exact and near twins, every pair compared pixel by pixel."""
    exact, near = set(), set()
    for i in range(len(images)):
        differences = images[i + 1 :].astype(float) - images[i]
        apart = (differences**2).mean((1, 2, 3))
        for j in i + 1 + np.flatnonzero(apart <= radius**2):
            near |= {i, int(j)}
            if not apart[j - i - 1]:
                exact |= {i, int(j)}
    return exact, near


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 11), (1, 28, 28), (1, 5, 5)])
def test_every_twin_is_found_and_nothing_else(shape: tuple[int, ...]):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, *shape)).astype(np.uint8)
    images[290:] = images[:10]  # the same bytes
    jitter = rng.integers(-5, 6, (60, *shape))  # about 3.2 grey levels: near, some just outside
    images[200:260] = np.clip(images[20:80].astype(int) + jitter * 5 // 4, 0, 255)
    twins = find_twins(images, np.ones(300, bool))
    exact, near = brute(images, twins.radius)
    assert set(twins.exact) == exact
    assert set(twins.near) == near
    assert len(exact) == 20
    assert 20 < len(near) < 140  # the radius runs through the jittered ones


def test_only_judged_images_are_named_but_their_twins_may_be_any():
    images = np.zeros((4, 1, 8, 8), np.uint8)
    images[2:] = 200
    images[3, 0, 0, 0] = 190
    twins = find_twins(images, np.array([True, False, True, False]))
    assert twins.exact.tolist() == [0]
    assert twins.near.tolist() == [0, 2]


def drawn(seed: int) -> tuple[np.ndarray, float]:
    """A pool of some kind, and a radius: chains of near images, copies, the edges of a radius."""
    rng = np.random.default_rng(seed)
    shape = [(1, 8, 8), (3, 9, 10), (1, 5, 7), (2, 16, 1), (1, 1, 1), (3, 24, 24)][seed % 6]
    radius = [4.0, 3.3, 1.0, 0.5, 10.0][seed % 5]
    if seed % 4 == 0:  # steps of a whole number of grey levels: exactly a radius apart, or two
        steps = np.arange(40)[:, None, None, None] * rng.integers(1, 6)
        images = np.clip(np.full((40, *shape), 20) + steps, 0, 255)
    elif seed % 4 == 1:  # noise about a few images, near the radius
        centres = rng.integers(30, 220, (3, *shape))
        images = centres[rng.integers(0, 3, 90)] + rng.normal(0, radius / 1.4, (90, *shape)).round()
    elif seed % 4 == 2:  # a walk
        images = 128 + rng.normal(0, radius * 0.8, (60, *shape)).round().cumsum(0)
    else:
        images = rng.integers(0, 256, (70, *shape)) // rng.choice([1, 16, 128])
    images = np.clip(images, 0, 255).astype(np.uint8)
    return images[
        rng.permutation(np.append(np.arange(len(images)), rng.integers(0, 30, 25)))
    ], radius


@pytest.mark.parametrize("many", [0, MANY])
@pytest.mark.parametrize("seed", range(24))
def test_chains_copies_and_edges_of_the_radius_are_as_by_all_pairs(
    seed: int, many: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stage, "AT_ONCE", 16)
    monkeypatch.setattr(stage, "MANY", many)
    images, radius = drawn(seed)
    twins = find_twins(images, np.ones(len(images), bool), radius)
    exact, near = brute(images, radius)
    assert (set(twins.exact), set(twins.near)) == (exact, near)
