"""Examples, matrices and pictures of the demonstrations."""

import numpy as np
from scipy.linalg import circulant


def examples(num_examples: int, dim: int, seed: int = 0) -> np.ndarray:
    """Positive examples (num_examples, dim)."""
    return np.random.default_rng(seed).uniform(0.05, 1, size=(num_examples, dim))


def as_matrix(eigenvalues: np.ndarray, dim: int, kind: str) -> np.ndarray:
    """U itself, from what `suprema` returns for one vector of signs."""
    if kind == "diagonal":
        return np.diag(np.real(eigenvalues))
    return circulant(np.fft.irfft(eigenvalues, n=dim))


def picture(rows: int = 12, cols: int = 18, channels: int = 3) -> np.ndarray:
    """A smooth picture (rows, cols, channels) in [0, 1]."""
    i, j, k = np.ogrid[:rows, :cols, :channels]
    return 0.5 + 0.5 * np.sin(i / 3 + j / 4 + k)
