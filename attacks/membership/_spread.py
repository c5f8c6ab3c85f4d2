"""What all examples together say of the variance of one, and what then an answer should be."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from attacks.membership import _shrunk
from attacks.membership._densities import Predicted
from attacks.membership._left_out import Moments, fitted, outer, ratio, total_of

Known = np.ndarray | _shrunk.Prior | None


def sums(
    variance: str, values: np.ndarray, in_class: np.ndarray, partner: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return what must be known of all examples, which is added over blocks of them.

    Args:
        variance: one of LiRA's, and not per_example.
        values: (M, B, G) float64 answers.
        in_class: (M, B) bool.
        partner: (M,) int, where each model is a target; None: of one that is not among them.
    """
    if variance == "total":
        return raw_sums(values, in_class)
    found = fitted(values, in_class, partner)
    return _shrunk.prior_sums(found) if variance == "shrunk" else pooled_sums(found)


def known(
    variance: str,
    totals: Mapping[str, np.ndarray],
    freedom: float | Literal["estimated"],
    partner: np.ndarray | None,
) -> Known:
    """Return what the `sums` of all examples tell of the variance of one, for each target."""
    if variance == "total":
        return raw_covariance(totals, partner)
    if variance == "pooled":
        return ratio(totals["squares"], totals["count"])
    return _shrunk.prior(totals, freedom) if variance == "shrunk" else None


def predicted(centre: np.ndarray, found: Moments, known: Known) -> Predicted:
    """Return what a class predicts of one model more, with centres (T, B, G).

    It is NaN where the class has no shadow, or where the variance is unknown.
    """
    centre = np.where(found.number[:, :, None] > 0, centre, np.nan)
    if isinstance(known, _shrunk.Prior):
        return _shrunk.predicted(centre, found, known)
    views = centre.shape[2]
    if known is None:
        number = found.number[:, :, None, None]
        scale = np.where(number > views, found.squares / np.maximum(number, 1), np.nan)
    else:
        scale = known[:, None]
    return Predicted(centre, scale, None, -views / 2 * np.log(2 * np.pi))


def named(totals: Mapping[str, np.ndarray], start: str) -> dict[str, np.ndarray]:
    """Return the sums whose names start so, without the start."""
    return {key[len(start) :]: each for key, each in totals.items() if key.startswith(start)}


def pooled_sums(found: Moments) -> dict[str, np.ndarray]:
    """Return squared residuals and the number of shadows in them.

    Examples with fewer than two shadows of the class have no residual and are not counted.
    """
    several = found.number > 1
    return {
        "squares": total_of(found.squares, several),
        "count": np.sum(found.number, axis=1, where=several),
    }


def raw_sums(values: np.ndarray, in_class: np.ndarray) -> dict[str, np.ndarray]:
    """Return each model's sums of the answers (M, B, G) that are of the class, and products.

    In float64 they lose the digits by which the spread of all answers, of a few units, is less
    than their mean: two or three of sixteen.
    """
    of_class = values * in_class[:, :, None]
    return {
        "number": in_class.sum(axis=1).astype(np.float64),
        "sums": of_class.sum(axis=1),
        "products": np.einsum("mbg,mbh->mgh", of_class, of_class),
    }


def raw_covariance(sums: Mapping[str, np.ndarray], partner: np.ndarray | None) -> np.ndarray:
    """Return the covariance of the raw answers of each target's shadows, (T, G, G)."""
    num_models = len(sums["number"])
    kept = np.ones((1, num_models))
    if partner is not None:
        kept = 1 - np.eye(num_models)
        kept[np.arange(num_models), partner] = 0
    number, total, products = (
        np.tensordot(kept, sums[key], axes=1) for key in ("number", "sums", "products")
    )
    mean = total / np.maximum(number, 1)[:, None]
    return np.where(number[:, None, None] > 1, ratio(products, number) - outer(mean), np.nan)
