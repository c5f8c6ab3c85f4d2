import numpy as np
import pytest

from runner.statistics.ranked import falling, ranked
from runner.statistics.resampling import ROWS, STEP, Counted


def scored(kind: str, num: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, infinities and both zeros, and who is a member."""
    rng = np.random.default_rng(len(kind))
    scores = rng.normal(size=num).round({"no ties": 12, "ties": 1}.get(kind, 0))
    if kind == "odd":
        scores[:90] = np.repeat([np.inf, -np.inf, -0.0], 30)
    return scores.astype(np.float32), rng.random(num) < 0.4


@pytest.mark.parametrize("kind", ["no ties", "ties", "odd", "one"])
def test_a_sort_by_whole_numbers_is_the_stable_sort(kind: str):
    scores, _ = scored(kind)
    expected = np.argsort(-scores, kind="stable")
    np.testing.assert_array_equal(falling(scores), expected)
    np.testing.assert_array_equal(falling(scores.astype(np.float64)), expected)
    tiny = np.array([1e-45, -1e-45, 0, 1e38, -1e38, 5e-45], np.float32)
    np.testing.assert_array_equal(falling(tiny), np.argsort(-tiny, kind="stable"))


@pytest.mark.parametrize("kind", ["no ties", "ties", "odd"])
def test_everybody_is_compared_with_everybody_of_the_other_kind(kind: str):
    scores, member = scored(kind)
    found = ranked(scores, member)
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_array_equal(found.inside, order[member[order]])
    np.testing.assert_array_equal(found.outside, order[~member[order]])
    np.testing.assert_array_equal(found.high, scores[found.inside])
    np.testing.assert_array_equal(found.low, scores[found.outside])
    above = found.high[:, None] > found.low
    ties = found.high[:, None] == found.low
    np.testing.assert_array_equal(found.beaten_by_high, (2 * above + ties).sum(axis=1))
    np.testing.assert_array_equal(found.beaten_by_low, (2 * ~(above | ties) + ties).sum(axis=0))


@pytest.mark.parametrize("num", [1, STEP, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3 * STEP])
def test_counts_of_resamples_are_those_after_every_single_row(num: int):
    rng = np.random.default_rng(num)
    drawn = (rng.random((num, 21)) < rng.random(21)).astype(np.uint8)  # also nearly none, or all
    running = np.vstack([np.zeros((1, 21), np.int64), drawn.cumsum(axis=0)])
    before = np.vstack([running[:-1:ROWS], running[-1:]])
    counted = Counted(np.packbits(drawn, axis=1), before)
    rows = rng.integers(0, num + 1, (40, 21))
    rows[:3] = np.array([[0], [num], [num // ROWS * ROWS]])
    expected = np.take_along_axis(running, rows, axis=0)
    np.testing.assert_array_equal(counted.in_first(rows), expected)
    allowed = rng.integers(-1, num + 2, (40, 21))
    allowed[20:] = expected[20:]
    beyond = np.count_nonzero(running[1:, None] <= allowed, axis=0)
    np.testing.assert_array_equal(counted.first_beyond(allowed), beyond)
