"""results.json, key by key: the same for our models and for given answers.

docs/results_schema.md says what the keys hold. What the scores tell is read here; the rest is
handed in, block by block.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from runner.audit.judged import Judged, read_judged
from runner.code.commit import git_commit
from runner.code.record import code_facts
from runner.driver.events import Event
from runner.experiment.describe import one_line
from runner.plan.subject import Subject
from runner.results._epsilon import alarms
from runner.results._ties import tied_warnings
from runner.results.ceilings import ceiling_check
from runner.results.checks import (
    NULL_TOLERANCE,
    Check,
    count_check,
    null_check,
    null_control,
    one_of_each,
    warnings_of,
)
from runner.results.comparisons import differences
from runner.results.membership import membership_figures
from runner.results.provenance import as_yaml, devices_of, made_by, without_hosts
from runner.results.several import changed_places, overlap_figures, strongest_figures
from runner.results.verdict import verdict
from runner.results.verdict.best import best
from runner.results.verdict.evidence import Evidence
from runner.results.verdict.forbidden import MEANS
from runner.results.versions import versions
from runner.statistics.intervals import Interval, mean_interval
from runner.storage.cloud import Folder
from runner.storage.scores import Reading

Nulls = Mapping[tuple[str, str], Interval]  # by arm and attack, the AUC on random membership


class ArmBlocks(NamedTuple):
    """What a source of figures says of one arm."""

    defense: str
    recipe: Mapping[str, str]
    checkpoint: str
    guarantee: Mapping[str, Any] | None
    once: Mapping[str, Any]  # accuracies and whatever follows from attacks, by one draw
    averaged: Mapping[str, Any] | None = None  # the same by the mean over `draws`
    draws: int = 1
    dials: Mapping[str, float] = {}
    randomized: bool = False
    overstated: Sequence[str] = ()  # attacks that take one draw of a randomized model
    remarks: Sequence[str] = ()
    ceiling: Mapping[str, Any] | None = None  # None: nothing is proved, and there is no such key
    train_time_s: Mapping[str, Any] | None = None  # None: nobody knows, and there is no such key


class Blocks(NamedTuple):
    """What a source of figures hands in; a block that it cannot have is None."""

    data: Mapping[str, Any]  # name, classes, pool, augment
    num_test: int
    design: Mapping[str, Any]
    on: str  # which images robust accuracy is of
    num_attacked: int
    views: Mapping[str, Sequence[str]]  # that each membership attack reads, if it reads views
    arms: Mapping[str, ArmBlocks]
    vulnerable: Mapping[str, Any] | None  # the examples at risk of each arm; None: nobody looked
    comparisons: Sequence[Mapping[str, Any]]
    accuracies: Mapping[str, Mapping[str, np.ndarray]]  # (M,), by arm and measure, by most draws
    checks: Sequence[Check]
    runs: Mapping[str, int]  # how many models this command `trained` and `reused`
    report: Mapping[str, str | None]
    robustness: Mapping[str, str] = {}  # each attack in a line
    adversarial: Sequence[str] = ()  # names of the adversarial views
    selection: Mapping[str, Any] | str | None = None
    memorization: Mapping[str, Any] | None = None
    epsilon: Mapping[str, Any] | None = None
    notes: Sequence[str] = ()  # further warnings
    config: Mapping[str, Any] = {}  # as it was resolved
    made_on: Mapping[str, Any] = {}  # as `provenance.devices_of` tells it


def results_json(
    work: Subject, judged: Folder, blocks: Blocks, events: Sequence[Event] = ()
) -> dict[str, Any]:
    """Return what results.json holds.

    Args:
        judged: the folder that `runner.audit.judge.judge` returned.
        events: what went wrong on the way, passed through.

    Raises:
        Corrupt: something that was finished cannot be read any more.
    """
    settings, plan = work.settings, work.plan
    membership = settings.membership
    aucs = {
        (arm, attack): read_judged(judged, Reading(arm, 1, attack, "null")).auc
        for arm in plan.arms
        for attack in membership.readings
    }
    nulls = {key: work.over.mean(values) for key, values in aucs.items()}
    arms = {name: _arm(work, judged, name, blocks, nulls) for name in plan.arms}
    member = plan.member[:, one_of_each(plan)]
    checks = [null_check(nulls), count_check(member, plan.partner, plan.even), *blocks.checks]
    checks += ceiling_check(arms)
    results = {
        "experiment": settings.name,
        "description": settings.description,
        "seed": settings.seed,
        "data": {
            **blocks.data,
            "num_pool": plan.member.shape[1],
            "num_test": blocks.num_test,
            "num_members": int((plan.member == 1).sum(1).max()),
            "num_negatives": plan.num_negatives,
        },
        "design": blocks.design,
        "evaluation": {
            "on": blocks.on,
            "num_examples": blocks.num_attacked,
            "tpr_rule": settings.membership.tpr_rule,
        },
        "report": blocks.report,
        "attacks": {
            "robustness": blocks.robustness,
            "membership": {
                name: one_line(attack)
                if attack
                else f"mean rank of {', '.join(membership.combined)}"
                for name, attack in membership.readings.items()
            },
            "alone": [
                name for name, attack in membership.readings.items() if attack and attack.alone
            ],
            "views": {name: [*views] for name, views in blocks.views.items()},
            "adversarial": [*blocks.adversarial],
        },
        "selection": blocks.selection,
        "averages": settings.averages.model_dump(),
        "arms": arms,
        "comparisons": [*blocks.comparisons],
        "places": changed_places(work, judged),
        "memorization": blocks.memorization,
        "epsilon": blocks.epsilon,
        "runs": dict(blocks.runs),
        "events": without_hosts(events, work.folder),
        "null_control": {**_null_of_all(work, aucs), "tolerance": NULL_TOLERANCE},
        "guards": [check._asdict() for check in checks],
        "warnings": [
            *warnings_of(checks),
            *_overstated(blocks.arms),
            *_doubtful(blocks.arms),
            *tied_warnings(_judged(work, judged), work.over, settings.membership.tpr_rule),
            *alarms(blocks.epsilon),
            *blocks.notes,
        ],
        "provenance": {
            **made_by(work.folder),
            **(blocks.made_on or devices_of([])),
            "config": as_yaml(blocks.config),
        },
        "git_commit": git_commit(),
        "code": code_facts(work.code),
        "versions": versions(),
    }
    draws = {name: max(1, arm.draws) for name, arm in blocks.arms.items()}
    apart = differences(work, judged, draws, blocks.accuracies)
    num_units = len(np.unique(work.over.units()))
    evidence = Evidence(results, num_units, apart)
    return {**results, "best": best(evidence), "came_out": verdict(evidence)}


def _arm(work: Subject, judged: Folder, name: str, blocks: Blocks, nulls: Nulls) -> dict[str, Any]:
    """One arm, by one draw of its models' noise and by the mean over several."""
    arm, attacks = blocks.arms[name], work.settings.membership.readings
    controls = {attack: null_control(nulls[name, attack]) for attack in attacks}

    def figures(draws: int, told: Mapping[str, Any]) -> dict[str, Any]:
        membership = {
            attack: membership_figures(
                read_judged(judged, Reading(name, draws, attack, "member")),
                chosen,
                name,
                work.settings,
                work.over,
            )
            for attack, chosen in attacks.items()
        }
        several = {
            "strongest": strongest_figures(work, judged, name, draws),
            "overlap": overlap_figures(work, judged, name, draws),
        }
        return {"draws": draws, **told, **several, "membership": membership}

    return {
        "defense": arm.defense,
        "recipe": arm.recipe,
        "dials": arm.dials,
        "randomized": arm.randomized,
        "checkpoint": arm.checkpoint,
        **figures(1, arm.once),
        "averaged": figures(arm.draws, arm.averaged) if arm.averaged else None,
        "overstated": [*arm.overstated],
        "guarantee": arm.guarantee,
        **({"ceiling": arm.ceiling} if arm.ceiling else {}),
        "remarks": [*arm.remarks],
        "null_controls": controls,
        **({"train_time_s": arm.train_time_s} if arm.train_time_s else {}),
        "null_control": controls[next(iter(attacks))],
        "vulnerable": blocks.vulnerable and blocks.vulnerable[name],
    }


def _judged(work: Subject, judged: Folder) -> dict[tuple[str, str], Judged]:
    """What was judged of one draw, by arm and attack."""
    return {
        (arm, attack): read_judged(judged, Reading(arm, 1, attack, "member"))
        for arm in work.plan.arms
        for attack in work.settings.membership.attacks
    }


def _null_of_all(work: Subject, aucs: Mapping[tuple[str, str], np.ndarray]) -> dict[str, Any]:
    """The null control of the first attack over the models of all arms.

    Arms share splits, so the same pair of models in every arm is one unit of the interval.
    """
    arms, first = work.plan.arms, next(iter(work.settings.membership.attacks))
    mean = np.mean([aucs[arm, first] for arm in arms], axis=0)
    interval = mean_interval(mean, work.plan.partner)
    return null_control(interval._replace(num_models=len(mean) * len(arms)))


def _overstated(arms: Mapping[str, ArmBlocks]) -> list[str]:
    """Robust accuracies that an attack averaging over the model's noise would lower."""
    found = {name: arm.overstated for name, arm in arms.items() if arm.overstated}
    if not found:
        return []
    which = "; ".join(f"{name}: {', '.join(attacks)}" for name, attacks in found.items())
    return [
        f"robust accuracy is overstated where an attack does not average over the noise of a "
        f"randomized model ({which}); give the attack `draws`, or use autoattack `version: rand`"
    ]


def _doubtful(arms: Mapping[str, ArmBlocks]) -> list[str]:
    """Robust accuracies that a sanity check of their attack speaks against."""
    failed: dict[str, list[str]] = {}
    for name, arm in arms.items():
        for check, why in MEANS.items():
            if ((arm.once.get("sanity") or {}).get(check) or {}).get("verdict") == "fail":
                failed.setdefault(why, []).append(name)
    return [
        f"robust accuracy under PGD is not to be trusted ({', '.join(names)}): {why}"
        for why, names in failed.items()
    ]
