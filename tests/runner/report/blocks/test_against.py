import numpy as np
import pytest

from runner.report import style
from runner.report.blocks.against import against_figure, dial_lines
from tests.made.drawn import lines, panels


def test_the_baseline_stands_at_zero_and_arms_without_the_dial_are_left_out(noisy):
    one, mean = dial_lines(noisy)
    assert [(at, reading.label) for at, reading in one.points] == [
        (0.0, "erm"),
        (0.5, "half · 1 draw"),
        (1.0, "one · 1 draw"),
    ]
    assert [reading.label for _, reading in mean.points] == [
        "erm",
        "half · mean of 10 draws",
        "one · mean of 10 draws",
    ]
    assert (one.value, mean.averaged, one.connected) == (5, True, True)
    noisy["arms"]["erm"]["dials"] = {"gamma": 7.0, "members": 1.0}
    assert [[at for at, _ in line.points] for line in dial_lines(noisy)] == [[0, 0.5, 1]] * 2


def test_there_is_a_line_for_each_value_of_by(noisy):
    noisy["arms"]["one"]["dials"]["members"] = 1.0
    noisy["arms"]["dp_sgd"]["dials"]["gamma"] = 2.0
    found = [
        (line.value, line.averaged, [at for at, _ in line.points]) for line in dial_lines(noisy)
    ]
    assert found == [
        (1, False, [0, 1]),
        (1, True, [0, 1]),
        (5, False, [0, 0.5]),
        (5, True, [0, 0.5]),
        (None, False, [0, 2]),
    ]
    noisy["report"] |= {"by": None, "baseline": None}
    noisy["arms"]["dp_sgd"]["dials"]["gamma"] = 0.7
    assert [at for at, _ in dial_lines(noisy)[1].points] == [0.5, 0.7, 1]


def test_two_arms_at_one_value_are_not_connected(noisy):
    noisy["arms"]["half"]["dials"]["gamma"] = 1.0
    assert [line.connected for line in dial_lines(noisy)] == [False, False]
    axes = panels(against_figure(noisy))["lira_online"]
    assert [line["style"] for line in lines(axes)] == ["None", "None"]


def test_each_quantity_is_drawn_against_the_dial_with_its_interval(drawn_noisy):
    found = panels(drawn_noisy(against_figure))
    attack = "shadow_mlp (shadows: erm)"
    assert list(found) == ["training and test", "lira_online", attack, "pgd20, overstated"]
    natural, train, natural_mean, train_mean = lines(found["training and test"])
    assert natural["x"] == train_mean["x"] == [0, 0.5, 1]
    assert natural["y"] == pytest.approx([90, 90, 90])
    assert natural_mean["y"] == pytest.approx([90, 92, 92])
    assert natural_mean["ends"] == pytest.approx(np.array([[88, 90, 90], [92, 94, 94]]))
    assert train["y"] == pytest.approx([95, 95, 95])
    assert train_mean["y"] == pytest.approx([95, 96, 96])
    assert [one["style"] for one in (natural, train, natural_mean)] == ["-", "-", "--"]
    assert [one["filled"] for one in (natural, train)] == [True, False]
    one, mean = lines(found[attack])
    assert one["y"] == pytest.approx([0.75, 0.5, 0.45])
    assert mean["y"] == pytest.approx([0.75, 0.53, 0.48])
    assert one["ends"] == pytest.approx(np.add([[-0.005], [0.005]], one["y"]))
    assert [0.5, 0.5] in [list(np.asarray(line.get_ydata())) for line in found[attack].lines]
    assert lines(found["pgd20, overstated"])[0]["y"] == pytest.approx([5, 30, 30])
    assert found[attack].get_xlabel() == "gamma (0: erm)"


def test_values_of_by_differ_in_colour_and_not_between_draws(noisy):
    noisy["arms"]["one"]["dials"]["members"] = 1.0
    drawing = against_figure(noisy)
    colors = [line["color"] for line in lines(panels(drawing)["lira_online"])]
    assert colors == [style.COLORS[0], style.COLORS[0], style.COLORS[1], style.COLORS[1]]
    assert drawing is not None
    (legend,) = drawing.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("members 1", "members 5", "1 draw", "mean of 10 draws", "test", "training")
    ]


@pytest.mark.parametrize("report", [None, {"against": None}, {"against": "sigma"}])
def test_nothing_is_drawn_against_a_dial_that_no_arm_has(noisy, report):
    noisy["report"] = report
    assert against_figure(noisy) is None
