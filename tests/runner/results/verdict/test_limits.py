"""What the data cannot resolve is said, and nothing where there is nothing to add."""

from typing import Any

from tests.made.report import figure
from tests.made.verdict import results_of, sentences


def compared(apart: float) -> dict[str, Any]:
    results = results_of({"a": 0.5, "erm": 0.6, "b": 0.7})
    measures = {"membership/lira_online/tpr_at_fpr/0.01": figure(apart, 0.001)}
    results["comparisons"] = [{"arm": "b", "against": "erm", "draws": 1, "measures": measures}]
    return results


def test_rates_below_one_false_positive_are_named():
    assert sentences(results_of({"erm": 0.7, "a": 0.6}))["limits"] == (
        "Not resolved: false positive rates below 1 in 700, the non-members of a model, so what "
        "was asked at 0.001 % and 0.1 % is told at no false positive."
    )
    results = results_of({"erm": 0.7})
    tprs = results["arms"]["erm"]["membership"]["lira_online"]["tpr_at_fpr"]
    for at in ("0.001", "1e-05"):
        del tprs[at]
    assert "limits" not in sentences(results)


def test_a_pair_that_no_sentence_names_is_named_where_it_is_not_told_apart():
    assert "whether b or erm leaks more at 1 %" in sentences(compared(0.0005), reach=1e-4)["limits"]
    assert "whether" not in sentences(compared(0.005), reach=1e-4)["limits"]
    assert "whether" not in sentences(compared(0.0005), reach=1)["limits"]


def test_few_pairs_and_canaries_are_told():
    results = results_of({"erm": 0.7, "a": 0.6})
    results["design"] |= {"canaries": {"num": 100, "copies": 1}}
    assert "since 3 pairs of models are few" in sentences(results, num_units=3)["limits"]
    results["design"]["num_models"] = 3
    said = sentences(results, num_units=3)["limits"]
    assert "since 3 models are few" in said
    assert "since planted canaries alone are judged" in said


def test_of_many_arms_some_are_named_and_the_others_counted():
    results = results_of({f"arm_{i}": 0.6 + 1e-5 * i for i in range(12)})
    measures = {"membership/lira_online/tpr_at_fpr/0.01": figure(0.0, 0.001)}
    results["comparisons"] = [
        {"arm": f"arm_{i}", "against": "arm_1", "draws": 1, "measures": measures}
        for i in range(2, 12)
    ]
    told = sentences(results, reach=1e-9)["limits"]
    assert "arm_4 or arm_1 and arm_5 or arm_1 leaks more at 1 % false positives, nor of 6" in told
    tied = sentences(results, reach=0.1)
    assert tied["cost"].endswith("; the table has 7 more arms that may leak as little.")
    assert "arm_5" not in tied["cost"]
    assert not any("-0.0 " in text or "-0.000 " in text for text in tied.values())
