import copy
from typing import Any

import pytest

from runner.report import style
from runner.report.blocks.queries import families, queries_figure, queries_markdown

VIEWS = {
    "lira_online": ["identity", "flip"],
    "lira_adversarial": ["pgd10"],
    "lira_all": ["identity", "flip", "pgd10"],
}


@pytest.fixture
def queried(results):
    """Each arm leaks 0.1 of AUC more by adversarial queries, and 0.15 more by both."""
    for arm in results["arms"].values():
        for attack, more in (("lira_adversarial", 0.1), ("lira_all", 0.15)):
            found = copy.deepcopy(arm["membership"]["lira_online"])
            for key in ("mean", "low", "high"):
                found["auc"][key] += more
                found["tpr_at_fpr"]["0.01"][key] += more
            arm["membership"][attack] = found
    text = "lira({}mode online, variance pooled)"
    results["attacks"] |= {
        "membership": {
            "lira_online": text.format("views [identity, flip], "),
            "lira_all": text.format(""),
            "lira_adversarial": text.format("views [pgd10], "),
        },
        "views": VIEWS,
        "adversarial": ["pgd10"],
    }
    return results


def test_attacks_that_differ_in_their_views_alone_are_one_family(queried):
    family = {"natural": "lira_online", "adversarial": "lira_adversarial", "both": "lira_all"}
    assert families(queried) == [family]
    assert list(families(queried)[0]) == list(family)
    queried["attacks"]["membership"]["lira_adversarial"] = "lira(views [pgd10], mode offline)"
    assert families(queried) == []
    queried["attacks"]["membership"] |= {"loss": "loss(views [flip])", "loss_pgd": "loss"}
    queried["attacks"]["views"] |= {"loss": ["flip"], "loss_pgd": ["pgd10"]}
    assert families(queried) == [{"natural": "loss", "adversarial": "loss_pgd"}]


def test_marks_stand_where_the_attacks_were_measured(queried):
    figure: Any = queries_figure(queried)
    tpr, auc = figure.axes
    assert (tpr.get_ylabel(), auc.get_ylabel()) == ("TPR at 1 % FPR (%)", "AUC")
    for axes, expected in (
        (tpr, [[10, 20], [20, 30], [25, 35]]),
        (auc, [[0.7, 0.8], [0.8, 0.9], [0.85, 0.95]]),
    ):
        points = [drawn.lines[0] for drawn in axes.containers]
        assert [list(p.get_ydata()) for p in points] == [pytest.approx(y) for y in expected]
        assert [p.get_color() for p in points] == list(style.COLORS[:3])
        assert [t.get_text() for t in axes.get_xticklabels()] == ["erm", "pgd_at"]
        for place in (0, 1):
            at = [p.get_xdata()[place] for p in points]
            assert at == sorted(at)
            assert sum(at) / 3 == pytest.approx(place)
    segments = auc.containers[1].lines[2][0].get_segments()
    assert [list(ends[:, 1]) for ends in segments] == [
        pytest.approx([0.795, 0.805]),
        pytest.approx([0.895, 0.905]),
    ]
    guesses = [[line.get_ydata()[0] for line in axes.lines][-1] for axes in (tpr, auc)]
    assert guesses == [1, 0.5]
    (legend,) = figure.legends
    assert [t.get_text() for t in legend.get_texts()] == [
        "natural queries",
        "adversarial queries",
        "both",
        "chance",
    ]


@pytest.mark.parametrize("views", [{}, {"lira_online": ["identity"], "lira_all": ["flip"]}])
def test_without_queries_of_both_kinds_there_is_nothing_to_draw(queried, views):
    queried["attacks"]["views"] = views
    assert queries_figure(queried) is None
    assert queries_markdown(queried) is None


def test_results_of_before_have_no_figure_of_queries(results):
    assert queries_figure(results) is None


def test_a_randomized_arm_stands_by_one_draw(queried):
    arm = queried["arms"]["erm"]
    arm["averaged"] = {**copy.deepcopy(arm), "draws": 10}
    text = queries_markdown(queried)
    assert text is not None
    assert "| erm · 1 draw | natural queries |" in text
    assert "mean of 10" not in text


def test_an_attack_that_an_arm_lacks_is_left_out_of_it(queried):
    del queried["arms"]["erm"]["membership"]["lira_all"]
    figure: Any = queries_figure(queried)
    assert [len(c.lines[0].get_ydata()) for c in figure.axes[1].containers] == [2, 2, 1]
    assert "| erm | both | lira_all | – | – |" in (queries_markdown(queried) or "")


def test_the_table_has_a_row_for_each_arm_and_kind(queried):
    text = (queries_markdown(queried) or "").replace("\\", "")
    assert text.startswith("# small: natural and adversarial queries\n")
    rows = [line for line in text.splitlines() if line.startswith(("| erm", "| pgd_at"))]
    assert rows[:2] == [
        "| erm | natural queries | lira_online | 10.0 [9.0, 11.0] | 0.700 [0.695, 0.705] |",
        "| erm | adversarial queries | lira_adversarial "
        "| 20.0 [19.0, 21.0] | 0.800 [0.795, 0.805] |",
    ]
    assert len(rows) == 6
