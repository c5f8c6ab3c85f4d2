"""What is refused of an experiment because several of its fields do not go together.

What a block can tell by itself it refuses itself; what must wait for the data, the plan does, and
what must be tried on them, `runner.forecast.rehearsal`.
"""

import math
from collections.abc import Iterator

from attacks.by_name import unknown
from attacks.membership import MembershipAttack
from runner.experiment.fields import Fields, dials
from runner.experiment.judging import LowerBounds
from runner.experiment.training import Design, Training

Fault = tuple[tuple[str, ...], str]  # where, and why


def faults_of(experiment: Fields) -> Iterator[Fault]:
    """What does not fit together: where, and why."""
    if experiment.robustness.on == "test" and experiment.data.pool == "train+test":
        yield (
            ("robustness", "on"),
            "with data.pool: train+test no test split is left; use `on: non_members`, as the "
            "DeMem protocol does",
        )
    yield from _of_tables(experiment)
    yield from _of_design(experiment.design)
    yield from _of_canaries(experiment)
    yield from _of_workers(experiment)
    yield from _of_schedules(experiment)
    yield from _of_defenses(experiment)
    yield from _of_checkpoints(experiment)
    yield from _of_membership(experiment)
    yield from _of_memorization(experiment)
    yield from _of_vulnerable(experiment)
    yield from _of_report(experiment)
    yield from _of_comparisons(experiment)
    yield from _of_sweep(experiment)
    averaged, there = experiment.averages.num_models, experiment.design.num_models
    if averaged is not None and averaged > there:
        why = f"there are only {there} models (design.num_models); ask for no more"
        yield ("averages", "num_models"), why


def _of_tables(experiment: Fields) -> Iterator[Fault]:
    """Networks and pictures that the rows of a table do not go with."""
    if not experiment.data.tabular:
        return
    for name, arm in experiment.arms.items():
        if arm.model.needs_pixels:
            yield (
                ("arms", name, "model"),
                f"{arm.model.name} looks at pixels beside each other, and columns of a table are "
                "none; use `model: mlp`",
            )
    if experiment.report.images in ("samples", "all"):
        yield ("report", "images"), "rows of a table are no images to show; leave it out"


def _of_design(design: Design) -> Iterator[Fault]:
    at = ("design", "num_models")
    if (design.name == "canaries") != (design.canaries is not None):
        why = "`name: canaries` needs to know what is planted, such as `canaries: {num: 1000}`"
        if design.canaries is not None:
            why = f"`name: {design.name}` plants nothing; use `name: canaries`"
        yield ("design", "canaries"), why
    if design.name == "canaries":
        return
    if design.num_models % 2:
        yield at, f"`{design.name}` trains models two by two: {design.num_models} is odd"
    elif design.name == "pairs" and design.num_models < 6:
        yield (
            at,
            f"{design.num_models} models leave fewer than two others in each class once a target "
            "and its partner are left out; use 6 or more",
        )


def _of_canaries(experiment: Fields) -> Iterator[Fault]:
    if experiment.design.name != "canaries":
        if experiment.epsilon != LowerBounds():
            yield ("epsilon",), "it is read off canaries; use `design.name: canaries`"
        return
    if experiment.robustness.on == "non_members":
        yield (
            ("robustness", "on"),
            "the non-members of a model are canaries, which have wrong labels; use `on: test`",
        )
    if experiment.selection is not None and experiment.selection.on == "non_members":
        why = "the non-members of a model are canaries; use `on: held_out`"
        yield ("selection", "on"), why
    for name, attack in experiment.membership.attacks.items():
        enough = _enough_coins(_of_each_kind(experiment, attack))
        if experiment.design.num_models < enough:
            yield (
                ("membership", "attacks", name),
                f"{attack.name} needs models with and without each canary, and coins give so few "
                f"models too few of one kind; use design.num_models: {enough} or more, or an "
                "attack that needs no such models, as `threshold` does",
            )
        if attack.needs().itself:
            yield (
                ("membership", "attacks", name),
                f"{attack.name} is told coins of canaries to guess those of others, and a bound on "
                "epsilon holds for guesses that know none; use `design.name: pairs` for it",
            )
    if experiment.sweep is not None:
        yield ("sweep",), "its settings are compared by halves of the pool; use `name: pairs`"


def _of_each_kind(experiment: Fields, attack: MembershipAttack) -> int:
    """How many other models with an example an attack needs, or without, whichever are more."""
    needs = attack.needs(len(attack.views or experiment.answers.names))
    return max(needs.inside, needs.outside)


def _enough_coins(of_each_kind: int) -> int:
    """The models among which a coin each leaves a target enough others of each kind; 0: of none.

    At least 32, and so many that one canary in 67 million has too few others that hold it.
    """
    if not of_each_kind:
        return 0
    num_models = 32
    while 67_000_000 * _fewer_heads(num_models - 1, of_each_kind) > 2 ** (num_models - 1):
        num_models += 1
    return num_models


def _fewer_heads(coins: int, than: int) -> int:
    """In how many ways so many coins show fewer heads than some number."""
    return sum(math.comb(coins, heads) for heads in range(than))


def _of_workers(experiment: Fields) -> Iterator[Fault]:
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
    for at, training in _trainings(experiment).items():
        if training.batch_size < 2 * workers:
            yield (
                (*at, "batch_size"),
                f"a batch of {training.batch_size} leaves fewer than two examples to each of "
                f"the {workers} workers of a Run",
            )


def _of_schedules(experiment: Fields) -> Iterator[Fault]:
    """Parts of a schedule that training would never come to."""
    for at, training in _trainings(experiment).items():
        schedule, epochs = training.schedule, training.epochs
        warmup, milestones = schedule.warmup_epochs, schedule.milestones
        if warmup > epochs or (warmup == epochs and schedule.name == "cosine"):
            longer = "is longer than" if warmup > epochs else "leaves cosine none of"
            yield (
                (*at, "schedule", "warmup_epochs"),
                f"a warm-up of {warmup:g} epochs {longer} the {epochs} of training; shorten it, "
                "or train for more epochs",
            )
        elif never := [m for m in milestones if not warmup < m < epochs]:
            yield (
                (*at, "schedule", "milestones"),
                f"expected epochs above {warmup:g} (the warm-up) and below {epochs} (the epochs of "
                f"training), at which lr is multiplied; got {', '.join(f'{m:g}' for m in never)}. "
                "Leave these out; without any, `name: constant` and `milestones: []`",
            )


def _trainings(experiment: Fields) -> dict[tuple[str, ...], Training]:
    """The experiment's recipe, and those of its arms that differ from it, by where they stand."""
    return {("training",): experiment.training} | {
        ("arms", name, "training"): arm.training
        for name, arm in experiment.arms.items()
        if arm.training != experiment.training
    }


def _of_defenses(experiment: Fields) -> Iterator[Fault]:
    for name, arm in experiment.arms.items():
        at = ("arms", name, "defense")
        if arm.defense.one_worker and experiment.fleet.workers_per_run > 1:
            yield (
                at,
                f"{arm.defense.name} needs a whole batch in one worker; use "
                "fleet.workers_per_run: 1",
            )
        augment = experiment.data.augment
        if arm.defense.copies > 1 and not augment.flip and not augment.crop_padding:
            yield (
                at,
                f"a step would show each example {arm.defense.copies} times (`augmentations`) and "
                "all of them alike, since data.augment changes nothing; add `data.augment: "
                "{crop_padding: 4, flip: true}`, or leave out `augmentations`",
            )
        if arm.defense.per_example_steps and arm.training.precision == "bf16":
            yield (
                at,
                f"{arm.defense.name} clips each example's gradient, which needs fp32; use "
                "training.precision: fp32 or auto for this arm",
            )


def _of_checkpoints(experiment: Fields) -> Iterator[Fault]:
    for name, arm in experiment.arms.items():
        if arm.checkpoint == "best" and experiment.selection is None:
            yield (
                ("arms", name, "checkpoint"),
                "the best epoch is found on a selection of images, and there is none; add "
                "`selection: {}`",
            )


def _of_membership(experiment: Fields) -> Iterator[Fault]:
    attacks = experiment.membership.attacks
    for name in experiment.membership.combine or ():
        if name not in attacks:
            yield ("membership", "combine"), unknown("membership attack", name, attacks)
    for name, attack in experiment.membership.attacks.items():
        at = ("membership", "attacks", name)
        needed, there = _of_each_kind(experiment, attack), experiment.design.num_models // 2 - 1
        if experiment.design.name == "pairs" and needed > there:
            yield (
                at,
                f"{attack.name} needs {needed} other models trained on each example, or as many "
                f"that are not, and {experiment.design.num_models} models leave a target {there} "
                f"of each; use design.num_models: {2 * needed + 2} or more",
            )
        needs = attack.needs(len(attack.views or experiment.answers.names))
        if experiment.design.name == "quarters" and (needs.inside or needs.outside > 1):
            kinds = {"with": needs.inside, "without": needs.outside}
            wanted = " and ".join(f"{num} trained {kind}" for kind, num in kinds.items() if num)
            yield (
                at,
                f"{attack.name} needs other models of each example, {wanted} it, and `design.name: "
                "quarters` gives a target one shadow model, trained without any that it is judged "
                "on; use `pairs` for it, or an attack that makes do with such a one or none, as "
                "shadow_mlp, threshold, and rmia with `mode: offline` do",
            )
        left_out = 1 if experiment.design.name == "canaries" else 2  # the target, and its partner
        num_models = experiment.design.num_models
        given = 1 if experiment.design.name == "quarters" else num_models - left_out
        if (attack.needs().num_shadows or 0) > given:
            yield (
                (*at, "num_shadows"),
                f"the design gives a target {given} shadow models; ask for no more, or use a "
                "design with more",
            )
        strange = [v for v in attack.views or () if v not in experiment.answers.names]
        if strange:
            yield (*at, "views"), unknown("view", strange[0], experiment.answers.names)
        if attack.reads == "view_logits" and experiment.answers.logits != "all":
            yield (
                at,
                f"{attack.name} reads the logits of every view, and models are asked for those of "
                "the plain image; add `answers.logits: all`",
            )
        if attack.views is not None and not attack.by_view:
            of = "logits" if attack.reads == "logits" else "losses"
            yield (*at, "views"), f"{attack.name} reads the {of} of the plain image, and no views"
        without = [n for n, arm in experiment.arms.items() if not arm.training.loss_trace]
        if attack.reads == "loss_trace" and without:
            yield (
                at,
                f"{attack.name} reads the losses that a training keeps after each epoch, and that "
                f"of {', '.join(without)} keeps none; add `training.loss_trace: true`, with which "
                "the models are trained anew",
            )
        shadow_arm = attack.needs().shadow_arm
        if shadow_arm is not None and shadow_arm not in experiment.arms:
            yield (*at, "shadow_arm"), unknown("arm", shadow_arm, experiment.arms)


def _of_memorization(experiment: Fields) -> Iterator[Fault]:
    chosen = experiment.memorization
    if chosen is None:
        return
    for key in ("classes", "num_examples"):
        if chosen.file is not None and getattr(experiment.data, key) is not None:
            yield (
                ("data", key),
                f"memorization.file is of the whole data, in the order of their file; leave out "
                f"`{key}`, or give memorization.arm in place of a file",
            )
    attacks = experiment.membership.attacks
    for key, known in (("arm", experiment.arms), ("attack", attacks)):
        value = getattr(chosen, key)
        if value is not None and value not in known:
            kind = "arm" if key == "arm" else "membership attack"
            yield ("memorization", key), unknown(kind, value, known)
    if experiment.design.name != "pairs":
        yield (
            ("memorization",),
            "scores compare models trained with and without each example, as `design.name: pairs` "
            "has them",
        )
    elif chosen.arm is not None and experiment.design.num_models < 8:
        yield (
            ("memorization", "arm"),
            f"half of the models give the scores, and {experiment.design.num_models} are too few "
            "to be halved; use design.num_models >= 8",
        )


def _of_vulnerable(experiment: Fields) -> Iterator[Fault]:
    attack, attacks = experiment.vulnerable.attack, experiment.membership.attacks
    if attack is not None and attack not in attacks:
        yield ("vulnerable", "attack"), unknown("membership attack", attack, attacks)


def _of_report(experiment: Fields) -> Iterator[Fault]:
    known = {key for arm in experiment.arms.values() for key in dials(arm.defense)}
    for key in ("against", "by"):
        value = getattr(experiment.report, key)
        if value is not None and value not in known:
            yield ("report", key), unknown("number of these defenses", value, known)
    if experiment.report.baseline is not None and experiment.report.baseline not in experiment.arms:
        yield ("report", "baseline"), unknown("arm", experiment.report.baseline, experiment.arms)


def _of_comparisons(experiment: Fields) -> Iterator[Fault]:
    for i, pair in enumerate(experiment.comparisons or ()):
        at = ("comparisons", str(i))
        for name in pair:
            if name not in experiment.arms:
                yield at, unknown("arm", name, experiment.arms)
        if pair[0] == pair[1]:
            yield at, f"{pair[0]} is compared with itself; name two arms"
        if set(pair) in map(set, (experiment.comparisons or ())[:i]):
            yield at, f"{pair[0]} and {pair[1]} are compared before; leave one of the two out"


SWEPT = ("model", "training", "arms", "answers", "robustness", "membership")


def _of_sweep(experiment: Fields) -> Iterator[Fault]:
    sweep = experiment.sweep
    if sweep is None:
        return
    for key, arm in {"arm": sweep.arm, "base": sweep.base}.items():
        if arm is not None and arm not in experiment.arms:
            yield ("sweep", key), unknown("arm", arm, experiment.arms)
    if sweep.base == sweep.arm:
        yield ("sweep", "base"), "it is the arm itself, which would only be compared with itself"
    keys = [dotted for key, axis in sweep.axes.items() for dotted in (key, *axis.also)]
    for dotted in sorted({dotted for dotted in keys if keys.count(dotted) > 1}):
        why = f"{dotted} is set more than once in a setting; leave it to one axis"
        yield ("sweep", "axes"), why
    if sweep.base is None and "constraint" in sweep.model_fields_set:
        yield ("sweep", "constraint"), "it measures from a base; name an arm as `base`"
    for key, axis in sweep.axes.items():
        for dotted in (key, *axis.also):
            yield from _of_axis(experiment, key, dotted.split("."))
    sought, at = sweep.objectives, ("sweep", "objectives")
    attacks = {"robustness": experiment.robustness, "membership": experiment.membership}
    for key, block in attacks.items():
        name = getattr(sought, key)
        if name is not None and name not in block.attacks:
            kind = "evasion attack" if key == "robustness" else "membership attack"
            yield (*at, key), unknown(f"{kind} of this experiment", name, block.attacks)
    rates = experiment.membership.false_positive_rates
    if sought.false_positive_rate is not None and sought.false_positive_rate not in rates:
        yield (
            (*at, "false_positive_rate"),
            f"{sought.false_positive_rate:g} is not among membership.false_positive_rates "
            f"({', '.join(f'{rate:g}' for rate in rates)}); add it there, use one of them, or null "
            "for the AUC",
        )


def _of_axis(experiment: Fields, axis: str, parts: list[str]) -> Iterator[Fault]:
    at, dotted = ("sweep", "axes", axis), ".".join(parts)
    if parts[0] not in SWEPT:
        yield (
            at,
            f"{dotted} has to be the same for all settings, or they would share no splits and no "
            f"models; an axis begins with one of {', '.join(SWEPT)}",
        )
    elif parts[0] == "arms" and len(parts) < 3:
        yield at, f"{dotted}: an axis goes to a key of an arm, such as arms.<name>.defense.<key>"
    elif parts[0] == "arms" and parts[1] not in experiment.arms:
        yield at, unknown("arm", parts[1], experiment.arms)
    elif not all(parts):
        yield at, f"expected dotted keys, got {dotted!r}"
