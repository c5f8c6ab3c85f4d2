"""What a sweep is said to train before it does: closed forms."""

import pytest

from runner.experiment.experiment import Experiment
from runner.sweep.foretold import models_of
from tests.conftest import TINY

SWEEP = {"arm": "pgd_at", "axes": {"arms.pgd_at.training.lr": [0.1, 0.2, 0.3]}, "rungs": [6, 10]}


def test_one_setting_at_least_goes_all_the_way_and_at_the_most_all_do():
    base = {**SWEEP, "base": "erm"}
    models = models_of(Experiment.model_validate({**TINY, "sweep": base}))
    assert models.least == {"erm": 10, "pgd_at": 6 + 6 + 10}
    assert models.most == {"erm": 10 + 10, "pgd_at": 3 * 10 + 10}  # the recommended one once more


def test_an_axis_of_all_arms_makes_models_of_all_arms():
    every = {**SWEEP, "base": "erm", "axes": {"training.lr": [0.1, 0.2]}}
    models = models_of(Experiment.model_validate({**TINY, "sweep": every}))
    assert models.least == {"erm": 16, "pgd_at": 16}


@pytest.mark.parametrize("key", ["robustness.num_examples", "answers.draws"])
def test_settings_that_are_only_asked_differently_share_their_models(key: str):
    asked = {**SWEEP, "axes": {key: [10, 20]}}
    models = models_of(Experiment.model_validate({**TINY, "sweep": asked}))
    assert models.least == models.most == {"pgd_at": 10}
