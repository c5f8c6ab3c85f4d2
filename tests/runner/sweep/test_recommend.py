"""Which setting is recommended, and what is written of a sweep, from figures made by hand."""

from typing import Any

from runner.experiment.config import parse, validate
from runner.experiment.experiment import Experiment
from runner.experiment.sweep import Constraint
from runner.sweep import recommend
from tests.made.sweeps import BASE, figures, swept


def measured(natural: float, robust: float | None, leakage: float, num_models: int = 16) -> Any:
    """A trial of sweep.json that meets the default constraint or not."""
    at = figures(natural, robust, leakage)
    passes = recommend.meets(Constraint(), at, BASE)
    by_rung = {str(num_models): at}
    state = "finished" if num_models == 16 else "stopped"
    found = {"num_models": num_models, "by_rung": by_rung, "meets_constraint": passes}
    return {**found, "state": state}


def test_the_constraint_is_about_means_and_its_bound_belongs_to_it():
    within = Constraint(robust_within=0.01)
    assert recommend.meets(within, figures(0.1, 0.59, 0.3), BASE)
    assert not recommend.meets(within, figures(0.9, 0.589, 0.3), BASE)
    both = Constraint(robust_within=0.01, natural_within=0.02)
    assert recommend.meets(both, figures(0.88, 0.59, 0.3), BASE)
    assert not recommend.meets(both, figures(0.879, 0.7, 0.3), BASE)
    assert recommend.meets(Constraint(robust_within=None), figures(0, 0, 1), BASE)
    assert recommend.meets(both, figures(0, 0, 1), None)
    no_attack = figures(0.9, None, 0.3)
    assert recommend.meets(within, no_attack, no_attack)


def test_the_least_leaky_of_the_top_rung_that_meets_the_constraint_is_recommended():
    trials = [
        measured(0.9, 0.6, 0.2),
        measured(0.9, 0.5, 0.01),  # too weak
        measured(0.9, 0.6, 0.05, num_models=8),  # stopped: with fewer models
        measured(0.9, 0.6, 0.1),
        measured(0.9, 0.65, 0.1),  # as private, and more robust
    ]
    chosen, why = recommend.recommended(trials)
    assert chosen is trials[4]
    assert "least of the 3 settings with 16 models" in why
    assert recommend.recommended(trials[1:2])[0] is None
    assert "none of the 1 settings with 16 models" in recommend.recommended(trials[1:2])[1]
    assert recommend.recommended(trials[2:3])[0] is None
    assert recommend.recommended([]) == (None, "no setting could be measured to the end")


def test_the_recommended_yaml_is_the_setting_under_the_next_seed():
    data, experiment = swept(base="erm")
    setting = {"arms.pgd_at.defense.attack.eps": 0.2, "training.epochs": 4}
    made = recommend.fresh(data, experiment, setting, 8)
    at = figures(0.9, 0.6, 0.1, 0.01)
    chosen = {"setting": setting, "num_models": 8, "fresh": at, "fresh_base": BASE}
    assert experiment.sweep
    text = recommend.as_yaml(
        made, experiment.sweep, {**chosen, "flattered": at, "flattered_base": BASE}
    )
    assert "recommends: eps 0.2, epochs 4." in text
    assert "#   pgd_at: natural 0.900 [0.890, 0.910], robust 0.600" in text
    read = validate(parse(text), Experiment, "recommended.yaml")
    assert read.name == "tiny_recommended"
    assert read.seed == experiment.seed + 1
    assert read.design.num_models == 8
    assert read.sweep is None
    long = experiment.model_copy(update={"name": "x" * 60})
    assert len(recommend.fresh(data, long, setting, 8)["name"]) == 60
