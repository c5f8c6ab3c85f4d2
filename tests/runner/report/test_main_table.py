from runner.report.columns import main_columns
from runner.report.main_table import best_cells, by_arms, by_attacks
from tests.made.many_arms import many_results


def best(results) -> dict[str, str]:
    """The arm that is the best, by the title of the column."""
    shown, arms = main_columns(results), list(results["arms"])
    return {shown[j].title: arms[i] for i, j in best_cells(results, shown)}


def test_the_best_has_an_interval_apart_from_all_others(results):
    found = best(results)
    assert found["pgd20: robust accuracy (%)"] == "pgd_at"
    assert found["lira_online: AUC"] == "erm"  # the lower one leaks less
    assert "natural accuracy (%)" not in found  # both have the same
    erm = results["arms"]["erm"]["membership"]["lira_online"]["auc"]
    erm["high"] = 0.795  # the low end of the other one: they meet
    assert "lira_online: AUC" not in best(results)
    erm["high"] = None
    assert "lira_online: AUC" not in best(results)


def test_none_is_the_best_where_figures_do_not_compare(results, noisy):
    results["arms"]["erm"]["membership"]["lira_online"]["auc"]["num_models"] = 4
    assert "lira_online: AUC" not in best(results)
    del results["arms"]["erm"]
    assert best(results) == {}
    for arm in noisy["arms"].values():
        arm["robust_accuracy"]["pgd20"] |= {"mean": 0.1, "low": 0.08, "high": 0.12}
    most = noisy["arms"]["half"]["averaged"]["robust_accuracy"]["pgd20"]
    most |= {"mean": 0.5, "low": 0.48, "high": 0.52}
    shown = main_columns(noisy)
    robust = [j for j, column in enumerate(shown) if column.quantity.key == "robust_accuracy"]
    assert not {j for _, j in best_cells(noisy, shown)} & set(robust)  # it is overstated
    noisy["arms"]["half"]["overstated"] = []
    assert {j for _, j in best_cells(noisy, shown)} & set(robust)


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
