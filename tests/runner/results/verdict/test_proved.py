"""What is proved is told from what is claimed, and from what canaries bear out."""

from tests.made.report import noisy_results
from tests.made.verdict import results_of, sentences


def test_proved_and_claimed_are_told_apart_and_the_rest_is_not_proved():
    said = sentences(noisy_results())["proved"]
    assert said == (
        "Of half epsilon 4.560e+09 at delta 0.00001 of the weights is claimed, not proved here; of "
        "dp_sgd epsilon 3.210 at delta 0.00001 of the weights is proved; of erm and one nothing is "
        "proved: what stands here is what these attacks find, and another may find more."
    )


def test_a_ceiling_says_what_no_attack_is_to_be_expected_to_find():
    results = results_of({"erm": 0.7, "a": 0.6})
    promise = {"epsilon": 1.0, "delta": 1e-5, "status": "proved", "of": "the weights"}
    rates = {"0.1": 0.25, "0.01": 0.03, "0.001": 0.004, "1e-05": 0.001}
    results["arms"]["a"] |= {"guarantee": promise, "ceiling": {"audit": {"auc": 0.731}}}
    results["arms"]["a"]["ceiling"]["audit"]["tpr_at_fpr"] = rates
    assert sentences(results)["proved"].startswith(
        "Of a epsilon 1.000 at delta 0.00001 of the weights is proved, so no attack is to be "
        "expected to have an AUC above 0.731 or more than 3 % of the members at 1 % false "
        "positives here; of erm nothing"
    )
    results["arms"]["a"]["ceiling"]["audit"]["auc"] = 0.99999
    assert "is proved, which rules next to nothing out; of erm" in sentences(results)["proved"]


def test_canaries_say_what_is_certified_from_below_and_that_0_is_no_privacy():
    results = results_of({"erm": 0.7, "a": 0.6})
    arms = {"erm": {"lower_bound": 1.5, "most": 4.0}, "a": {"lower_bound": 0.0, "most": 4.0}}
    results["epsilon"] = {"delta": 1e-5, "confidence": 0.95, "arms": arms}
    assert sentences(results)["proved/below"] == (
        "Canaries certify, of each arm with 95 %, an epsilon of at least 1.50 of erm (they could "
        "show 4.00) and 0 of a (they could show 4.00) at delta 0.00001; 0 is no sign of privacy."
    )
