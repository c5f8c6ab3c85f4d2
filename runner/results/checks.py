"""What is checked in every run before its privacy figures may be believed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from attacks.membership import MembershipAttack
from runner.data import Dataset
from runner.plan.plan import Plan, Run
from runner.plan.shadows import EvenShadows
from runner.plan.work import Work
from runner.results._blind import blind_aucs
from runner.results._design import best_aucs, chance_errors, count_aucs
from runner.results.twins import TOLERATED, find_twins
from runner.statistics.intervals import Interval, mean_interval
from runner.storage import store
from runner.storage.answers import Sources, read_views

Verdict = Literal["pass", "fail", "undecided", "unknown"]

NULL_TOLERANCE = 0.02  # how far from 0.5 the AUC of a control may lie
NO_TWINS = "examples have no twins"
ERRORS = 5  # standard errors within which an AUC of counts may be chance
MOST_UNSEEN = 0.1  # above 0.5, of an AUC that a check for it may miss
MOST_DEPENDENCE = 1e-3  # of answers on their batch, as a share of the largest logit


class Check(NamedTuple):
    """One check: a failed one marks the report."""

    name: str
    verdict: Verdict
    says: str  # what was found, in a sentence or two


def checks_of(work: Work) -> list[Check]:
    """Return the checks of our own models; those of the null matrix are made of any.

    Raises:
        Corrupt: answers cannot be read.
    """
    experiment, plan, alone = work.experiment, work.plan, one_of_each(work.plan)
    ids = {name: experiment.questions(name).answers_id for name in plan.arms}
    asked = {
        name: [store.facts(work.store.answers(run.id, ids[name])) for run in runs]
        for name, runs in plan.arms.items()
    }
    return [
        eval_check(asked),
        recipe_check(plan, experiment.membership.attacks),
        blind_check(
            plan.member[:, alone], plan.partner, work.labels[alone], work.dataset.pool_images[alone]
        ),
        Check(NO_TWINS, "unknown", "not looked at: canaries are planted, some of them to be alike")
        if experiment.design.canaries
        else twins_check(work.dataset, judged=np.any(plan.member >= 0, axis=0)),
        views_check(work.sources),
    ]


def one_of_each(plan: Plan) -> np.ndarray | slice:
    """Return the place of one example of each group, or all places where examples stand alone.

    What is no group's fellow is drawn independently, as chance is reckoned of.
    """
    if plan.groups is None:
        return slice(None)
    return np.sort(np.unique(plan.groups, return_index=True)[1])


def null_verdict(auc: Interval) -> Verdict:
    """Return the verdict on the AUC of an attack on membership that no model was trained on.

    It passes when its whole interval is within 0.5 +- NULL_TOLERANCE, fails when none of it is,
    and is undecided in between, where more models would tell.
    """
    low, high = 0.5 - NULL_TOLERANCE, 0.5 + NULL_TOLERANCE
    if low <= auc.low and auc.high <= high:
        return "pass"
    return "fail" if auc.high < low or auc.low > high else "undecided"


def null_control(auc: Interval) -> dict[str, Any]:
    """Return a null control as results.json has it."""
    return {"auc": auc._asdict(), "verdict": null_verdict(auc)}


def null_check(nulls: Mapping[tuple[str, str], Interval]) -> Check:
    """Every attack under a member matrix drawn anew, which no model was trained on."""
    verdicts: dict[tuple[str, str], Verdict] = {k: null_verdict(auc) for k, auc in nulls.items()}
    far = max(nulls, key=lambda key: abs(nulls[key].mean - 0.5))
    failed = [f"{attack} on {arm}" for (arm, attack), v in verdicts.items() if v == "fail"]
    auc = nulls[far]
    told = (
        f"the AUC of {far[1]} on {far[0]}, the farthest from 0.5 of {len(nulls)}, is "
        f"{auc.mean:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    )
    if failed:
        told += f"; outside 0.50 ± {NULL_TOLERANCE:.2f} altogether: {', '.join(failed)}, so the "
        told += "design or the attack leaks membership by itself"
    verdict = _worst(verdicts.values())
    return Check("a redrawn member matrix gives chance", verdict, told)


def count_check(member: np.ndarray, partner: np.ndarray, even: EvenShadows | None = None) -> Check:
    """Whether the number of members among a target's shadows gives the target's away."""
    aucs = count_aucs(member, partner, even)
    auc = mean_interval(aucs, partner)
    low, high = float(aucs.min()), float(aucs.max())
    verdict, errors = null_verdict(auc), chance_errors(member)
    together = errors.mean() * np.sqrt(2 / len(errors))  # two rows meet in the AUCs of both
    if (abs(aucs - 0.5) > NULL_TOLERANCE + ERRORS * errors).any():
        verdict = "fail"  # alone: some targets may leak one way and others the other
    elif verdict == "fail" and abs(auc.mean - 0.5) < ERRORS * together:
        verdict = "undecided"
    told = (
        "how few of a target's shadows hold an example tells its membership with an AUC of "
        f"{auc.mean:.3f}, from {low:.3f} to {high:.3f} over the targets"
    )
    best = float(best_aucs(member, partner, even).max())
    if best > max(0.5 + ERRORS * errors.max(), high) + NULL_TOLERANCE:
        verdict = "fail"
        told = (
            "how many of a target's shadows hold an example, and how many do not, tells its "
            f"membership with an AUC of up to {best:.3f}; audit apart those examples that are in "
            "other numbers of models, and judge the same examples in all models"
        )
    elif verdict == "fail":
        told += "; rows that complement the target's must be left out, or drawn independently"
    elif even is not None:
        told += f": {even.told(member)}"
    return Check("the shadows' membership does not give the target away", verdict, told)


def blind_check(
    member: np.ndarray, partner: np.ndarray, labels: np.ndarray, images: np.ndarray | None
) -> Check:
    """Whether a classifier that sees no model tells members from others, as no design lets it.

    Args:
        images: (N, channels, H, W) uint8; None: there are none, and class and place are looked at.
    """
    name = "members are not told without a model"
    blind = blind_aucs(member, partner, labels, images)
    by = f"the class{'' if images is None else ', the image'} and the place in the file"
    if not len(blind.aucs):
        return Check(name, "unknown", "the targets have too few members or others to learn from")
    most = blind.needed.max()
    told = (
        f"by {by} alone a classifier tells the members of {len(blind.aucs)} targets with an AUC of "
        f"up to {blind.aucs.max():.3f}; "
        + (
            f"it would be told from chance from {most:.3f} on"
            if most < 1
            else "of so few examples none would be told from chance"
        )
    )
    if (blind.aucs > blind.needed).any():
        why = "members and others differ by more than membership, so figures of attacks overstate "
        return Check(name, "fail", f"{told}: {why}what a model gives away; draw members at random")
    if images is None:
        return Check(name, "unknown", f"{told}; there are no images to look at")
    unseen = most > 0.5 + MOST_UNSEEN
    return Check(name, "undecided" if unseen else "pass", told)


def eval_check(asked: Mapping[str, Sequence[Any]]) -> Check:
    """Whether an image is answered alike in another batch, as BatchNorm in eval mode does."""
    name = "an answer does not depend on its batch"
    found = [f.get("batch_dependence") for facts in asked.values() for f in facts]
    known = [dependence for dependence in found if dependence is not None]
    if not known:
        told = "all models are randomized, so two answers differ by their noise; models are asked "
        return Check(name, "unknown", told + "in eval mode")
    most = float(np.max(known))  # NaN stays NaN, and fails
    told = f"in another batch, logits moved by at most {most:.1g} of the largest"
    if len(known) < len(found):
        told += f" ({len(found) - len(known)} randomized models differ by their noise, and are not "
        told += "compared)"
    return Check(name, "pass" if most <= MOST_DEPENDENCE else "fail", told)


def recipe_check(plan: Plan, attacks: Mapping[str, MembershipAttack]) -> Check:
    """Whether the attacker's shadows are trained as the target is."""
    name = "target and shadows share a recipe"
    resolved = []
    for arm, runs in plan.arms.items():
        for other, run in enumerate(runs):
            if keys := _differing(runs[0], run):
                told = f"models 0 and {other} of {arm} differ in {', '.join(keys)}"
                return Check(name, "fail", told)
        resolved += [arm] if any(run.defense != runs[0].defense for run in runs) else []
    told = "the models of an arm differ in their members and seeds alone"
    if resolved:
        told += f"; those of {', '.join(resolved)} in the noise that their number of members takes"
    foreign = {
        f"{attack} has the models of {arm} for shadows"
        for attack, chosen in attacks.items()
        if (arm := chosen.needs().shadow_arm)
    }
    if foreign:
        told += "; as asked, " + ", ".join(sorted(foreign))
    return Check(name, "pass", told)


def twins_check(dataset: Dataset, judged: np.ndarray) -> Check:
    """Whether examples of the pool have twins, whose membership answers for theirs."""
    twins = find_twins(dataset.pool_images, judged)
    num_judged = int(judged.sum())
    share = len(twins.near) / num_judged
    told = f"{len(twins.exact):,} of {num_judged:,} examples have an exact duplicate in the pool"
    if not dataset.tabular:
        told += f", {len(twins.near):,} one within {twins.radius:g} grey levels (root mean square)"
    if len(twins.near):
        told += f" (such as {', '.join(map(str, twins.near[:5]))})"
    if share > TOLERATED:
        told += "; a member's twin among the non-members is answered like a member, so leakage is "
        told += "understated, and memorization too"
    return Check(NO_TWINS, "fail" if share > TOLERATED else "pass", told)


def views_check(sources: Sources) -> Check:
    """Whether all models of an arm were asked about the same views of the same examples."""
    name = "all models were asked the same"
    paths = {path for of_arm in sources.values() for path in of_arm}
    for source, of_arm in sources.items():
        views = {read_views(path) for path in of_arm}
        if len(views) > 1:
            return Check(name, "fail", f"the models of {source.arm} answer {sorted(views)}")
    told = f"{len(paths)} files of answers hold the same views and labels of the same examples"
    return Check(name, "pass", told)


def warnings_of(checks: Iterable[Check]) -> list[str]:
    """Return a sentence for each check that failed."""
    return [f"failed check: {g.name}: {g.says}" for g in checks if g.verdict == "fail"]


def _differing(one: Run, other: Run) -> list[str]:
    """In which keys the recipes of two Runs differ, but for what a Run has for itself.

    The noise that a target epsilon takes follows from the number of members.
    """
    own = {"member", "seed", "selection"}
    follows = {"noise_multiplier"} if len(one.members) != len(other.members) else set()
    first, second = (_without(follows, run.recipe()) for run in (one, other))
    keys = dict.fromkeys((*first, *second))
    return [key for key in keys if key not in own and first.get(key) != second.get(key)]


def _without(keys: set[str], facts: Any) -> Any:
    """Facts without some keys, at any depth."""
    if not isinstance(facts, dict):
        return facts
    return {key: _without(keys, value) for key, value in facts.items() if key not in keys}


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    order: list[Verdict] = ["pass", "unknown", "undecided", "fail"]
    return max(verdicts, key=order.index)
