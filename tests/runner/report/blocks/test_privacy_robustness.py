import copy
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from runner.report.blocks import captions
from runner.report.blocks.privacy_robustness import privacy_robustness_figure
from runner.report.labels import CLEARLY


def drawn(results: dict[str, Any]) -> Figure:
    figure = privacy_robustness_figure(results)
    assert figure is not None
    return figure


def interval(percent: float, reach: float) -> dict[str, float]:
    return {k: (percent + d) / 100 for k, d in (("mean", 0), ("low", -reach), ("high", reach))}


def names_beside_points(figure: Figure) -> list[Annotation]:
    return [t for axes in figure.axes for t in axes.texts if isinstance(t, Annotation)]


def test_points_lie_at_robust_accuracy_and_the_smallest_rate_that_was_resolved(drawn_small):
    (axes,) = drawn_small(privacy_robustness_figure).axes
    assert axes.get_ylabel() == "lira_online: TPR at 1 % FPR (%)"
    points = [c.lines[0] for c in axes.containers]  # type: ignore[attr-defined]
    got = [(p.get_xdata()[0], p.get_ydata()[0]) for p in points]
    assert got == [pytest.approx((5, 10)), pytest.approx((60, 20))]


@pytest.mark.parametrize(
    ("resolved", "label"),
    [(("0.001", "0.01"), "TPR at 0.1 % FPR"), ((), "TPR at 0 false positives")],
)
def test_the_papers_rate_is_drawn_where_it_was_resolved(results, resolved, label):
    for arm in results["arms"].values():
        for at, rate in arm["membership"]["lira_online"]["tpr_at_fpr"].items():
            rate["at_zero_false_positives"] = at not in resolved
    (axes,) = drawn(results).axes
    assert axes.get_ylabel() == f"lira_online: {label} (%)"


def test_names_cover_neither_each_other_nor_the_frame(results):
    base = results["arms"]["erm"]
    results["arms"] = {}
    for i in range(5):
        arm = copy.deepcopy(base)
        for key in ("mean", "low", "high"):
            arm["robust_accuracy"]["pgd20"][key] += 0.01 * i
        results["arms"][f"arm_{i}"] = arm
    figure = drawn(results)
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = names_beside_points(figure)
    assert [t.get_text() for t in texts] == list(results["arms"])
    boxes = [t.get_window_extent(renderer) for t in texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = figure.axes[0].get_window_extent(renderer).padded(0.01)
    assert all(frame.containsx(b.x0) and frame.containsx(b.x1) for b in boxes)


CLOSE = {"erm": (19.6, 4.0), "pgd_at": (74.4, 3.8), "trades": (76.8, 1.9), "demem": (77.6, 2.1)}


@pytest.mark.parametrize(("across", "up"), [(0.6, 0.3), (1.5, 0.4), (3.0, 0.8), (9.0, 1.6)])
def test_a_name_is_clearly_nearest_to_its_own_marker_or_a_line_leads_there(results, across, up):
    base = results["arms"]["erm"]
    results["arms"] = {}
    for name, (x, y) in CLOSE.items():
        arm = copy.deepcopy(base)
        arm["robust_accuracy"]["pgd20"] = interval(x, across)
        arm["membership"]["lira_online"]["tpr_at_fpr"]["0.01"].update(interval(y, up))
        results["arms"][f"trades_{name}" if name == "demem" else name] = arm
    figure = drawn(results)
    figure.draw_without_rendering()
    renderer = FigureCanvasAgg(figure).get_renderer()
    (axes,) = figure.axes
    markers = axes.transData.transform([*CLOSE.values()])
    names = names_beside_points(figure)
    assert [t.get_text() for t in names] == list(results["arms"])
    led = [line for line in axes.lines if line.get_zorder() == 1]
    starts = [axes.transData.transform(np.asarray(line.get_xydata())[0]) for line in led]
    for i, name in enumerate(names):
        box = np.asarray(name.get_window_extent(renderer).extents)
        gaps = np.linalg.norm(np.clip(markers, box[:2], box[2:]) - markers, axis=1)
        nearest = gaps[i] + CLEARLY * figure.dpi / 72 <= np.delete(gaps, i).min()
        assert nearest or any(np.allclose(start, markers[i]) for start in starts), name


def test_names_of_one_place_each_get_a_line(results):
    arm = results["arms"]["erm"]
    results["arms"] = {"one": arm, "other": arm}
    figure = drawn(results)
    (axes,) = figure.axes
    assert len(names_beside_points(figure)) == 2
    assert len([line for line in axes.lines if line.get_zorder() == 1]) == 2


def test_a_legend_names_points_that_are_too_close_together(results):
    results["arms"] = {f"a_rather_long_name_{i}": results["arms"]["erm"] for i in range(20)}
    figure = drawn(results)
    assert names_beside_points(figure) == []
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == list(results["arms"])


def test_privacy_is_drawn_against_natural_accuracy_without_a_robustness_attack(results):
    results["attacks"]["robustness"] = {}
    (axes,) = drawn(results).axes
    assert axes.get_xlabel() == "natural accuracy (%)"
    text = captions(results)
    assert text["privacy_robustness"].startswith("Privacy against natural accuracy")
    assert not any("under attack" in caption for caption in text.values())


def test_attacks_whose_scores_are_probabilities_are_drawn_by_auc(drawn_noisy):
    tpr, auc = drawn_noisy(privacy_robustness_figure).axes
    assert tpr.get_ylabel() == "lira_online: TPR at 1 % FPR (%)"
    assert auc.get_ylabel() == "shadow_mlp (shadows: erm): AUC"
    points = [c.lines[0].get_ydata()[0] for c in auc.containers]
    assert points == pytest.approx([0.75, 0.5, 0.53, 0.45, 0.48, 0.51])
    assert [0.5, 0.5] in [list(np.asarray(line.get_ydata())) for line in auc.lines]
    low, high = auc.get_ylim()
    assert low < 0.445
    assert high > 0.755
