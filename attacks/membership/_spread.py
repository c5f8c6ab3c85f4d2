"""What all examples together say of the variance of one, and what then an answer should be."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from attacks.membership._densities import Predicted
from attacks.membership._left_out import (
    VARIANCE_FLOOR,
    Moments,
    Pairs,
    fitted,
    outer,
    ratio,
    total_of,
)

LEAST_EXCESS = 2e-6  # of the variance of log-variances: a million degrees of freedom, a normal


class Prior(NamedTuple):
    """What is known of an example's covariance before its own shadows are seen, for T targets."""

    scale: np.ndarray  # (T, G, G)
    freedom: np.ndarray  # (T,), of how many residuals it is worth


Known = np.ndarray | Prior | None


def sums(
    variance: str, values: np.ndarray, in_class: np.ndarray, pairs: Pairs | None
) -> dict[str, np.ndarray]:
    """Return what must be known of all examples, which is added over blocks of them.

    Args:
        variance: one of LiRA's, and not per_example.
        values: (M, B, G) float64 answers.
        in_class: (M, B) bool, or (T, M, B) where each target has shadows of its own.
        pairs: where each model is a target; None: of one that is not among them.
    """
    if variance == "total":
        return raw_sums(values, in_class)
    found = fitted(values, in_class, pairs)
    of_each = prior_sums(found) if variance == "shrunk" else pooled_sums(found)
    if pairs is None or in_class.ndim == 3:
        return of_each
    return {key: each[pairs.of] for key, each in of_each.items()}


def known(
    variance: str,
    totals: Mapping[str, np.ndarray],
    freedom: float | Literal["estimated"],
    kept: np.ndarray,
    targets: np.ndarray | slice,
) -> Known:
    """Return what the `sums` of all examples tell of the variance of one, for some targets.

    Args:
        kept: (T, K) of 0 and 1, which of the K sums of `raw_sums` are a target's; see `sums_kept`.
        targets: which of them.
    """
    if variance == "total":
        return raw_covariance(totals, kept[targets])
    totals = {key: each[targets] for key, each in totals.items()}
    if variance == "pooled":
        return ratio(totals["squares"], totals["count"])
    return prior(totals, freedom) if variance == "shrunk" else None


def predicted(centre: np.ndarray, found: Moments, known: Known) -> Predicted:
    """Return what a class predicts of one model more, with centres (T, B, G).

    It is NaN where the class has no shadow, or where the variance is unknown.
    """
    if not found.number.all():
        centre = np.where(found.number[:, :, None] > 0, centre, np.nan)
    if isinstance(known, Prior):
        return predicted_by_prior(centre, found, known)
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

    Where each target has shadows of its own, they are each target's, over these.

    In float64 they lose the digits by which the spread of all answers, of a few units, is less
    than their mean: two or three of sixteen.
    """
    if in_class.ndim == 3:
        each = [raw_sums(values, of_target) for of_target in in_class]
        return {key: np.stack([one[key].sum(axis=0) for one in each]) for key in each[0]}
    of_class = values * in_class[:, :, None]
    return {
        "number": in_class.sum(axis=1).astype(np.float64),
        "sums": of_class.sum(axis=1),
        "products": np.einsum("mbg,mbh->mgh", of_class, of_class),
    }


def sums_kept(num_models: int, partner: np.ndarray | None, apart: bool) -> np.ndarray:
    """Return which of `raw_sums` each target adds up, (T, K): 1 or 0.

    Args:
        partner: (M,) int; None: there is one target, which is not among the models.
        apart: whether each target has shadows of its own, and so a sum of its own.
    """
    if apart:
        return np.eye(num_models)
    if partner is None:
        return np.ones((1, num_models))
    kept = 1 - np.eye(num_models)
    kept[np.arange(num_models), partner] = 0
    return kept


def raw_covariance(sums: Mapping[str, np.ndarray], kept: np.ndarray) -> np.ndarray:
    """Return the covariance of the raw answers of each target's shadows, (T, G, G)."""
    number, total, products = (
        np.tensordot(kept, sums[key], axes=1) for key in ("number", "sums", "products")
    )
    mean = total / np.maximum(number, 1)[:, None]
    return np.where(number[:, None, None] > 1, ratio(products, number) - outer(mean), np.nan)


def prior_sums(found: Moments) -> dict[str, np.ndarray]:
    """Return what `prior` needs: squares over n - 1, and of log-variances what noise adds to them.

    With d = n - 1 residuals of variance s^2, log(sample variance) - digamma(d/2) + log(d/2) has
    mean log s^2 and variance trigamma(d/2).
    """
    several, number = found.number > 1, _condensed(found.number).astype(np.intp)
    bias, noise = _log_chi_squares(int(number.max(initial=0)))
    variance = np.einsum("...gg->...g", found.squares) / np.maximum(number - 1, 1)[:, :, None]
    logs = np.log(np.maximum(variance, VARIANCE_FLOOR)) - bias[number][:, :, None]
    noise = np.broadcast_to(noise[number], several.shape)
    return {
        "squares": total_of(found.squares, several),
        "freedom": np.sum(found.number - 1, axis=1, where=several),
        "examples": several.sum(axis=1).astype(np.float64),
        "logs": total_of(logs, several),
        "log_squares": total_of(np.square(logs), several),
        "noise": np.sum(noise, axis=1, where=several),
    }


@lru_cache(maxsize=8)
def _log_chi_squares(most: int) -> tuple[np.ndarray, np.ndarray]:
    """The bias and the variance that noise gives a log-variance of up to so many answers."""
    from scipy.special import digamma, polygamma

    half = np.maximum(np.arange(most + 1) - 1, 1) / 2
    return digamma(half) - np.log(half), polygamma(1, half)


def _condensed(number: np.ndarray) -> np.ndarray:
    """Numbers (T, B) of shadows as (T, 1) where a target has as many for every example.

    So it is with complementary pairs, and what hangs on the number alone is found once a target.
    """
    same = number.shape[1] and (number == number[:, :1]).all()
    return number[:, :1] if same else number


def prior(sums: Mapping[str, np.ndarray], freedom: float | Literal["estimated"]) -> Prior:
    """Return the prior of an example's covariance, which is NaN where no example has residuals.

    estimated: variances that differ between examples as scaled inverse chi-squares of `freedom`
    have log-variances of variance trigamma(freedom / 2) beyond that of their estimates; scale and
    freedom are those of the moments found. Source: Smyth (2004), limma, section 6.2,
    https://doi.org/10.2202/1544-6115.1027. Views share one freedom. A number is taken as it is,
    and the scale is then the pooled residual variance over n - 1.
    """
    from scipy.special import digamma

    scale = ratio(sums["squares"], sums["freedom"])
    if freedom != "estimated":
        return Prior(scale, np.full(len(scale), float(freedom)))
    examples = np.maximum(sums["examples"], 1)[:, None]
    logs = sums["logs"] / examples
    excess = sums["log_squares"] / examples - np.square(logs) - sums["noise"][:, None] / examples
    half = inverse_trigamma(np.maximum(excess.mean(axis=1), LEAST_EXCESS))
    variance = np.exp(logs + (digamma(half) - np.log(half))[:, None])
    more = variance / np.maximum(np.einsum("tgg->tg", scale), VARIANCE_FLOOR)
    return Prior(scale * outer(np.sqrt(more)), 2 * half)


def predicted_by_prior(centre: np.ndarray, found: Moments, prior: Prior) -> Predicted:
    """Return the Student's t that an example's shadows predict of one model more.

    Given answers N(mean, variance) with a flat prior of the mean and a scaled inverse chi-square of
    the variance, the variance's posterior has freedom' = freedom + n - 1 and the scale
    (freedom * scale + squares) / freedom'. One more answer then is Student's t with freedom', and
    that scale times 1 + 1/n, since the mean is known from n answers only. Source: Gelman et al.,
    Bayesian Data Analysis, sections 3.2 and, for G views with an inverse Wishart prior of
    freedom + G - 1, under which each view alone has the prior above, 3.6. BaVarIA,
    https://arxiv.org/abs/2603.11799, is this idea for LiRA.
    """
    from scipy.special import gammaln

    number, views = _condensed(found.number), centre.shape[2]
    table = number if number.shape[1] == 1 else np.arange(number.max() + 1)
    freedom = np.maximum(prior.freedom[:, None] + table - 1, 0.5)  # no shadow scores NaN anyway
    constant = gammaln((freedom + views) / 2) - gammaln(freedom / 2)
    constant -= views / 2 * np.log(freedom * np.pi)
    if table is not number:
        place = number.astype(int)
        freedom, constant = (np.take_along_axis(of, place, axis=1) for of in (freedom, constant))
    scale = (prior.freedom[:, None, None] * prior.scale)[:, None] + found.squares
    scale *= ((1 + 1 / np.maximum(number, 1)) / freedom)[:, :, None, None]
    return Predicted(centre, scale, freedom, constant)


def inverse_trigamma(value: np.ndarray) -> np.ndarray:
    """Return y with trigamma(y) = value > 0, by Newton's method on 1 / trigamma, which is convex.

    Source: Smyth (2004), appendix.
    """
    return _inverse_trigamma(np.asarray(value, np.float64).tobytes()).reshape(np.shape(value))


@lru_cache(maxsize=64)  # every block of examples asks of the same sums
def _inverse_trigamma(values: bytes) -> np.ndarray:
    """The same of the bytes of (n,) float64; it takes as long as a tenth of a block's scores."""
    from scipy.special import polygamma

    value = np.frombuffer(values)
    y = 0.5 + 1 / value
    for _ in range(40):
        trigamma = polygamma(1, y)
        y = y + trigamma * (1 - trigamma / value) / polygamma(2, y)
    return y
