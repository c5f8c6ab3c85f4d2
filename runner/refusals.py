"""Every refusal of an experiment that concerns more than one field."""

from collections.abc import Iterator

from attacks.by_name import unknown
from runner.experiment import Design, Experiment, dials
from runner.models import ImageShape

Fault = tuple[tuple[str, ...], str]  # where, and why

ANY_IMAGES = ImageShape(3, 32, 32, 10, (0.5,) * 3, (0.25,) * 3)  # to try a network out


def faults_of(experiment: Experiment) -> Iterator[Fault]:
    """What does not fit together: where, and why."""
    if experiment.robustness.on == "test" and experiment.data.pool == "train+test":
        yield (
            ("robustness", "on"),
            "with data.pool: train+test no test split is left; use `on: non_members`, as the "
            "DeMem protocol does",
        )
    yield from _of_design(experiment.design)
    yield from _of_workers(experiment)
    yield from _of_defenses(experiment)
    yield from _of_membership(experiment)
    yield from _of_report(experiment)


def _of_design(design: Design) -> Iterator[Fault]:
    at = ("design", "num_models")
    if design.num_models % 2:
        yield at, f"`{design.name}` trains models two by two: {design.num_models} is odd"
    elif design.name == "pairs" and design.num_models < 6:
        yield (
            at,
            f"{design.num_models} models leave fewer than two others in each class once a target "
            "and its partner are left out; use 6 or more",
        )


def _of_workers(experiment: Experiment) -> Iterator[Fault]:
    workers = experiment.fleet.workers_per_run
    models = {("model",): experiment.model} | {
        ("arms", name, "model"): arm.model
        for name, arm in experiment.arms.items()
        if arm.model != experiment.model
    }
    for at, model in models.items():
        if workers > 1 and not experiment.fleet.num_gpus and getattr(model, "norm", "") == "batch":
            yield (
                (*at, "norm"),
                "on CPUs each worker of a Run would keep BatchNorm statistics of its own; use "
                "`norm: group`, or fleet.workers_per_run: 1",
            )
    trainings = {("training",): experiment.training} | {
        ("arms", name, "training"): arm.training
        for name, arm in experiment.arms.items()
        if arm.training != experiment.training
    }
    for at, training in trainings.items():
        if training.batch_size < 2 * workers:
            yield (
                (*at, "batch_size"),
                f"a batch of {training.batch_size} leaves fewer than two examples to each of "
                f"the {workers} workers of a Run",
            )


def _of_defenses(experiment: Experiment) -> Iterator[Fault]:
    for name, arm in experiment.arms.items():
        at = ("arms", name, "defense")
        try:
            arm.network(ANY_IMAGES)
        except ValueError as error:
            yield at, str(error)
        if arm.defense.one_worker and experiment.fleet.workers_per_run > 1:
            yield (
                at,
                f"{arm.defense.name} needs a whole batch in one worker; use "
                "fleet.workers_per_run: 1",
            )
        if arm.defense.per_example_steps and arm.training.precision == "bf16":
            yield (
                at,
                f"{arm.defense.name} clips each example's gradient, which needs fp32; use "
                "training.precision: fp32 or auto for this arm",
            )


def _of_membership(experiment: Experiment) -> Iterator[Fault]:
    for name, attack in experiment.membership.attacks.items():
        at = ("membership", "attacks", name)
        if experiment.design.name == "quarters" and not attack.per_target:
            yield (
                at,
                f"{attack.name} compares models trained with and without each example, and "
                "`design.name: quarters` gives a target one shadow model; use `pairs` for it, "
                "or an attack like shadow_mlp",
            )
        given = 1 if experiment.design.name == "quarters" else experiment.design.num_models - 2
        if getattr(attack, "num_shadows", 1) > given:
            yield (
                (*at, "num_shadows"),
                f"the design gives a target {given} shadow models; ask for no more, or use a "
                "design with more",
            )
        shadow_arm = getattr(attack, "shadow_arm", None)
        if shadow_arm is not None and shadow_arm not in experiment.arms:
            yield (*at, "shadow_arm"), unknown("arm", shadow_arm, experiment.arms)


def _of_report(experiment: Experiment) -> Iterator[Fault]:
    known = {key for arm in experiment.arms.values() for key in dials(arm.defense)}
    for key in ("against", "by"):
        value = getattr(experiment.report, key)
        if value is not None and value not in known:
            yield ("report", key), unknown("number of these defenses", value, known)
    if experiment.report.baseline is not None and experiment.report.baseline not in experiment.arms:
        yield ("report", "baseline"), unknown("arm", experiment.report.baseline, experiment.arms)
