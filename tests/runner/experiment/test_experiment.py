from runner.experiment.experiment import Experiment
from tests.made.experiments import refused


def test_an_experiment_survives_its_own_dump(tiny: Experiment):
    assert Experiment.model_validate(tiny.model_dump()) == tiny
    assert Experiment.model_validate(tiny.model_dump(mode="json")) == tiny


def test_a_name_that_is_no_folder_is_refused():
    assert "expected a name of a-z, 0-9, _ and -" in refused(name="../x")["name"]
