"""How many models a sweep will still ask for: what its end depends on beside its queue."""

from runner.driver.snapshot import Snapshot
from runner.experiment.experiment import Experiment
from runner.sweep.rungs import ToAsk
from runner.sweep.settings import compared_arms, varied_arms


class Coming:
    """Models of the search that nobody has asked for, and those that measure the recommended one.

    A thread asks while another one tells.
    """

    def __init__(self, experiment: Experiment) -> None:
        sweep = experiment.sweep
        assert sweep is not None
        compared = compared_arms(experiment)
        self._varied = len([arm for arm in compared if arm in varied_arms(experiment)])
        self._shared = len(compared) - self._varied
        self._confirming = len(compared) * sweep.rungs[-1] * sweep.alike
        self._searching, self._before = 0.0, 0  # Runs that the queue had before the confirmation
        self._confirms, self._seen = False, 0

    def search(self, to_ask: ToAsk) -> None:
        """Take in what the board says."""
        self._searching = to_ask.of_settings * self._varied + to_ask.shared * self._shared

    def confirm(self, any_chosen: bool) -> None:
        """Say that the search is over, and whether a setting is measured once more."""
        self._searching, self._before, self._confirms = 0.0, self._seen, True
        self._confirming *= any_chosen

    def of(self, state: Snapshot) -> Snapshot:
        """Return the queue's state with what is still to come."""
        self._seen = state.counts.total
        asked = self._seen - self._before if self._confirms else 0
        return state._replace(to_come=self._searching + max(0, self._confirming - asked))
