"""Every membership attack on the same answers of real models, by how many shadows it has.

    python -m runner run configs/audits/attacks_digits.yaml
    python benchmarks/attacks_by_shadows.py configs/audits/attacks_digits.yaml --out docs

The experiment trains 66 models in complementary pairs. At S shadows the pairs are dealt into groups
of S + 2 models, and within a group every model is a target whose shadows are all others but its
partner. So all 66 models (64 where groups do not divide them) are targets at every S, of the same
answers. Intervals are Student's t over pairs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

from attacks.membership import Examples, MembershipAttack, by_halves
from attacks.membership.info_rmia import InfoRMIA
from attacks.membership.label_only import LabelOnly
from attacks.membership.lira import Lira
from attacks.membership.loss_trace import LossTrace
from attacks.membership.pmia import PMIA
from attacks.membership.quantile import Quantile
from attacks.membership.rmia import RMIA
from attacks.membership.shadow_mlp import ShadowMLP
from attacks.membership.threshold import Threshold
from runner.experiment import config
from runner.experiment.experiment import Experiment
from runner.plan.work import prepare
from runner.report import style
from runner.statistics.intervals import Interval, mean_interval
from runner.statistics.metrics import auc, roc, tpr_at_fpr
from runner.storage.answers import Source, column_of, read_answers, read_views

SHADOWS = (4, 8, 16, 32, 64)
RATES = (0.01, 0.001)
ATTACKS: dict[str, MembershipAttack] = {
    "LiRA online, per example": Lira(variance="per_example"),
    "LiRA online, pooled": Lira(variance="pooled"),
    "LiRA online, shrunk": Lira(variance="shrunk"),
    "LiRA online, shrunk, median": Lira(variance="shrunk", centre="median"),
    "LiRA online, pooled, joint": Lira(variance="pooled", across_views="joint"),
    "LiRA online, Carlini's code": Lira(preset="lira-carlini-code", variance="per_example"),
    "LiRA online, Carlini's code, fixed": Lira(preset="lira-carlini-code", variance="total"),
    "LiRA offline, per example": Lira(mode="offline", variance="per_example"),
    "LiRA offline, pooled": Lira(mode="offline", variance="pooled"),
    "LiRA offline, shrunk": Lira(mode="offline", variance="shrunk"),
    "LiRA offline, pooled, two-sided": Lira(mode="offline", variance="pooled", sides="two"),
    "RMIA online, simple": RMIA(preset="rmia-simple", mode="online"),
    "RMIA offline, simple": RMIA(preset="rmia-simple", mode="offline"),
    "RMIA online, 2024": RMIA(preset="rmia-2024", mode="online"),
    "RMIA offline, 2024": RMIA(preset="rmia-2024", mode="offline"),
    "InfoRMIA online": InfoRMIA(mode="online"),
    "InfoRMIA offline": InfoRMIA(mode="offline"),
    "PMIA, by difficulty": PMIA(proxy="difficulty"),
    "PMIA, by class": PMIA(proxy="class"),
    "PMIA, all": PMIA(proxy="all"),
    "quantile, of logits": Quantile(features="logits"),
    "quantile, of views": Quantile(features="views"),
    "quantile, by class": Quantile(features="label"),
    "loss trace, range": LossTrace(statistic="iqr"),
    "loss trace, mean": LossTrace(statistic="mean"),
    "loss trace, range, calibrated": LossTrace(statistic="iqr", calibrate="out"),
    "loss trace, mean, calibrated": LossTrace(statistic="mean", calibrate="out"),
    "loss, global": Threshold(statistic="loss"),
    "loss, per class": Threshold(statistic="loss", per_class=True),
    "modified entropy, per class": Threshold(statistic="modified_entropy", per_class=True),
    "label only": LabelOnly(),
    "label only, calibrated": LabelOnly(calibrate="out"),
    "shadow MLP": ShadowMLP(),
}


FAMILIES = ("LiRA online", "LiRA offline", "RMIA", "PMIA", "quantile", "loss trace")
FOUND_BY = ("LiRA online, shrunk", "PMIA, by difficulty")
FOUND_AT, LOOKED_AT = 0.01, 0.05  # FPR at which members count as found; share of those looked at


class Answered(NamedTuple):
    """What the attacks are given."""

    member: np.ndarray  # (M, N) int8
    paths: list[str]
    examples: Examples


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="an experiment that has been run, of one arm")
    parser.add_argument("--storage", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder of the figure")
    parser.add_argument("--shadows", type=int, nargs="+", default=SHADOWS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    answered, name = read(given.config, given.set, given.storage)
    found = {
        attack: {s: judged(chosen, answered, s) for s in given.shadows}
        for attack, chosen in ATTACKS.items()
    }
    given.out.mkdir(parents=True, exist_ok=True)
    plain = {
        attack: {
            s: {key: list(interval) for key, interval in each.items()} for s, each in of.items()
        }
        for attack, of in found.items()
    }
    (given.out / f"{name}.json").write_text(json.dumps(plain, indent=1) + "\n")
    for quantity in ("AUC", *(f"TPR at {rate:.1%} FPR" for rate in RATES)):
        print(f"\n{quantity}\n| attack | {' | '.join(map(str, given.shadows))} |")
        print(f"| --- |{' ---: |' * len(given.shadows)}")
        for attack, of in found.items():
            cells = [told(of[s].get(quantity), 1 if quantity == "AUC" else 100) for s in of]
            print(f"| {attack} | {' | '.join(cells)} |")
    for attack, of in exposed(answered, max(given.shadows)).items():
        print(f"\nmembers that {attack} finds at {FOUND_AT:.0%} FPR, by their losses")
        print(
            f"| ranked by | AUC | found of the first {LOOKED_AT:.0%} (%) |\n| --- | ---: | ---: |"
        )
        for ranking, (area, share) in of.items():
            print(f"| {ranking} | {told(area, 1)} | {told(share, 100)} |")
    draw(found, given.out / f"{name}.svg")


def read(config_path: str, overrides: Sequence[str], storage: Path) -> tuple[Answered, str]:
    """Return the answers of the experiment's first arm."""
    path = config.locate(config_path)
    work = prepare(config.load(path, overrides, Experiment), storage)
    arm = next(iter(work.plan.arms))
    paths = work.sources[Source(arm, 1)]
    labels = work.dataset.pool_labels
    examples = Examples(np.arange(len(labels)), labels, len(labels), work.dataset.num_classes)
    return Answered(work.plan.member, paths, examples), work.experiment.name


def judged(attack: MembershipAttack, answered: Answered, shadows: int) -> dict[str, Interval]:
    """Return the figures of one attack with so many shadows; none where it cannot judge."""
    size = shadows + 2
    column = column_of(attack.reads, Source("", 1))
    figures: dict[str, list[float]] = {}
    for first in range(0, len(answered.member) - size + 1, size):
        models = np.arange(first, first + size)
        member, partner = answered.member[models], np.arange(size) ^ 1
        views = read_views(answered.paths[0])
        signals = []
        for path in (answered.paths[m] for m in models):
            said = read_answers(path, column)
            said = said[:, attack.columns(views)] if attack.by_view else said
            signals.append(attack.signal(said, answered.examples))
        scores = scores_of(attack, np.stack(signals), member, partner, answered.examples)
        if np.isnan(scores).any():
            return {}
        for row, of_target in zip(member, scores.astype(np.float32), strict=True):
            curve = roc(of_target, row == 1)
            figures.setdefault("AUC", []).append(auc(of_target, row == 1))
            for rate in RATES:
                key = f"TPR at {rate:.1%} FPR"
                figures.setdefault(key, []).append(tpr_at_fpr(*curve, rate))
    models = np.arange(len(figures["AUC"]))
    return {key: mean_interval(np.array(of), models ^ 1) for key, of in figures.items()}


def exposed(
    answered: Answered,
    shadows: int,
    attacks: Sequence[str] = FOUND_BY,
) -> dict[str, dict[str, tuple[Interval, Interval]]]:
    """Return how well rankings of members by their losses tell whom an attack finds.

    Of each attack and ranking: the AUC, and the share of those found among the first LOOKED_AT.
    """
    models = np.arange(shadows + 2)
    member, partner = answered.member[models], models ^ 1
    odds, losses = (
        np.stack([read_answers(answered.paths[m], column) for m in models])
        for column in ("log_odds", "loss_trace")
    )
    low, high = np.quantile(losses, (0.25, 0.75), axis=2)
    rankings = {
        "interquartile range": high - low,
        "mean": losses.mean(axis=2),
        "last": losses[:, :, -1],
        "nothing": np.zeros(member.shape),
    }
    told_of = {}
    for attack in attacks:
        scores = scores_of(ATTACKS[attack], odds, member, partner, answered.examples)
        figures: dict[str, list[tuple[float, float]]] = {}
        for m, row in enumerate(member):
            falling = np.sort(scores[m, row == 0])[::-1]
            inside = np.flatnonzero(row == 1)
            is_found = scores[m, inside] > falling[int(FOUND_AT * len(falling))]
            for ranking, of_models in rankings.items():
                values = of_models[m, inside]
                first = np.argsort(-values, kind="stable")[: int(LOOKED_AT * len(values))]
                share = is_found.mean() if ranking == "nothing" else is_found[first].mean()
                figures.setdefault(ranking, []).append((auc(values, is_found), float(share)))
        told_of[attack] = {
            ranking: tuple(mean_interval(np.array(of), partner) for of in zip(*each, strict=True))
            for ranking, each in figures.items()
        }
    return told_of


def scores_of(
    attack: MembershipAttack,
    signals: np.ndarray,
    member: np.ndarray,
    partner: np.ndarray,
    examples: Examples,
) -> np.ndarray:
    """Return the scores (M, N) of every model of a group as target."""
    if not attack.per_target:
        totals = attack.sums(signals, member, partner, examples)
        return attack.score_all(signals, member, partner, examples, totals)
    if attack.needs().itself:
        of_targets = enumerate(zip(signals, member, strict=True))
        return np.stack([by_halves(attack, s, row, examples, m) for m, (s, row) in of_targets])
    shadows = (np.arange(len(partner)) + 2) % len(partner)  # one, of the next pair
    return np.stack(
        [
            attack.score(signals[m], signals[[s]], member[[s]], examples, m)
            for m, s in enumerate(shadows)
        ]
    )


def told(interval: Interval | None, scale: float) -> str:
    """An interval as text."""
    if interval is None:
        return "–"
    digits = 3 if scale == 1 else 1
    mean, low, high = (f"{scale * x:.{digits}f}" for x in interval[:3])
    return f"{mean} [{low}, {high}]"


def draw(found: dict[str, dict[int, dict[str, Interval]]], path: Path) -> None:
    """Draw AUC and TPR at 1 % FPR against the number of shadows, a row of panels a family."""
    families: dict[str, list[str]] = {}
    for attack in found:
        first = attack.split(",")[0]
        family = next((name for name in FAMILIES if name in first), "others")
        families.setdefault(family, []).append(attack)
    quantities = {"AUC": 1, f"TPR at {RATES[0]:.1%} FPR": 100}
    figure, axes = style.panels(len(families) * len(quantities), len(quantities), 4.2, 2.9)
    with matplotlib.rc_context(style.RC):
        for place, (ax, (family, quantity)) in enumerate(
            zip(axes, ((f, q) for f in families for q in quantities), strict=True)
        ):
            for i, attack in enumerate(families[family]):
                at = {s: of[quantity] for s, of in found[attack].items() if quantity in of}
                if not at:
                    continue
                scale = quantities[quantity]
                y = [[scale * interval[k] for interval in at.values()] for k in range(3)]
                look = {"color": style.color(i), "linestyle": style.line(i)}
                label = attack.removeprefix(family).lstrip(", ")
                style.errorbar(ax, list(at), y, marker=style.marker(i), label=label, **look)
            ax.set_xscale("log", base=2)
            ticks = sorted({s for of in found.values() for s in of})
            ax.set_xticks(ticks, [str(s) for s in ticks])
            ax.set_title(f"{family}: {quantity}{'' if quantities[quantity] == 1 else ' (%)'}")
            if place % len(quantities) == 1:
                ax.legend(fontsize=7.5, loc="upper left", bbox_to_anchor=(1.01, 1))
            if place >= len(axes) - len(quantities):
                ax.set_xlabel("shadow models")
    for column in range(len(quantities)):  # on one scale, so that families can be compared
        those = axes[column :: len(quantities)]
        ends = [ax.get_ylim() for ax in those]
        for ax in those:
            ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
