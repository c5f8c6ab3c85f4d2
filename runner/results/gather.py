"""From what the stages wrote to one dict: results.json, which the report is written from."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.audit.judge import judge, judging_of
from runner.driver.events import Event
from runner.experiment.describe import fields_in_line, one_line
from runner.plan.work import Work
from runner.results._arms import arm_blocks, training_warnings
from runner.results._epsilon import epsilon_figures
from runner.results._memorization import leakage_by_memorization
from runner.results.checks import checks_of
from runner.results.comparisons import accuracies_of, compare
from runner.results.provenance import devices_of
from runner.results.skeleton import Blocks, results_json
from runner.storage import store


def gather(
    work: Work,
    runs: Mapping[str, int],
    vulnerable: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
) -> dict[str, Any]:
    """Return what results.json holds; its schema is docs/results_schema.md.

    Args:
        runs: how many models this command `trained` and `reused`, passed through.
        vulnerable: the examples at risk of each arm, passed through; None: nobody looked.
        events: what went wrong on the way, passed through.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    experiment, plan = work.experiment, work.plan
    judged = judge(judging_of(work), in_ray=False)  # unless it is there
    num_test = len(work.dataset.test_labels)
    images = num_test if experiment.robustness.on == "test" else plan.num_negatives
    blocks = Blocks(
        data={
            "name": experiment.data.name,
            "classes": experiment.data.classes and list(experiment.data.classes),
            "pool": experiment.data.pool,
            "augment": fields_in_line(experiment.data.augment),
        },
        num_test=num_test,
        design=experiment.design.model_dump(exclude_none=True),
        on=experiment.robustness.on,
        num_attacked=min(images, experiment.robustness.num_examples or images),
        views={
            name: attack.views or experiment.answers.names
            for name, attack in experiment.membership.attacks.items()
            if attack.reads != "logits"
        },
        arms={name: arm_blocks(work, name) for name in plan.arms},
        vulnerable=vulnerable,
        comparisons=compare(work, judged),
        accuracies={
            name: accuracies_of(work, name, experiment.questions(name).answers.draws)
            for name in plan.arms
        },
        checks=checks_of(work),
        runs=runs,
        report=experiment.report.model_dump(exclude={"images", "ids"}),
        robustness={name: one_line(a) for name, a in experiment.robustness.attacks.items()},
        adversarial=[*experiment.answers.adversarial],
        selection=experiment.selection and fields_in_line(experiment.selection),
        memorization=leakage_by_memorization(work) if experiment.memorization else None,
        epsilon=epsilon_figures(work),
        notes=(*work.notes, *training_warnings(work)),
        config=experiment.model_dump(mode="json"),
        made_on=devices_of([store.facts(work.store.run(run.id)) for run in plan.runs]),
    )
    return results_json(work, judged, blocks, events)
