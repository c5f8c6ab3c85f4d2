"""Membership scores of two arms whose expected figures are known, many models at a time.

Letters: A = 2 arms, P pairs of models, N examples, n = N / 2 members of each model, R resamples.
"""

from typing import NamedTuple

import numpy as np

from runner.statistics.resampling import half_samples

RATES = (0.1, 0.01)
FIGURES = ("auc", *RATES)


class Regime(NamedTuple):
    """What scatters besides each score by itself: members score 0.5 higher, in the second arm 0.35.

    Effects of models are shared in part by the arms and by the two models of a pair; effects of
    examples are shared by all models.
    """

    models: float  # std of a model's shift of its members
    examples: float  # std of an example's scores, member or not
    vulnerable: float  # share of the examples whose members score 3 higher


REGIMES = {
    "nothing": Regime(0.0, 0.0, 0.0),
    "models": Regime(0.25, 0.0, 0.0),
    "examples": Regime(0.0, 1.0, 0.05),
    "both": Regime(0.15, 0.7, 0.05),
    "as measured": Regime(0.1, 1.0, 0.1),
}


def draw(regime: Regime, n: int, num_pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores (A, 2P, N) float32 and members (2P, N) bool of complementary halves."""
    rng = np.random.default_rng(seed)
    of_example = regime.examples * rng.normal(size=2 * n)
    vulnerable = 3.0 * (rng.random(2 * n) < regime.vulnerable)
    half = np.argsort(rng.random((num_pairs, 2 * n), np.float32), axis=1) < n
    member = np.stack([half, ~half], axis=1).reshape(2 * num_pairs, 2 * n)
    of_pair = rng.normal(size=(num_pairs, 1)) + rng.normal(size=(num_pairs, 2))
    of_model = (of_pair.ravel() / 2**0.5 + rng.normal(size=(2, 2 * num_pairs))) / 2**0.5
    scores = rng.standard_normal((2, 2 * num_pairs, 2 * n), np.float32)
    scores += of_example.astype(np.float32)
    for arm in range(2):
        shift = 0.5 - 0.15 * arm + regime.models * of_model[arm]
        gain = shift[:, None] + vulnerable * (1 - 0.2 * arm)
        scores[arm] += (member * gain).astype(np.float32)
    return scores, member


def figures(
    scores: np.ndarray, member: np.ndarray, num_resamples: int, bits: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return AUC and TPRs by step_le of (B, N) scores: (B, 3), and resampled (B, R, 3).

    As `metrics` and `resampling.resampled_figures` have them, for scores without ties.

    Args:
        bits: who of the N is in each resample; None: as of a pool of N.
    """
    num, n = scores.shape[1], scores.shape[1] // 2
    bits = half_samples(num, num_resamples, 0) if bits is None else bits
    order = np.argsort(-scores, axis=1)
    inside = np.take_along_axis(member, order, axis=1)
    num_in = np.cumsum(inside, axis=1, dtype=np.int32)
    num_out = np.arange(1, num + 1, dtype=np.int32) - num_in
    placed = np.empty(scores.shape, np.float32)
    value = np.where(inside, n - num_out, num_in).astype(np.float32) / n
    np.put_along_axis(placed, order, value, axis=1)
    auc = (placed * member).sum(axis=1) / n
    weights = np.unpackbits(bits, axis=1, count=num_resamples).T.astype(np.float32)
    in_each, out_each = (weights @ some.T.astype(np.float32) for some in (member, ~member))
    placed -= auc[:, None]
    moved = weights @ (placed * member).T / in_each + weights @ (placed * ~member).T / out_each
    point = np.empty((len(scores), 1 + len(RATES)))
    resampled = np.empty((len(scores), num_resamples, 1 + len(RATES)))
    point[:, 0], resampled[:, :, 0] = auc, (auc + moved).T
    models, columns = np.arange(len(scores))[:, None], np.arange(num_resamples)
    reached = np.array([int(rate * n + 1e-9) for rate in RATES])
    for f, count in enumerate(reached, 1):
        rows = (num_out <= count).sum(axis=1)
        point[:, f] = np.where(rows > 0, num_in[models[:, 0], rows - 1], 0) / n
    allowed = (reached / n)[:, None, None] * out_each.T.astype(np.float64)  # (F, B, R)
    fewer = np.floor(allowed + 1e-6).astype(np.int32)
    part = np.maximum(allowed - fewer, 0)
    most = 2 * (fewer.max() + 1)
    top = int((num_out < most + 8 * np.sqrt(most) + 64).sum(axis=1).max())
    # Members are counted in the low bits of a sum, others in the high ones.
    drawn = np.unpackbits(bits, axis=1, count=num_resamples).astype(np.int32)
    of_example = np.concatenate([drawn, drawn << 16])
    counted = np.empty((len(scores), top, num_resamples), np.int32)
    for row, counts in zip(order[:, :top] + num * ~inside[:, :top], counted, strict=True):
        np.take(of_example, row, axis=0, out=counts, mode="clip")  # "raise" would copy first
        np.cumsum(counts, axis=0, out=counts)
    found = rows_until(counted, np.stack([fewer, fewer + 1]) << 16 | 0xFFFF)
    admitted = counted[models, np.maximum(found - 1, 0), columns] & 0xFFFF
    with_fewer, with_more = np.where(found > 0, admitted, 0) / in_each.T
    resampled[:, :, 1:] = np.moveaxis(with_fewer + part * (with_more - with_fewer), 0, 2)
    return point, resampled


def rows_until(counted: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How many rows of rising counts (B, rows, R) are at most `last` (..., B, R): by halving."""
    num_models, num_rows, num_resamples = counted.shape
    models, columns = np.arange(num_models)[:, None], np.arange(num_resamples)
    low, high = np.zeros(last.shape, np.int64), np.full(last.shape, num_rows)
    for _ in range(num_rows.bit_length()):
        middle = (low + high) // 2
        at = counted[models, np.minimum(middle, num_rows - 1), columns]
        within = (middle < num_rows) & (at <= last)
        low, high = np.where(within, middle + 1, low), np.where(within, high, middle)
    return low
