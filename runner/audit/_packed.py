"""A member matrix in two bits an entry: a quarter of the room, for what every task is given."""

from typing import NamedTuple

import numpy as np


class Packed(NamedTuple):
    """Membership (M, N): 1 in, 0 out, -1 not judged."""

    inside: np.ndarray  # (M, ceil(N / 8)) uint8, bits of the examples
    judged: np.ndarray  # likewise
    num_examples: int

    def row(self, model: int) -> np.ndarray:
        """Return what one model is, (N,) int8."""
        return self._of(slice(model, model + 1), slice(None), self.num_examples)[0]

    def columns(self, start: int, stop: int) -> np.ndarray:
        """Return what all models are to examples start to stop - 1, (M, stop - start) int8.

        Args:
            start: a multiple of 8.
        """
        assert start % 8 == 0, start
        return self._of(slice(None), slice(start // 8, -(-stop // 8)), stop - start)

    def _of(self, models: slice, some: slice, count: int) -> np.ndarray:
        inside, judged = (
            np.unpackbits(bits[models, some], axis=1, count=count).astype(np.int8)
            for bits in (self.inside, self.judged)
        )
        return inside + judged - 1


def packed(member: np.ndarray) -> Packed:
    """Return a member matrix (M, N) int8, packed row by row."""
    inside, judged = (np.stack([np.packbits(row >= c) for row in member]) for c in (1, 0))
    return Packed(inside, judged, member.shape[1])
