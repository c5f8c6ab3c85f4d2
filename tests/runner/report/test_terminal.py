from typing import Any

from runner.report.terminal import shown


def test_lines_follow_the_table_in_their_order(results: dict[str, Any]):
    results["guards"] = [{"name": "a check", "verdict": "undecided", "says": "so"}]
    results["warnings"] = ["too few models"]
    results["events"] = [{"at": "2001-09-09T01:46:40+00:00", "text": "node lost"}]
    arm = {"stated": None, "lower_bound": 1.5, "most": 4.0, "one_run": [], "over_models": None}
    arm["gaussian"] = {"lower_bound": 2.5, "mu": 0.75, "most": 8.0}
    results["epsilon"] = {"arms": {"erm": arm}}
    _, lines = shown(results)
    assert lines == [
        "epsilon of erm: at least 1.50 (if its trade-off is Gaussian 2.50), nothing stated",
        "checks: 1 undecided",
        "warning: too few models",
        "1 event is in the report; the last was, at 2001-09-09 01:46:40 UTC: node lost",
    ]


def test_where_nothing_is_to_be_said_there_is_no_line(results: dict[str, Any]):
    assert shown(results)[1] == []
