"""Scores of complementary halves, with ties, as the audit writes them, and who is judged."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from runner.audit._of_target import Measured, above
from runner.audit.judge import Judging
from runner.statistics.averages import Averaging
from runner.storage.scores import PARTITIONS, Reading, scores_table

M, N = 8, 401
RATES = (0.5, 0.1, 0.03, 1e-5)
PARTNER = np.arange(M) ^ 1
ASKED = Measured(RATES, "step_le", (0.5, 0.9), 24, 7)
REAL, NULL = (Reading("erm", 1, "lira", matrix) for matrix in ("member", "null"))
OTHER = REAL._replace(attack="rmia")
BLOCKS = (slice(0, 150), slice(150, N))


def members(seed: int) -> np.ndarray:
    """(M, N) int8 of complementary halves, a few not judged."""
    half = np.random.default_rng(seed).integers(0, 2, (M // 2, N))
    member = np.stack([half, 1 - half], axis=1).reshape(M, N).astype(np.int8)
    member[:, ::40] = -1
    return member


MEMBERS = {"member": members(0), "null": members(1)}


def ties(seed: int) -> np.ndarray:
    """Scores (M, N) with ties, which members exceed others by."""
    drawn = np.random.default_rng(seed).normal(size=(M, N)) + (MEMBERS["member"] == 1)
    return np.round(drawn, 1).astype(np.float32)


SCORES = ties(2)


def judging(folder: Path, others: Mapping[Reading, np.ndarray] | None = None) -> Judging:
    """Scores as the audit writes them, in two blocks.

    Args:
        others: scores (M, N) of other attacks, under both matrices.
    """
    scores, of_each = folder / "scores" / "s", {REAL: SCORES, **(others or {})}
    asked = {}
    for reading, (b, part) in product(of_each, enumerate(BLOCKS)):
        numbers = np.arange(N, dtype=np.int32)[part]
        for of in (reading, reading._replace(matrix="null")):
            asked[of] = ASKED if of == reading else ASKED._replace(num_resamples=0)
            pq.write_to_dataset(
                scores_table(of, numbers, of_each[reading][:, part]),
                scores / "blocks",
                partition_cols=PARTITIONS,
                basename_template=f"{b}-{{i}}.parquet",
            )
    return Judging(folder, scores, asked, MEMBERS, PARTNER)


def counts_above(scores: np.ndarray, member: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, ...]:
    """Members and non-members of each target above each edge, (M, E) each."""
    counted = [above(s, row, at) for s, row in zip(scores, member, strict=True)]
    return tuple(np.stack([one[key] for one in counted]) for key in ("inside", "outside"))


def own(m: int, matrix: str = "member") -> tuple[np.ndarray, np.ndarray]:
    """The judged scores of a target, and who is a member."""
    row = MEMBERS[matrix][m]
    return SCORES[m][row >= 0], row[row >= 0] == 1


OVER = Averaging(np.arange(M), PARTNER, "t")
