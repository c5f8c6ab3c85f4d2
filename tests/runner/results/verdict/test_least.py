"""Who leaks least is said only where every paired difference shows it."""

import re
from typing import Any

import numpy as np

from runner.results.verdict import verdict
from runner.results.verdict.evidence import auc_measure
from runner.results.verdict.least import ranking
from runner.statistics.intervals import ERROR, Interval, mean_interval
from tests.made.report import noisy_results, several_results
from tests.made.verdict import evidence_of, results_of, sentences

PARTNER = np.arange(16) ^ 1


def test_an_arm_leaks_least_where_all_its_differences_leave_0_out():
    said = sentences(results_of({"erm": 0.7, "a": 0.6, "b": 0.8}), reach=0.001)
    assert said["least/auc"] == (
        "By AUC, over all false positive rates, a leaks least: 0.600 [0.595, 0.605] (a guess: "
        "0.5); a is 0.100 [0.097, 0.103] below erm, the undefended arm; it is 0.200 [0.197, 0.203] "
        "below b."
    )
    assert said["least/tpr"].startswith(
        "a leaks least under lira_online (the only attack): at 1 % false positives it finds "
        "2.0 % [1.0, 3.0] of the members of a (a guess: 1 %); a is 1.0 points [0.7, 1.3] below erm"
    )


def test_two_arms_that_are_not_told_apart_leak_least_together():
    said = sentences(results_of({"erm": 0.7, "a": 0.600, "b": 0.601}), reach=0.002)
    assert "a or b leaks least, and the data do not tell which: 0.600" in said["least/auc"]
    assert "a is 0.100 [0.094, 0.106] below erm, the undefended arm." in said["least/auc"]
    assert "of erm" not in said["least/tpr"]


def test_where_nothing_is_told_apart_no_order_is_claimed():
    said = sentences(results_of({"erm": 0.601, "a": 0.600}), reach=0.01)
    assert "the data do not tell which of a and erm leaks least" in said["least/auc"]
    assert "a less erm, the undefended arm, is -0.001 [-0.011, 0.009]" in said["least/auc"]
    assert "below" not in said["least/auc"]


def test_a_single_pair_of_models_orders_nothing():
    said = sentences(results_of({"erm": 0.9, "a": 0.6}), reach=0.001, num_units=1)
    assert said["least/tpr"].startswith("The data do not tell which of a and erm leaks least")
    assert not re.search(r"below|\bcosts|\bgains", said["least/tpr"] + said["cost"])
    assert "a single pair of models" in said["limits"]


def test_the_intervals_of_a_sentence_share_its_error_and_say_so():
    results = results_of({"erm": 0.7, "a": 0.6, "b": 0.8, "c": 0.9})
    (first, *_) = verdict(evidence_of(results))
    apart = [one for one in first["figures"] if one["against"]]
    assert [one["confidence"] for one in apart] == [1 - ERROR / 6] * 3
    assert {one["arm"] for one in apart} == {"a"}
    assert [one["confidence"] for one in first["figures"] if not one["against"]] == [0.95] * 4


def test_measures_that_name_other_arms_say_that_it_hangs_on_what_is_counted():
    results = results_of({"erm": 0.6, "a": 0.7})
    for name, tpr in (("erm", 0.2), ("a", 0.1)):
        results["arms"][name]["membership"]["lira_online"]["tpr_at_fpr"]["0.01"]["mean"] = tpr
    said = sentences(results, reach=0.001)
    assert said["least/tpr"].startswith("a leaks least")
    assert "erm leaks least: 0.600" in said["least/auc"]
    assert "so who leaks least hangs on what is counted" in said["least/auc"]


def test_of_one_arm_it_is_said_how_much_it_leaks_beside_a_guess():
    results = results_of({"erm": 0.7})
    said = sentences(results)
    assert said["leaks"] == (
        "Of erm lira_online (the only attack) finds 3.0 % [2.0, 4.0] of the members at 1 % false "
        "positives (a guess: 1 %) and has an AUC of 0.700 [0.695, 0.705] (a guess: 0.5)."
    )
    assert said["accuracy"].startswith("erm has a natural accuracy of 90.0 % [88.0, 92.0] and")
    quiet = sentences(results_of({"erm": 0.5}))["leaks"]
    assert quiet.endswith("; that is not shown to be more than a guess finds.")


def test_the_strongest_attack_is_read_where_there_is_one():
    said = sentences(several_results())
    assert "under the strongest attack" in said["least/tpr"]
    assert "17.0 % [16.0, 18.0] of the members of erm" in said["least/tpr"]


def test_a_randomized_arm_is_read_by_the_mean_of_its_draws_and_says_so():
    results = noisy_results()
    del results["arms"]["dp_sgd"]
    said = sentences(results, reach=1e-5)["least/tpr"]
    assert "half · mean of 10 draws or one · mean of 10 draws leaks least" in said
    assert "at the most" in sentences(results, reach=1e-5)["cost"]  # pgd20 averages over no draws


def test_without_a_membership_attack_nothing_is_said_of_leakage():
    results = results_of({"erm": 0.7, "a": 0.6})
    results["attacks"]["membership"] = {}
    assert not {"least/tpr", "least/auc", "cost", "limits"} & set(sentences(results))


def test_randomly_made_up_results_never_give_an_order_whose_interval_holds_0():
    rng, orders = np.random.default_rng(0), 0
    for _ in range(300):
        names = ["erm", "arm1", "arm2", "arm3", "arm4"][: rng.integers(2, 6)]
        results = results_of({name: rng.uniform(0.5, 0.7) for name in names})
        for one in results["arms"].values():
            one["natural_accuracy"]["mean"] += rng.normal(0, 0.03)
            one["robust_accuracy"]["pgd20"]["mean"] += rng.normal(0, 0.03)
        found = evidence_of(results, reach=10 ** rng.uniform(-4.5, -1))
        for sentence in verdict(found):
            orders += _checked(sentence, len(names))
    assert orders > 300


def test_of_arms_that_leak_alike_hardly_ever_one_is_said_to_leak_least():
    rng, wrong, cases = np.random.default_rng(1), 0, 400
    results = results_of(dict.fromkeys(["erm", "a", "b", "c"], 0.6))
    found = evidence_of(results, num_units=8)
    for _ in range(cases):
        drawn = {name: 0.6 + 0.02 * rng.standard_normal(16) for name in results["arms"]}
        for name, of_models in drawn.items():
            results["arms"][name]["membership"]["lira_online"]["auc"]["mean"] = of_models.mean()

        def difference(
            one: str, other: str, _: str, error: float, drawn: dict[str, Any] = drawn
        ) -> Interval:
            return mean_interval(drawn[one] - drawn[other], PARTNER, (-1, 1), error)

        ranked = ranking(found._replace(difference=difference), auc_measure(found))
        wrong += len(ranked.candidates) < 4
    assert wrong <= 0.05 * cases


def _checked(sentence: dict[str, Any], num_arms: int) -> int:
    """Assert that every order which a sentence claims is shown by its figures; how many it has."""
    text, claims = sentence["text"], 0
    apart = {(f["arm"], f["against"], f["measure"]): f for f in sentence["figures"] if f["against"]}
    if only := re.search(r"(?:^|, )(\w+) leaks least", text):
        lowest = only[1] if " or " not in text.partition(" leaks")[0] else None
        shown = [f for (arm, *_), f in apart.items() if arm == lowest]
        assert len(shown) == (num_arms - 1 if lowest else 0)
        assert all(f["high"] < 0 for f in shown), text
        claims += len(shown)
    for clause in text.rstrip(".").split("; "):
        for one, low, other, too in re.findall(
            r"(\w+) is \S+(?: points)? \[(\S+), \S+\] below (\w+)(?:.*?, and below (.*) too)?",
            clause,
        ):
            of = next(iter(apart))[0]
            assert one in ("it", of)
            assert float(low) > 0, text
            for name in [other, *re.findall(r"arm\d|erm", too)]:
                (figure,) = [f for (a, b, _), f in apart.items() if (a, b) == (of, name)]
                assert figure["high"] < 0, text
                claims += 1
        arm = clause.rpartition(": ")[2].split()[0]
        for verb, low, what in re.findall(
            r"(costs|gains) \S+ points \[(\S+), \S+\] of (natural|accuracy)", clause
        ):
            measure = "natural_accuracy" if what == "natural" else "robust_accuracy/pgd20"
            figure = apart[arm, "erm", measure]
            assert figure["high"] < 0 if verb == "costs" else figure["low"] > 0, text
            assert float(low) > 0, text
            claims += 1
    return claims
