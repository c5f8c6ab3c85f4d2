"""How surprising the target's answers are under what shadows predict: a normal or Student's t."""

from typing import NamedTuple

import numpy as np

from attacks.membership._left_out import VARIANCE_FLOOR
from attacks.membership._survival import log_survival

SHRINK = 1 - 1e-6  # of correlations, so that views that always agree have an inverse


class Predicted(NamedTuple):
    """What one class of shadows predicts that a target of the class answers, for T targets."""

    centre: np.ndarray  # (T, B, G), of G views that are judged together
    scale: np.ndarray  # (T, B, G, G) covariance, or (T, 1, G, G) where all examples share one
    freedom: np.ndarray | None = (
        None  # (T, B or 1) degrees of freedom of a Student's t; None: a normal
    )
    log_constant: np.ndarray | float = 0.0  # of the density, (T, B or 1) for a Student's t


class Whitened(NamedTuple):
    """How far answers are from what is predicted of them, for T targets."""

    answers: np.ndarray  # (T, B, G), in multiples of standard deviations from the centre
    log_determinant: np.ndarray  # of the scale, (T, B or 1)
    predicted: Predicted


def whitened(values: np.ndarray, predicted: Predicted) -> Whitened:
    """Return answers (T, B, G) as `log_density` and `surprise_above` take them."""
    return Whitened(*_whiten(values - predicted.centre, predicted.scale), predicted)


def log_density(found: Whitened) -> np.ndarray:
    """Return the log-density (T, B) of answers, all G at once."""
    answers, log_determinant, predicted = found
    distance = np.square(answers).sum(axis=2) if answers.shape[2] > 1 else answers[:, :, 0] ** 2
    if predicted.freedom is not None:
        weight = predicted.freedom + answers.shape[2]
        distance = weight * np.log1p(distance / predicted.freedom)
    return predicted.log_constant - (distance + log_determinant) / 2


def surprise_above(found: Whitened) -> np.ndarray:
    """Return -log P(answer > those found), (T, B): large for answers that are too high.

    Of several views it judges the one direction in which their common shift shows best: with
    covariance S and ones 1, 1' S^-1 (x - centre) / sqrt(1' S^-1 1) is a standard normal, and ranks
    as the likelihood ratio does against the same answers moved up by any amount in all views.
    """
    from scipy.special import log_ndtr  # not where keys are read: it takes longer than they do

    answers, _, predicted = found
    if answers.shape[2] == 1:
        z = answers[:, :, 0]
    else:
        along, _ = _whiten(np.ones_like(answers[:, : predicted.scale.shape[1]]), predicted.scale)
        z = (answers * along).sum(axis=2) / np.linalg.norm(along, axis=2)
    if predicted.freedom is None:
        return -log_ndtr(-z)
    return -log_survival(z, predicted.freedom)


def _whiten(vectors: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vectors (T, B, G) as multiples of standard deviations, and log |scale|, (T, B or 1)."""
    if scale.shape[2] == 1:
        variance = np.maximum(scale[:, :, 0, 0], VARIANCE_FLOOR)
        return vectors / np.sqrt(variance)[:, :, None], np.log(variance)
    factor = _cholesky(scale)
    log_determinant = 2 * np.log(np.einsum("...gg->...g", factor)).sum(axis=2)
    if scale.shape[1] == 1:
        columns = np.linalg.solve(factor[:, 0], vectors.transpose(0, 2, 1))
        return columns.transpose(0, 2, 1), log_determinant
    return np.linalg.solve(factor, vectors[..., None])[..., 0], log_determinant


def _cholesky(scale: np.ndarray) -> np.ndarray:
    """The lower factor of covariances with shrunk correlations; NaN where they are."""
    views = np.arange(scale.shape[2])
    variance = np.maximum(scale[..., views, views], VARIANCE_FLOOR)
    ready = scale * SHRINK
    ready[..., views, views] = variance
    unknown = np.isnan(ready).any(axis=(2, 3))
    ready[unknown] = np.eye(len(views))
    factor = np.linalg.cholesky(ready)
    factor[unknown] = np.nan
    return factor
