"""Lower bounds on the epsilon of differential privacy, from how well an attack does.

Three kinds of trials, each with its own bound: many trainings, of which each is a trial (`rates`);
one training with many canaries (`one_run`, of any training; `gaussian`, of one whose trade-off is
that of Gaussian noise; `trade_off` tests any other trade-off); and either of them with k examples
that go in and out together (`groups`). Whatever is chosen by looking at the trials is paid for: by
trials that choose and others that count, or by Bonferroni. The largest bound of all thresholds is
no lower bound.
"""

from attacks.epsilon.gaussian import gaussian_bound
from attacks.epsilon.groups import of_one
from attacks.epsilon.one_run import guess, one_run_bound
from attacks.epsilon.rates import epsilon_lower_bound, largest_certifiable
from attacks.epsilon.thresholds import split_sample_bound
from attacks.epsilon.trade_off import trade_off_p_value

__all__ = [
    "epsilon_lower_bound",
    "gaussian_bound",
    "guess",
    "largest_certifiable",
    "of_one",
    "one_run_bound",
    "split_sample_bound",
    "trade_off_p_value",
]
