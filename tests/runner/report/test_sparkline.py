import re
from xml.etree import ElementTree

import pytest

from runner.report.sparkline import HEIGHT, PAD, WIDTH, sparkline


def points(svg: str) -> list[tuple[float, float]]:
    (drawn,) = re.findall(r'points="([^"]*)"', svg)
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in drawn.split())]


def test_the_highest_is_at_the_top_and_the_last_where_its_part_of_the_work_ends():
    found = points(sparkline([3.0, 1.0, 2.0], 0.5, "loss"))
    right = PAD + (WIDTH - 2 * PAD) / 2
    expected = [(PAD, PAD), ((PAD + right) / 2, HEIGHT - PAD), (right, HEIGHT / 2)]
    assert found == [(pytest.approx(x, abs=0.05), pytest.approx(y, abs=0.05)) for x, y in expected]


def test_a_constant_is_a_line_and_one_value_is_nothing():
    assert {y for _, y in points(sparkline([2.0] * 5, 1.0, "loss"))} == {HEIGHT - PAD}
    assert sparkline([2.0], 1.0, "loss") == sparkline([], 1.0, "loss") == ""


def test_what_it_is_called_is_escaped():
    svg = sparkline([1.0, 2.0], 1.0, '"><script>&')
    assert ElementTree.fromstring(svg).attrib["aria-label"] == '"><script>&'
