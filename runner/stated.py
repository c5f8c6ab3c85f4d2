"""What an arm's defense states of its models' privacy."""

from defenses import Guarantee
from runner.data import Dataset, image_shape
from runner.experiment import Experiment
from runner.plan import Plan


def stated(experiment: Experiment, dataset: Dataset, plan: Plan, arm: str) -> Guarantee | None:
    """Return the guarantee of the model of which least is promised; None where nothing is stated.

    Models that differ in how many examples they are trained on differ a little in their epsilon.
    """
    network = experiment.arms[arm].network(image_shape(dataset))
    by_size = {len(run.members): run for run in plan.arms[arm]}
    found = []
    for run in by_size.values():
        facts = run.facts(network, run.training.epochs, assumed=experiment.guarantee.assumed)
        guarantee = run.defense.guarantee(facts)
        if guarantee is None:
            return None
        found.append(guarantee)
    worst = max(found, key=lambda g: float("inf") if g.epsilon is None else g.epsilon)
    chosen_on = experiment.selection and experiment.selection.on
    if experiment.arms[arm].checkpoint == "best" and chosen_on == "non_members":
        why = "its best epoch is chosen on its non-members, which tells who they are"
        return worst._replace(epsilon=None, status="none", why=why)
    return worst
