"""The tail of Student's t, to the last digits and also where the probability underflows."""

from functools import lru_cache
from math import factorial, gamma

import numpy as np
from numpy.polynomial.chebyshev import cheb2poly, chebfit
from numpy.polynomial.polynomial import polyval

AT_ONCE = 16384  # values of the series, whose arrays stay in the cache of one core
# Within these bounds the series is exact to 2e-14.
ENOUGH, NEAR = 20, np.e - 1
CENTRE, DEGREE = 3.0, 22  # of the polynomial that gives erfcx
BERNOULLI = (1, 1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # even


def _even_series() -> list[float]:
    """The coefficients of s^0, s^2, s^4, ... in sqrt(s / (2 sinh(s / 2))).

    By its logarithmic derivative, minus half the sum of B(2k) s^(2k - 1) / (2k)!.
    """
    of_log = [b / factorial(2 * k) for k, b in enumerate(BERNOULLI)]
    found = [1.0]
    for n in range(1, len(BERNOULLI)):
        found.append(-sum(of_log[k] * found[n - k] for k in range(1, n + 1)) / (4 * n))
    return found


def _by_powers() -> np.ndarray:
    """The coefficients (i, j) of ratio^i inverse^j in what the terms of `EVEN` leave beside erfcx.

    From gamma(j + 1) = ((j + 1/2) gamma(j) + ratio^j power) inverse, and gamma(0) = erfcx.
    """
    terms = 2 * len(EVEN) - 2
    found, of_one = np.zeros((terms, terms + 1)), np.zeros((terms, terms + 1))
    for j in range(terms):
        of_one *= j + 0.5
        of_one[j, 0] += 1
        of_one = np.roll(of_one, 1, axis=1)
        if j % 2:
            found += EVEN[(j + 1) // 2] * of_one
    return found


EVEN = _even_series()
BY_POWERS = _by_powers()
WHOLE = [2 * each * gamma(2 * k + 0.5) for k, each in enumerate(EVEN)]  # at z = 0, where P is 1/2


def log_survival(z: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return log P(t > z) of Student's t, to the last digits in both tails.

    By a series where freedom and z allow it, which is several times as fast as SciPy.

    Args:
        z: (T, B) float, or (B,).
        freedom: degrees of freedom, of the same shape, or (T, 1) where a row has one, which is
            twice as fast.
    """
    table, of_each = (np.atleast_2d(each).astype(np.float64, copy=False) for each in (z, freedom))
    found = np.empty(table.shape)
    rows = max(1, AT_ONCE // max(1, table.shape[1]))
    for start in range(0, len(table), rows):
        part = slice(start, start + rows)
        log = _log_tail(np.abs(table[part]), of_each[part])
        found[part] = np.where(table[part] < 0, np.log1p(-np.exp(log)), log)
    return found.reshape(z.shape)


def _log_tail(z: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """log P(t > z) where no z is below 0."""
    log = _by_series(z, np.maximum(freedom, ENOUGH))
    beyond = (freedom < ENOUGH) | (z * z > NEAR * freedom)
    if beyond.any():
        other = np.nonzero(beyond)
        log[other] = _beyond_the_series(z[other], np.broadcast_to(freedom, z.shape)[other])
    return log


def _by_series(z: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """log P(t > z) from ENOUGH degrees of freedom on, where z^2 is at most NEAR of them.

    With a = freedom / 2 and t = log(1 + z^2 / freedom), P is half of I(a, 1/2), the integral from t
    on of s^(-1/2) exp(-w s) g(s), w = a - 1/4, over the integral from 0 on. Each s^2k of `EVEN`,
    the series of g(s) = sqrt(s / (2 sinh(s / 2))), gives an incomplete gamma function of 2k + 1/2,
    and these follow from that of 1/2, which is erfc, upwards, without cancellation. What they have
    beside erfc is a polynomial of t, whose coefficients hang on freedom alone. Source:
    DiDonato and Morris (1992), https://doi.org/10.1145/131766.131776, "BGRAT", with b = 1/2.
    """
    ratio = np.log1p(np.square(z) / freedom)
    inverse = 1 / (freedom / 2 - 0.25)
    exponent = ratio / inverse
    power = np.sqrt(exponent)
    rest = _rest_by_powers if freedom.shape[1] == 1 else _rest_by_terms
    total = rest(ratio, inverse)
    total /= polyval(np.square(inverse), WHOLE)
    total *= power
    total += _half_erfcx(power)
    return np.log(total, out=total) - exponent


def _rest_by_powers(ratio: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """The polynomial of t (T, B), whose coefficients are those of each row."""
    of_rows = _of_rows(inverse.tobytes())
    total = ratio * of_rows[-1]
    for coefficient in of_rows[-2:0:-1]:
        total += coefficient
        total *= ratio
    total += of_rows[0]
    return total


@lru_cache(maxsize=64)  # the same targets are asked for in every part of a block
def _of_rows(inverse: bytes) -> np.ndarray:
    """The coefficients of t^i of each row, (I, T, 1)."""
    return polyval(np.frombuffer(inverse), BY_POWERS.T)[:, :, None]


def _rest_by_terms(ratio: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """The same, where each value has coefficients of its own, from one term to the next."""
    of_one, power, total = np.zeros_like(ratio), np.ones_like(ratio), np.zeros_like(ratio)
    for j in range(len(BY_POWERS)):
        of_one *= j + 0.5
        of_one += power
        of_one *= inverse
        power *= ratio
        if j % 2:
            total += EVEN[(j + 1) // 2] * of_one
    return total


def _half_erfcx(x: np.ndarray) -> np.ndarray:
    """Half of erfcx(x) where x is not below 0, to the last digits, in a third of SciPy's time.

    (1 + 2 x) erfcx(x) is nearly constant; it is a polynomial of (x - CENTRE) / (x + CENTRE).
    Source: Shepherd and Laframboise (1981), https://doi.org/10.1090/S0025-5718-1981-0595058-X.
    """
    place = (x - CENTRE) / (x + CENTRE)
    coefficients = _of_half_erfcx()
    found = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found *= place
        found += coefficient
    found /= 1 + 2 * x
    return found


@lru_cache(maxsize=1)
def _of_half_erfcx() -> np.ndarray:
    """The coefficients of that polynomial, interpolated where Chebyshev's has its zeros."""
    from scipy.special import erfcx

    half_angle = (np.arange(DEGREE + 1) + 0.5) * np.pi / (2 * DEGREE + 2)
    x = CENTRE / np.square(np.tan(half_angle))
    values = (0.5 + x) * erfcx(x)
    return cheb2poly(chebfit(np.cos(2 * half_angle), values, DEGREE))


def _beyond_the_series(z: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """log P(t > z), also where the probability underflows.

    There it is the incomplete beta function by its continued fraction,
    https://dlmf.nist.gov/8.17.E22, which so far out needs few terms.
    """
    from scipy.special import betaln, stdtr

    survival = stdtr(freedom, -z)
    far = survival < 1e-200
    log = np.log(np.where(far, 1, survival))
    if far.any():
        a, b, square = freedom[far] / 2, 0.5, np.square(z[far])
        x = 1 / (1 + square / (2 * a))
        fraction = np.ones_like(x)
        for m in range(50, -1, -1):
            odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            fraction = 1 + odd / fraction
            if m:
                even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                fraction = 1 + even / fraction
        log[far] = -a * np.log1p(square / (2 * a)) - b * np.log1p(2 * a / square)
        log[far] -= np.log(2 * a) + betaln(a, b) + np.log(fraction)
    return log
