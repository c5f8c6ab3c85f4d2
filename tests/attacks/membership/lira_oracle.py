"""LiRA in slow float64, one example and one view at a time, from the definitions."""

import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import multivariate_normal, multivariate_t, norm, t

from attacks.membership.lira import Lira

FLOOR = 1e-12


def lira(
    attack: Lira, target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray
) -> np.ndarray:
    """Return the scores (N,) of one target (N, V), whose variance is named.

    Args:
        shadows: (S, N, V) float.
        shadow_member: (S, N) int8.
    """
    num_views = target.shape[1]
    groups = [[v] for v in range(num_views)]
    if attack.across_views == "joint":
        groups = [list(range(num_views))]
    scores = np.zeros(len(target))
    for group in groups:
        of_group = [predictions(attack, shadows[:, :, group], shadow_member, c) for c in (0, 1)]
        for i in range(len(target)):
            outside, inside = (one[i] for one in of_group)
            scores[i] += evidence(attack, target[i, group].astype(float), outside, inside)
    return scores / len(groups)


def evidence(attack: Lira, x: np.ndarray, outside, inside) -> float:
    """What a target's answers to a group of views are worth."""
    if outside is None or (attack.mode == "online" and inside is None):
        return math.nan
    if attack.mode == "online":
        return inside.logpdf(x).item() - outside.logpdf(x).item()
    if attack.sides == "two":
        return -outside.logpdf(x).item()
    shape = outside.cov if attack.variance != "shrunk" else outside.shape
    centre = outside.mean if attack.variance != "shrunk" else outside.loc
    weights = np.linalg.solve(shape, np.ones(len(x)))
    z = weights @ (x - centre) / math.sqrt(weights @ shape @ weights)
    if attack.variance == "shrunk":
        return -log_survival(z, outside.df)
    return -float(norm.logsf(z))


def log_survival(z: float, freedom: float) -> float:
    """log P(t > z): scipy's, or where that underflows the integral of the density over its peak."""
    if t.sf(z, freedom) > 1e-250:
        return math.log(t.sf(z, freedom))
    peak = float(t.logpdf(z, freedom))
    step = (freedom + z * z) / ((freedom + 1) * z)  # over which the density falls by about e
    tail, _ = quad(lambda u: np.exp(t.logpdf(z + step * u, freedom) - peak), 0, np.inf)
    return peak + math.log(step * tail)


def predictions(attack: Lira, shadows: np.ndarray, shadow_member: np.ndarray, c: int) -> list:
    """What class c predicts of each example: a distribution, or None where it predicts nothing."""
    answers = [shadows[shadow_member[:, i] == c, i].astype(float) for i in range(shadows.shape[1])]
    views = shadows.shape[2]
    several = [a for a in answers if len(a) > 1]
    prior, freedom = None, 0.0
    if attack.variance == "shrunk" and several:
        prior, freedom = prior_of(attack, several)
    found = []
    for a in answers:
        n = len(a)
        covariance = None
        if attack.variance == "per_example" and n > views:
            covariance = squares(a) / n
        elif attack.variance == "pooled" and several:
            covariance = sum(map(squares, several)) / sum(map(len, several))
        elif attack.variance == "total" and sum(map(len, answers)) > 1:
            stacked = np.concatenate(answers)
            covariance = squares(stacked) / len(stacked)
        elif prior is not None and n:
            posterior = freedom + n - 1
            covariance = (freedom * prior + squares(a)) / posterior * (1 + 1 / n)
        if not n or covariance is None:
            found.append(None)
            continue
        centre = np.median(a, axis=0) if attack.centre == "median" else a.mean(axis=0)
        covariance = covariance * (1 - 1e-6) + np.diag(np.diag(covariance)) * 1e-6
        np.fill_diagonal(covariance, np.maximum(np.diag(covariance), FLOOR))
        if attack.variance == "shrunk":
            found.append(multivariate_t(centre, covariance, freedom + n - 1))  # pyright: ignore
        else:
            found.append(multivariate_normal(centre, covariance))  # pyright: ignore
    return found


def squares(answers: np.ndarray) -> np.ndarray:
    """Sums of products of residuals around the mean, (G, G)."""
    residuals = answers - answers.mean(axis=0)
    return np.array([np.outer(r, r) for r in residuals]).sum(axis=0)


def prior_of(attack: Lira, several: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """The scale of the prior of a covariance, and its degrees of freedom (limma's, by moments)."""
    d = np.array([len(a) - 1 for a in several])
    pooled = sum(map(squares, several)) / d.sum()
    if attack.prior_freedom != "estimated":
        return pooled, float(attack.prior_freedom or 0)
    variances = np.array([np.maximum(np.diag(squares(a)) / (len(a) - 1), FLOOR) for a in several])
    logs = np.log(variances) - (digamma(d / 2) - np.log(d / 2))[:, None]
    excess = float(np.mean(logs.var(axis=0)) - np.mean(polygamma(1, d / 2)))
    least = max(excess, 2e-6)
    half = float(brentq(lambda y: polygamma(1, y).item() - least, 1e-3, 1e6, xtol=1e-12))  # pyright: ignore
    scale = np.exp(logs.mean(axis=0) + digamma(half) - np.log(half))
    ratio = np.sqrt(scale / np.maximum(np.diag(pooled), FLOOR))
    return pooled * np.outer(ratio, ratio), 2 * half


def carlini(
    target: np.ndarray, shadows: np.ndarray, shadow_member: np.ndarray, mode: str, fixed: bool
) -> np.ndarray:
    """Return what plot.py says, negated so that higher is a member, from its description."""
    inside, outside = (
        [[shadows[s, i] for s in range(len(shadows)) if shadow_member[s, i] == c] for i in range(n)]
        for c, n in ((1, len(target)), (0, len(target)))
    )
    in_size, out_size = min(map(len, inside)), min(map(len, outside))
    inside = np.array([a[:in_size] for a in inside], float)
    outside = np.array([a[:out_size] for a in outside], float)
    scores = []
    for i in range(len(target)):
        of_views = []
        for v, x in enumerate(target[i]):
            std_out = np.std(outside) if fixed else np.std(outside[i, :, v])
            if mode == "online":
                std_in = np.std(inside) if fixed else np.std(inside[i, :, v])
                std_out = std_in if fixed else std_out
                log_in = norm.logpdf(x, np.median(inside[i, :, v]), std_in + 1e-30)
            else:
                log_in = 0.0
            log_out = norm.logpdf(x, np.median(outside[i, :, v]), std_out + 1e-30)
            of_views.append(log_in - log_out)
        scores.append(np.mean(of_views))
    return np.array(scores)
