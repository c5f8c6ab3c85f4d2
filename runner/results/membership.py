"""What one attack finds in the models of an arm, from judged scores."""

from typing import Any

import numpy as np

from attacks.epsilon import epsilon_lower_bound, largest_certifiable
from attacks.membership import MembershipAttack
from runner.audit.judged import Judged
from runner.experiment.judging import AuditSettings
from runner.statistics import metrics
from runner.statistics.averages import Averaging
from runner.statistics.intervals import Interval, clopper_pearson


def membership_figures(
    judged: Judged,
    attack: MembershipAttack | None,
    arm: str,
    settings: AuditSettings,
    over: Averaging,
) -> dict[str, Any]:
    """Return AUC, TPR at each FPR, and the mean ROC of one attack; docs/results_schema.md.

    Args:
        attack: None: several of them together.
    """
    num_negatives, rule = int(judged.num_out.min()), settings.membership.tpr_rule
    bands = [over.mean(column) for column in judged.roc.T]
    of_arm = arm if attack and attack.per_target and not attack.needs().itself else None
    shadow_arm = attack and (attack.needs().shadow_arm or of_arm)
    return {
        "auc": over.leakage(judged.auc, judged.resampled[:, :, 0])._asdict(),
        "tpr_at_fpr": {
            f"{rate:g}": {
                **over.leakage(judged.tpr[:, f], judged.resampled[:, :, 1 + f])._asdict(),
                **negatives(rate, num_negatives, rule),
            }
            for f, rate in enumerate(judged.rates)
        },
        "pooled": _pooled(judged),
        "at_shadow_thresholds": _at_shadow_thresholds(judged, settings.membership.prior, over),
        "roc": {
            "fpr": metrics.roc_grid().tolist(),
            "tpr": [band.mean for band in bands],
            "low": [band.low for band in bands],
            "high": [band.high for band in bands],
        },
        "shadow_arm": shadow_arm,
        **(_decisions(judged, settings, over) if attack and attack.calibrated else {}),
    }


def predictive_value(
    true: np.ndarray, false: np.ndarray, num_negatives: int, prior: float, over: Averaging
) -> Interval | None:
    """Return the share of members among those called members, where members are few to begin with.

    Of the mean rates over models, p t / (p t + (1 - p) f), with an interval by the delta method:
    each model's rates move it along its tangent, and those values are averaged as any figure is.
    It is never narrower than what the Clopper-Pearson ends of the FPR give, over the non-members
    of all models: of few false positives the models' spread says too little.

    Args:
        true: (M,) TPR of each model at its threshold.
        false: (M,) FPR.
        num_negatives: of all models.
        prior: p, the share of members among those that an attacker looks at.
        over: how figures are averaged.

    Returns:
        None where nobody is called a member.
    """
    t, f = over.mean(true).mean, over.mean(false).mean
    called = prior * t + (1 - prior) * f
    if not called:
        return None
    slope = prior * (1 - prior) / called**2
    found = over.mean(prior * t / called + slope * (f * (true - t) - t * (false - f)))
    few, most = clopper_pearson(round(f * num_negatives), num_negatives)
    low, high = (prior * t / (prior * t + (1 - prior) * rate) for rate in (most, few))
    return found._replace(low=min(found.low, float(low)), high=max(found.high, float(high)))


def negatives(rate: float, num_negatives: int, rule: metrics.Rule) -> dict[str, Any]:
    """Return how many non-members a TPR is over, and whether its rate and rule admit none of them.

    `interp` always admits some of the first one: a randomised threshold has any rate.
    """
    smallest = metrics.smallest_fpr(num_negatives)
    zero = bool(rate < smallest if rule == "step_le" else rate <= smallest and rule == "step_lt")
    return {"num_negatives": num_negatives, "at_zero_false_positives": zero}


def _pooled(judged: Judged) -> dict[str, Any]:
    """One threshold for the scores of all targets, whose ROC curve is one."""
    curve = judged.pooled
    return {
        "auc": curve.auc,
        "tpr_at_fpr": {
            f"{rate:g}": {
                "tpr": curve.tpr_at_fpr(rate),
                **negatives(rate, curve.num_negatives, "step_le"),
            }
            for rate in judged.rates
        },
        "roc": {"fpr": metrics.roc_grid().tolist(), "tpr": curve.on_grid().tolist()},
    }


def _at_shadow_thresholds(
    judged: Judged, prior: float, over: Averaging
) -> dict[str, dict[str, Any]] | None:
    """The rates really reached where other models set the threshold; None where there are none."""
    if np.isnan(judged.shadow_threshold).any():
        return None
    found = {}
    for f, rate in enumerate(judged.rates):
        true = judged.shadow_true[:, f] / judged.num_in
        false = judged.shadow_false[:, f] / judged.num_out
        some = int(judged.num_out[over.models].sum())
        found[f"{rate:g}"] = {
            "fpr": over.mean(false)._asdict(),
            "tpr": over.mean(true)._asdict(),
            "ppv": _dict(predictive_value(true, false, some, prior, over)),
            "prior": prior,
        }
    return found


def _decisions(judged: Judged, settings: AuditSettings, over: Averaging) -> dict[str, Any]:
    """Precision and recall where a probability at or above a threshold means "member".

    And the largest epsilon that the same decisions bear out: the thresholds are fixed beforehand,
    so it is corrected for their number.
    """
    thresholds, delta = settings.membership.thresholds, settings.guarantee.delta
    sizes = list(zip(judged.num_in.tolist(), judged.num_out.tolist(), strict=True))
    counts = list(zip(judged.called_in.tolist(), judged.called_out.tolist(), strict=True))
    epsilon = [
        max(
            epsilon_lower_bound(true, num_in, false, num_out, delta, num_thresholds=len(thresholds))
            for true, false in zip(*called, strict=True)
        )
        for (num_in, num_out), called in zip(sizes, counts, strict=True)
    ]
    called = judged.called_in + judged.called_out
    precision = np.full(called.shape, np.nan)
    np.divide(judged.called_in, called, out=precision, where=called > 0)
    largest = max(largest_certifiable(*size, delta) for size in sizes)
    return {
        "thresholds": {
            f"{threshold:g}": {
                "precision": _dict(over.mean_where_defined(precision[:, t])),
                "recall": over.mean(judged.called_in[:, t] / judged.num_in)._asdict(),
            }
            for t, threshold in enumerate(thresholds)
        },
        "epsilon_lower_bound": {
            **over.mean(np.maximum(epsilon, 0), (0.0, float(largest)))._asdict(),
            "delta": delta,
            "largest": float(largest),
        },
    }


def _dict(interval: Interval | None) -> dict[str, Any] | None:
    return interval and interval._asdict()
