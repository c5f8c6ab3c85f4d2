from runner.report.columns import main_columns
from runner.report.main_table import best_cells, by_arms, by_attacks
from runner.report.readings import readings
from runner.results.verdict.best import best
from tests.made.many_arms import many_results
from tests.made.verdict import evidence_of, results_of, sentences


def marked(results, reach: float = 0.001, **how) -> dict[str, str]:
    """The arm that is marked as the best, by the title of the column."""
    results["best"] = best(evidence_of(results, reach, **how))
    shown, arms = main_columns(results), [reading.label for reading in readings(results)]
    return {shown[j].title: arms[i] for i, j in best_cells(results, shown)}


def test_the_best_is_told_from_all_others_as_the_sentences_tell_it():
    results = results_of({"erm": 0.7, "a": 0.6, "b": 0.61})
    results["arms"]["b"]["robust_accuracy"]["pgd20"]["mean"] = 0.6
    found = marked(results)
    assert found["pgd20: robust accuracy (%)"] == "b"
    assert found["lira_online: AUC"] == "a"  # the lower one leaks less
    assert "lira_online: TPR at 0 false positives (%)" not in found
    assert marked(results, reach=1e-5)["lira_online: TPR at 0 false positives (%)"] == "a"
    assert "natural accuracy (%)" not in found  # all have the same
    assert "lira_online: AUC" not in marked(results, reach=0.004)  # 3 pairs: 0.012 to either side
    for reach in (0.0001, 0.001, 0.003, 0.004, 0.1):
        told = "a leaks least: " in sentences(results, reach=reach)["least/auc"]
        assert told == (marked(results, reach=reach).get("lira_online: AUC") == "a")


def test_none_is_the_best_where_figures_do_not_compare_or_a_check_forbids_it():
    results = results_of({"erm": 0.7, "a": 0.6})
    results["arms"]["a"]["robust_accuracy"]["pgd20"]["mean"] = 0.6
    assert len(marked(results)) == 5
    assert marked(results, num_units=1) == {}
    results["arms"]["a"]["sanity"] = {"black_box_not_stronger": {"verdict": "fail"}}
    assert "pgd20: robust accuracy (%)" not in marked(results)
    results["guards"] = [{"name": "all models were asked the same", "verdict": "fail"}]
    assert marked(results) == {}
    del results["guards"]
    results["arms"]["a"]["membership"]["lira_online"]["auc"]["num_models"] = 4
    assert "lira_online: AUC" not in marked(results)
    assert best_cells({**results, "best": None}, main_columns(results)) == set()  # of before


def test_a_randomized_arm_is_the_best_by_its_mean_of_draws_unless_that_is_overstated(noisy):
    most = noisy["arms"]["half"]["averaged"]
    most["robust_accuracy"]["pgd20"]["mean"] = 0.9
    assert "pgd20: robust accuracy (%)" not in marked(noisy)
    noisy["arms"]["half"]["overstated"] = []
    assert marked(noisy)["pgd20: robust accuracy (%)"] == "half · mean of 10 draws"


def test_attacks_as_rows_have_the_cells_of_arms_as_rows(noisy):
    shown = main_columns(noisy)
    one, other = by_arms(noisy, shown), by_attacks(noisy)
    assert other is not None
    found = {
        (line.label, head.group, head.header): cell
        for line in one.lines
        for head, cell in zip(one.heads, line.cells, strict=True)
        if head.membership
    }
    turned = {
        (head.group, line.label, head.header): cell
        for line in other.lines
        for head, cell in zip(other.heads, line.cells, strict=True)
        if cell.printed.mean != "–" or (head.group, line.label, head.header) in found
    }
    assert turned == found


def test_a_page_of_many_columns_begins_with_the_strongest_attack():
    results = many_results(3, 5)
    table = by_arms(results, main_columns(results))
    begun = {head.group for head in table.heads if head.first}
    assert begun == {"", "pgd20", "strongest attack"}
    few = by_attacks(many_results(12, 2))
    assert few is not None
    assert {head.header for head in few.heads if head.first} == {"TPR at 1 % FPR (%)"}
