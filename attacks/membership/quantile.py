"""Quantile regression: is the target surer of the example than of strangers that look like it?"""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import AfterValidator, Field

from attacks.membership import Column, Examples, MembershipAttack, Needs, log_odds

FEWEST = 20  # known non-members that a regression is fitted to
TOP = 3  # of the wrong classes' logits
RIDGE = 1.0  # on standardized coefficients, beside a sum over the known non-members
MOST_STEPS, SMALL = 200, 1e-9  # of the interior point
CLOSER = 0.1  # the share of the gap that a step aims at
LEAST_GAP = 0.1  # between two quantiles of an example, as a share of that of the known ones


def _rising(levels: tuple[float, ...]) -> tuple[float, ...]:
    if any(a >= b for a, b in pairwise(levels)):
        raise ValueError(f"expected levels in rising order, got {list(levels)}")
    return levels


class Quantile(MembershipAttack):
    """How far the target's log-odds lie above the quantiles that non-members of such features have.

    Source: Bertran et al. (2023), https://arxiv.org/abs/2307.03694. The attacker has no shadow. He
    knows some non-members of the target, asks it about them, and regresses quantiles of its answer
    on features of the example; whose answer is above a high one is taken for a member.

    The paper's features are those of a second network that sees the image. No images are among the
    answers; features are what the target itself says beside the log-odds that are judged:
        logits: the largest three logits of the other classes, less the mean of those: what else the
            image could be. Of the plain image.
        views: log-odds of the other views: how sure it is of images as near. It takes two views,
            the first of which is judged. Where training has seen the shifted or mirrored image,
            members' other answers are higher too, and less is found.
        label: the class alone; the log-odds are the mean over views.
    The class is among all. Where features hold a part of membership the attack is the weaker for
    it, and none of its scores is wrong.

    What it assumes: of half of the pool, drawn at random, the attacker knows who was no member, and
    judges the other half; and the other way round (`by_halves`). So no example's own membership has
    a part in its score, and those who are judged are drawn as those who are known. It is told more
    of the target than any attack with shadows, and nothing of other models.

    levels: which quantiles are fitted; between and beyond them the answers of non-members are taken
        as normal, so that scores are standard deviations and do not tie. A level that few known
        non-members exceed is a rough one.

    The regression is linear, by pinball loss and a small ridge, where the paper has networks and
    boosted trees.

    YAML: {name: quantile, features: label}
    """

    name: Literal["quantile"] = "quantile"
    features: Literal["logits", "views", "label"] = "logits"
    levels: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...],
        Field(min_length=2),
        AfterValidator(_rising),
    ] = (0.5, 0.9)

    per_target: ClassVar[bool] = True

    @property
    def reads(self) -> Column:
        return "logits" if self.features == "logits" else "log_odds"

    def needs(self, num_views: int = 1) -> Needs:
        """No other model: its only shadow is the target."""
        return Needs(0, 0, itself=True)

    def signal(self, answers: np.ndarray, examples: Examples) -> np.ndarray:
        """Return the log-odds that are judged, and the features beside the class, (B, 1 + F).

        Raises:
            ValueError: one view has no others.
        """
        if self.features == "logits":
            return np.column_stack([log_odds(answers, examples.label), _others(answers, examples)])
        answers = answers.astype(np.float64)
        if self.features == "label":
            return answers.mean(axis=1, keepdims=True)
        if answers.shape[1] < 2:
            raise ValueError(
                "`features: views` compares a view with others, and models are asked for one; add "
                "answers.views, or use `features: logits`"
            )
        return answers

    def score(
        self,
        target: np.ndarray,
        shadows: np.ndarray,
        shadow_member: np.ndarray,
        examples: Examples,
        seed: int = 0,
    ) -> np.ndarray:
        """Return how many standard deviations of a non-member's answer each answer is too high.

        Non-members are those with shadow_member 0, of all shadows given; the contract has the
        shapes.

        Raises:
            ValueError: there are too few of them.
        """
        from scipy.special import ndtri

        known, at = np.nonzero(shadow_member == 0)
        if len(known) < FEWEST:
            raise ValueError(
                f"expected {FEWEST} known non-members or more, got {len(known)}; use a larger pool"
            )
        said = shadows[known, at]
        centre, scale = said.mean(axis=0), said.std(axis=0)
        scale[scale == 0] = 1
        judged, of_known = (target - centre) / scale, (said - centre) / scale
        rows = _design(of_known, examples.label[at], examples.num_classes)
        fitted = np.column_stack([pinball_fit(rows, of_known[:, 0], at) for at in self.levels])
        least = LEAST_GAP * np.median(np.diff(rows @ fitted, axis=1), axis=0)
        quantiles = _design(judged, examples.label, examples.num_classes) @ fitted
        return _deviations(judged[:, 0], quantiles, np.maximum(least, 1e-3), ndtri(self.levels))


def pinball_fit(rows: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Return the linear function whose values are the quantile of `values` given rows, (F,).

    It minimizes the sum of pinball losses, (level - [r < 0]) r of each residual r, plus half of
    RIDGE times the squares of all coefficients but the first: a primal-dual interior point, after
    Portnoy and Koenker (1997), https://doi.org/10.1214/ss/1030037960. Residuals are split into
    above - below, and each has a weight in [level - 1, level], whose distances from the two ends
    are 0 where `above` or `below` is not.

    Args:
        rows: (n, F) float64, whose first column is 1.
        values: (n,) float64.
        level: in (0, 1).
    """
    ridge = RIDGE * np.diag(np.arange(rows.shape[1]) > 0)
    found = np.linalg.solve(rows.T @ rows + ridge, rows.T @ values)
    left = values - rows @ found
    above, below = np.maximum(left, 0) + 1.0, np.maximum(-left, 0) + 1.0
    weight = np.full(len(values), level - 0.5)
    for _ in range(MOST_STEPS):
        to_high, to_low = level - weight, 1 - level + weight
        gap = (above @ to_high + below @ to_low) / (2 * len(values))
        wrong = rows.T @ weight - ridge @ found
        left = values - rows @ found - above + below
        if max(gap, np.abs(left).max(), np.abs(wrong).max() / len(values)) < SMALL:
            break
        aim = CLOSER * gap
        high, low = aim / to_high - above, aim / to_low - below
        each = 1 / (above / to_high + below / to_low)
        right = left - high + low
        step = np.linalg.solve(
            ridge + rows.T @ (each[:, None] * rows), wrong + rows.T @ (each * right)
        )
        moved = each * (right - rows @ step)
        up, down = high + above / to_high * moved, low - below / to_low * moved
        # Far enough into the direction that nothing reaches 0.
        fall = np.concatenate([-up / above, -down / below, moved / to_high, -moved / to_low])
        length = min(1.0, 0.995 / max(float(fall.max()), 1e-300))
        found, weight = found + length * step, weight + length * moved
        above, below = above + length * up, below + length * down
    return found


def _others(logits: np.ndarray, examples: Examples) -> np.ndarray:
    """The largest logits of the classes that are not the label, less their mean, (B, at most 3)."""
    others = logits.astype(np.float64)
    others[np.arange(len(others)), examples.label] = -np.inf
    falling = -np.sort(-others, axis=1)[:, :-1]
    return (falling - falling.mean(axis=1, keepdims=True))[:, :TOP]


def _design(signals: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """What a quantile is linear in: 1, the class and the features, (B, 1 + C + F)."""
    classes = label[:, None] == np.arange(num_classes)
    return np.column_stack([np.ones(len(label)), classes, signals[:, 1:]])


def _deviations(
    values: np.ndarray, quantiles: np.ndarray, least: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """The standard normal's value where each of (B,) values has it, by its quantiles (B, L).

    Linear between quantiles and beyond the last ones.

    Args:
        least: (L - 1,), how far quantiles are apart; who fits many may find them crossed.
        z: (L,), the normal's values at the quantiles.
    """
    points = quantiles.copy()
    for level, gap in enumerate(least):
        points[:, level + 1] = np.maximum(points[:, level + 1], points[:, level] + gap)
    piece = (values[:, None] > points[:, 1:-1]).sum(axis=1)
    rows = np.arange(len(values))
    low, high = points[rows, piece], points[rows, piece + 1]
    return z[piece] + (values - low) * (z[piece + 1] - z[piece]) / (high - low)
