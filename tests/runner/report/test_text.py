import math

import pytest

from runner.report.text import csv_of, headed, in_full, percent, printed, significant, titled


def test_columns_of_numbers_are_set_to_the_right_and_columns_of_text_are_not():
    text = headed(["arm", "a", "b"], [["x", "1,000", "–"], ["2y", "-0.1 [-1, 0]", "< 0.1"]])
    assert text.splitlines()[1] == "| --- | ---: | ---: |"
    assert headed(["arm"], []) == "| arm |\n| --- |"


def test_a_delta_prints_in_full_however_small_it_is():
    deltas = (1e-5, 2e-5, 1e-12, 1e-14, 3.5e-16, 0.0, 0.25, 1 / 50_000)
    assert [float(in_full(delta)) for delta in deltas] == [*deltas]
    assert in_full(1e-14) == "0.00000000000001"
    assert in_full(0.0) == "0"


def test_rates_print_in_percent_without_powers_of_ten():
    rates = [1e-7, 1e-5, 0.001, 0.01, 0.1, 0.25, 1.0]
    texts = ["0.00001 %", "0.001 %", "0.1 %", "1 %", "10 %", "25 %", "100 %"]
    assert [percent(rate) for rate in rates] == texts


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.01, 4, "0.01000"),
        (3.21, 4, "3.210"),
        (9.9996, 4, "10.00"),
        (21.2442, 4, "21.24"),
        (47536.7, 4, "47,540"),
        (1159283.65, 4, "1,159,000"),
        (1e7, 4, "10,000,000"),
        (4.56e9, 4, "4.560e+09"),
        (0.0036, 3, "0.00360"),
        (0, 3, "0"),
        (None, 3, "–"),
        (math.nan, 3, "–"),
        (math.inf, 4, "unbounded"),
    ],
)
def test_significant_digits_are_those_asked_for(value, digits, text):
    assert significant(value, digits) == text


def test_the_digits_are_those_asked_for():
    figure = {"mean": 0.12345, "low": 0.1, "high": 0.2, "num_models": 4}
    assert str(printed(figure, 100, 2, num_models=4)) == "12.35 [10.00, 20.00]"
    assert str(printed(figure, 1, 3, num_models=8)) == "0.123 [0.100, 0.200] (4 models)"


def test_a_csv_file_has_a_line_a_row_and_nothing_where_nothing_is_known():
    assert csv_of(("a", "b"), [(0.1 + 0.2, None), ('x,"y"', 1)]) == (
        'a,b\n0.30000000000000004,\n"x,""y""",1\n'
    )


def test_a_title_is_that_of_an_experiment_or_of_a_sweep():
    assert titled({"experiment": "a*b"}, "checks") == r"# a\*b: checks"
    assert titled({"sweep": "weights"}, "settings") == "# weights: settings"
