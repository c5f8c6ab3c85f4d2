"""Comparisons of the relative attack: how many examples of the pool an example beats."""

import numpy as np

EXAMPLES_AT_ONCE = 64  # keeps their comparisons in the cache of one core


def wins_of(ratio: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """Return how many bars each ratio exceeds in more than half of the views; a tie is a no.

    With one view a bar's rank among the sorted bars is enough. With several it takes a comparison
    for each example, bar and view: of ranks, which are a quarter of the bytes.

    Args:
        ratio: (B, V) float64.
        bar: (Z, V) float64 without NaN, Z below 32768 and V below 256.

    Returns:
        (B,) int.
    """
    columns = range(ratio.shape[1])
    rising = np.sort(bar, axis=0)
    passed = [np.searchsorted(rising[:, v], ratio[:, v], side="left") for v in columns]
    if len(passed) == 1:
        return passed[0]
    # A bar is exceeded exactly if it has fewer bars below it than the ratio has.
    passed = [each.astype(np.int16)[:, None] for each in passed]
    below = [
        np.searchsorted(rising[:, v], bar[:, v], side="left").astype(np.int16) for v in columns
    ]
    wins = np.empty(len(ratio), np.int64)
    for start in range(0, len(ratio), EXAMPLES_AT_ONCE):
        part = slice(start, start + EXAMPLES_AT_ONCE)
        votes = np.zeros((len(ratio[part]), len(bar)), np.uint8)
        for of_ratio, of_bar in zip(passed, below, strict=True):
            votes += of_ratio[part] > of_bar
        wins[part] = (votes > len(passed) // 2).sum(axis=1)
    return wins


def share_won(wins: np.ndarray, compared: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return wins over comparisons, (B,); NaN where nothing was compared or the ratio is NaN.

    Args:
        wins: (B,) numbers.
        compared: (B,) numbers.
        ratio: (B, V) float64.
    """
    unknown = np.isnan(ratio).any(axis=1) | (compared == 0)
    return np.where(unknown, np.nan, wins / np.maximum(compared, 1))
