import numpy as np
import pytest

from runner.results._twins import find_twins


def brute(images: np.ndarray, radius: float) -> tuple[set[int], set[int]]:
    """Exact and near twins, every pair compared pixel by pixel."""
    exact, near = set(), set()
    for i in range(len(images)):
        for j in range(i + 1, len(images)):
            difference = images[i].astype(float) - images[j].astype(float)
            if (difference**2).mean() <= radius**2:
                near |= {i, j}
                if not difference.any():
                    exact |= {i, j}
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
