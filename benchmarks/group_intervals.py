"""How often intervals of an AUC hold the truth where examples come in groups.

    python benchmarks/group_intervals.py            # 40 seconds of one core

Scores of an example are its group's part, its own, and its model's, of equal variance, and members
have SHIFT more. Members and non-members are of different groups, so the AUC's expectation is that
of two independent normal scores. Members are drawn by group, as the plan draws them.
"""

import argparse

import numpy as np
from scipy.stats import norm

from runner.experiment.training import Design
from runner.plan.plan import member_matrix
from runner.statistics.intervals import bootstrap_interval
from runner.statistics.metrics import auc
from runner.statistics.resampling import resampled_figures

SHIFT, MODELS, RESAMPLES, EACH = 1.0, 16, 200, 5


def held(num_groups: int, trials: int, seed: int) -> tuple[int, int]:
    """Return in how many trials the interval holds the truth: over groups, and over examples."""
    rng, found = np.random.default_rng(seed), np.zeros(2, int)
    groups = np.repeat(np.arange(num_groups), EACH)
    num, partner = len(groups), np.arange(MODELS) ^ 1
    truth = norm.cdf(SHIFT / np.sqrt(2 * 3))
    for trial in range(trials):
        rows = member_matrix(Design(num_models=MODELS), num, trial, groups=groups)
        shared = rng.normal(size=num_groups)[groups] + rng.normal(size=num)
        scores = shared + rng.normal(size=rows.shape) + SHIFT * rows
        point = np.array([auc(s, row == 1) for s, row in zip(scores, rows, strict=True)])
        for i, of in enumerate((groups, None)):
            drawn = [
                resampled_figures(
                    *(s, row == 1, np.arange(num), (0.1,), "step_le", RESAMPLES, trial, num, of)
                )[:, 0]
                for s, row in zip(scores, rows, strict=True)
            ]
            interval = bootstrap_interval(point, np.array(drawn), partner)
            found[i] += interval.low <= truth <= interval.high
    return int(found[0]), int(found[1])


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=300)
    trials = options.parse_args().trials
    for num_groups in (10, 20, 50, 200):
        over_groups, over_examples = held(num_groups, trials, 0)
        print(
            f"{num_groups} groups of {EACH}: {100 * over_groups / trials:.1f} % by groups, "
            f"{100 * over_examples / trials:.1f} % by examples, of {trials} intervals of 95 %"
        )
