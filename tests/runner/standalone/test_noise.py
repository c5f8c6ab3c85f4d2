"""`runner budget`: what it prints, what it refuses, and the page that is made of its figures."""

import re
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

from defenses import Facts
from defenses._accounting import calibrated, spent
from defenses._theorems import ASSUMES_1, ASSUMES_2, noise_2, theorem_1, theorem_2
from defenses._trade_off import trade_off
from defenses.dp_sgd import DPSGD
from runner.__main__ import app
from tests.made.exact_epsilons import Setting, exact_epsilon

PAGE = (Path(__file__).parents[3] / "docs" / "privacy_budgets.md").read_text()
ONE = "residual --strategy I --G 30 --R 20 --batch-size 128 --num-examples 9988"
TWO = "residual --strategy II --eta 0.5 --B 2 --a 3"
DP = "dp-sgd --batch-size 128 --num-examples 9988 --epochs 1"


def budget(command: str) -> tuple[int, str]:
    """The exit code and everything printed of `runner budget`."""
    result = CliRunner().invoke(app, ["budget", *command.split()])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def figures(text: str) -> list[str]:
    """The number after each name at the head of a line, as printed."""
    return re.findall(r"^(?:epsilon|gamma|pi|noise multiplier) ([^\s,]+)", text, re.M)


def noises(text: str) -> list[tuple[str, str]]:
    """Each printed (gamma, pi)."""
    return re.findall(r"^gamma (\S+), pi (\S+)", text, re.M)


def test_strategy_1_prints_epsilon_its_split_its_layers_and_why_it_is_only_claimed():
    code, out = budget(f"{ONE} --gamma 300 --pi 400 --epochs 100 --members 2 --num-layers 2")
    facts = {"G": 30, "R": 20, "T": 100 * 9988 / 128, "b": 128, "N": 9988, "delta": 1e-5}
    found = theorem_1(gamma=300, pi=400, M=2, k=2, **facts)
    assert code == 0
    assert f"epsilon {found.epsilon:.5g}\nlambda {found.lambda_:.5g}\n" in out
    assert f"Renyi order {found.order:.5g}\n" in out
    zero, one, last = found.layers
    assert f"U^0 {zero:.5g}, U^1 {one:.5g}, w {last:.5g}\n" in out
    assert f"status: claimed\nwhy: {ASSUMES_1}\n" in out


def test_epochs_are_the_uses_of_an_image():
    by_epochs = budget(f"{ONE} --gamma 3 --pi 4 --epochs 128")
    assert by_epochs == budget(f"{ONE} --gamma 3 --pi 4 --T 9988")
    assert by_epochs[0] == 0


def test_the_noise_that_is_printed_gives_the_epsilon_that_was_asked():
    code, out = budget(f"{ONE} --epsilon 8 --epochs 100")
    assert code == 0
    ((gamma, pi),) = noises(out)
    _, back = budget(f"{ONE} --gamma {gamma} --pi {pi} --epochs 100")
    assert float(figures(back)[0]) == pytest.approx(8, rel=1e-4)
    _, answer = budget(f"{ONE} --gamma {gamma} --pi {pi} --epochs 100 --epsilon 8")
    assert "\nguarantee at epsilon 8: this noise reaches it\n" in answer


def test_strategy_2_prints_epsilon_as_stated_and_with_every_layer_composed():
    code, out = budget(f"{TWO} --gamma 4 --pi 5 --num-layers 2 --queries 10 --delta 1e-6")
    facts = {"eta": 0.5, "B": 2, "a": 3, "M": 2, "delta": 1e-6, "queries": 10}
    stated = theorem_2(gamma=4, pi=5, **facts)
    honest = theorem_2(gamma=4, pi=5, composed=True, **facts)
    assert code == 0
    assert f"epsilon {stated.epsilon:.5g}\nlambda {stated.lambda_:.5g}\n" in out
    assert f"composed: {honest.epsilon:.5g}\nstatus: claimed\nwhy: {ASSUMES_2}\n" in out


def test_strategy_2_prints_the_noise_for_an_epsilon():
    code, out = budget(f"{TWO} --epsilon 8")
    facts = {"epsilon": 8, "eta": 0.5, "B": 2, "a": 3, "M": 3, "delta": 1e-5}
    assert code == 0
    assert out.index("(as stated)") < out.index("(all M + 1 layers composed)")
    for composed, found in enumerate(noises(out)):
        noise = noise_2(composed=bool(composed), **facts)
        for printed, exact in zip(map(float, found), noise, strict=True):
            assert exact <= printed <= exact * (1 + 1e-4)  # rounded up: what is printed is enough


def test_noise_that_does_not_reach_an_epsilon_is_answered_with_what_is_lacking():
    paper = f"{ONE} --gamma 0.5 --pi 0.25 --epochs 100"
    code, out = budget(f"{paper} --epsilon 8")
    (needed,) = noises(budget(f"{ONE} --epsilon 8 --epochs 100")[1])
    assert code == 0
    told = f"gamma 0.5 is below {needed[0]} and pi 0.25 is below {needed[1]}"
    assert f"\nno guarantee at epsilon 8: {told}, which the theorem needs\n" in out
    assert "\nstatus: none at epsilon 8, claimed at the one above\nwhy: " in out
    assert figures(out) == figures(budget(paper)[1])
    _, out = budget(f"{ONE} --gamma 1e4 --pi 0.25 --epochs 100 --epsilon 8")
    assert f"no guarantee at epsilon 8: pi 0.25 is below {needed[1]}, which" in out


def test_noise_that_reaches_an_epsilon_as_stated_need_not_with_every_layer_composed():
    stated, honest = (tuple(map(float, found)) for found in noises(budget(f"{TWO} --epsilon 8")[1]))
    answers = {}
    for share in (-0.1, 0.5, 1.1):
        gamma, pi = (low + share * (high - low) for low, high in zip(stated, honest, strict=True))
        code, out = budget(f"{TWO} --epsilon 8 --gamma {gamma} --pi {pi}")
        assert code == 0
        said = re.findall(r"^(guarantee|no guarantee) at epsilon 8: .* \((as|all)", out, re.M)
        answers[share] = ({reading: word for word, reading in said}, "status: claimed\n" in out)
    no, yes = "no guarantee", "guarantee"
    assert answers == {
        -0.1: ({"as": no, "all": no}, False),
        0.5: ({"as": yes, "all": no}, True),
        1.1: ({"as": yes, "all": yes}, True),
    }


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("residual --strategy III", "--strategy must be one of I, II, got 'III'"),
        (f"{ONE} --gamma 1", "needs --pi, one of --epochs and --T"),
        (f"{ONE} --gamma 1 --pi 1 --epochs 1 --T 1", "needs one of --epochs and --T"),
        (f"{ONE} --gamma 1 --pi 1 --epochs 1 --eta 1 --a 1", "no use for --a, --eta; leave it out"),
        (f"{ONE} --gamma 1 --epsilon 1 --epochs 1", "Strategy I needs --pi"),
        (f"{ONE} --gamma 1 --pi 0 --epochs 1", "no guarantee: pi must be above 0"),
        (f"{ONE} --gamma 1 --pi 1 --epochs 1 --delta 1", "no guarantee: delta must lie between"),
        (f"{TWO} --gamma 1 --pi 1 --epochs 1", "Strategy II has no use for --epochs"),
        (TWO.replace("0.5", "0") + " --epsilon 1", "no guarantee: eta must be above 0"),
        (DP, "give --noise-multiplier to get epsilon, or --epsilon"),
        (f"{DP} --noise-multiplier 1 --epsilon 1", "give --noise-multiplier to get epsilon, or"),
        (f"{DP} --noise-multiplier 0", "--noise-multiplier must be above 0 and finite, got 0"),
        (f"{DP} --epsilon 1 --delta 0", "--delta must lie between 0 and 1, got 0"),
        (f"{DP} --epsilon 1 --accountant gdp", "must be one of prv, rdp, best, both, got 'gdp'"),
        (f"{DP} --epsilon 1 --num-examples 9", "--batch-size 128 is above --num-examples 9"),
        (f"{DP} --noise-multiplier 0.05 --accountant prv", "use --accountant rdp, or more noise"),
        (
            f"{DP} --noise-multiplier 1 --delta 0.9999 --accountant prv",
            "use --accountant rdp, or a smaller delta",
        ),
        (f"{DP} --target-tpr 0.01 --at-fpr 0.01", "must lie between --at-fpr 0.01, which a coin"),
        (f"{DP} --target-tpr 1", "and 1, got 1"),
        (f"{DP} --target-tpr 0.01 --at-fpr 0", "--at-fpr must lie between 0 and 1, got 0"),
        (f"{DP} --target-tpr 0.1 --epsilon 1", "give --noise-multiplier to get epsilon, or"),
        (f"{DP} --epsilon 1 --at-fpr 0.1", "--at-fpr is where --target-tpr holds; give both"),
        (
            "dp-sgd --batch-size 9 --num-examples 9 --epochs 1 --at-fpr .1 --target-tpr .100000001",
            "no noise reaches --target-tpr 0.1 at --at-fpr 0.1; ask for a larger TPR",
        ),
        (f"{DP} --epsilon 1e-4 --accountant rdp", "no noise reaches --epsilon 0.0001 at"),
        (f"{DP} --epsilon 1 --max-batch-size 99", "--max-batch-size 99 is below --batch-size 128"),
        (f"{DP} --epsilon 1 --max-batch-size 150", "too often: the probability that any of 78"),
        (f"{DP} --noise-multiplier 1 --max-batch-size 150", "; use --max-batch-size 1"),
        (f"{DP} --target-tpr 0.01 --max-batch-size 130", "use a larger --max-batch-size"),
    ],
)
def test_what_has_no_answer_is_exit_code_2_and_one_message(command: str, told: str):
    code, out = budget(command)
    assert code == 2
    assert out.startswith("runner: ")
    assert told in out
    assert out.count("\n") == 1


def test_dp_sgd_prints_what_each_accountant_says():
    code, out = budget(f"{DP} --noise-multiplier 1.1 --accountant both")
    rdp, prv = (spent(1.1, 128 / 9988, 78, 1e-5, name) for name in ("rdp", "prv"))
    assert code == 0
    assert f"epsilon {prv:.5g} (prv)\nepsilon {rdp:.5g} (rdp)\nstatus: proved" in out
    assert prv < rdp


@pytest.mark.parametrize("asked", ["--noise-multiplier 1.1", "--epsilon 3"])
def test_dp_sgd_says_at_a_small_delta_that_rdp_answers_for_prv_and_why(asked: str):
    told = "; prv is no bound at a delta below 1e-09, so rdp answers\n"
    code, out = budget(f"{DP} {asked} --delta 1e-15 --accountant prv")
    assert code == 0
    assert budget(f"{DP} {asked} --delta 1e-15 --accountant both") == (code, out)
    assert "(prv)" not in out
    assert out.endswith(told)
    by_rdp = budget(f"{DP} {asked} --delta 1e-15 --accountant rdp")
    assert by_rdp == (0, out.replace(told, "\n"))


def test_dp_sgd_prints_the_noise_multiplier_for_an_epsilon():
    code, out = budget(f"{DP} --epsilon 3 --accountant rdp")
    noise = calibrated(3.0, 1e-5, 128 / 9988, 78, "rdp")
    assert code == 0
    (printed,) = map(float, figures(out))
    assert noise <= printed <= noise * (1 + 1e-4)
    assert 2.95 < spent(printed, 128 / 9988, 78, 1e-5, "rdp") <= 3


def test_dp_sgd_tells_the_ceiling_of_any_attack_whatever_is_asked():
    code, out = budget(f"{DP} --noise-multiplier 1.1")
    found = trade_off(1.1, 128 / 9988, 78)
    (told,) = re.findall(r"TPR .* ([\d.]+) % at 0.1 % FPR, .*; AUC ([\d.]+)$", out, re.M)
    assert code == 0
    assert found.tpr_at(0.001) <= float(told[0]) / 100 <= 1.01 * found.tpr_at(0.001)
    assert found.auc() <= float(told[1]) <= found.auc() + 0.001
    assert "(pld)" in out


def test_the_noise_for_a_tpr_is_enough_and_hardly_more():
    code, out = budget(f"{DP} --target-tpr 0.01 --at-fpr 0.002")
    noise, epsilon = map(float, figures(out))
    assert code == 0
    assert trade_off(noise, 128 / 9988, 78).tpr_at(0.002) <= 0.01
    assert trade_off(noise / 1.002, 128 / 9988, 78).tpr_at(0.002) > 0.01
    assert epsilon == pytest.approx(spent(noise, 128 / 9988, 78, 1e-5, "best"), rel=1e-3)


def test_a_small_epsilon_takes_no_more_noise_than_its_exact_accounting_asks():
    """prv's error of 0.01 took 22.7 for 0.05 where 18.7 is enough, and refused 0.005."""
    common = "dp-sgd --batch-size 128 --num-examples 9988 --epochs 20"
    for target in (0.05, 0.005):
        code, out = budget(f"{common} --epsilon {target}")
        (noise,) = map(float, figures(out))
        assert code == 0
        rate, steps = 128 / 9988, 78 * 20
        assert 0.99 * target < exact_epsilon(Setting(noise, rate, steps, 1e-5)) <= target


def test_full_batches_have_the_closed_form_at_any_delta():
    full = "dp-sgd --batch-size 100 --num-examples 100 --epochs 16"
    code, out = budget(f"{full} --noise-multiplier 4 --delta 1e-30")
    assert code == 0
    assert f"epsilon {11.7436:.5g} (gaussian)" in out
    assert "mu of Gaussian DP: 1.001" in out


@pytest.mark.parametrize("accountant", ["rdp", "best"])
@pytest.mark.parametrize(
    ("option", "keys"),
    [
        ("--noise-multiplier 1.1", {"noise_multiplier": 1.1}),
        ("--epsilon 2", {"target_epsilon": 2.0}),
        ("--target-tpr 0.01", {"target_tpr": 0.01}),
    ],
)
def test_batches_of_bounded_size_have_the_figures_of_the_same_yaml(accountant, option, keys):
    asked = f"dp-sgd --batch-size 50 --num-examples 1000 --epochs 5 --accountant {accountant}"
    code, out = budget(f"{asked} {option} --max-batch-size 95")
    assert code == 0
    keys |= {"accountant": accountant, "max_batch_size": 95}
    defense = DPSGD.model_validate(keys).resolved(1000, 50, 5)
    noise, facts = defense.noise_multiplier, Facts(nn.Identity(), 1000, 50, 5, 1e-5)
    proved, most = defense.guarantee(facts), defense.trade_off(facts)
    assert noise is not None
    assert most is not None
    if told := re.search(r"^noise multiplier ([\d.]+) ", out, re.M):
        assert noise <= float(told[1]) <= noise * (1 + 1e-4)
    if told := re.search(r"^epsilon ([\d.]+) ", out, re.M):
        assert float(told[1]) == pytest.approx(proved.epsilon, rel=1e-4)
    elif proved.epsilon is None:
        assert "no epsilon: --max-batch-size 95 cuts batches too often" in out
    else:
        assert option == "--epsilon 2"
    (tpr,) = re.findall(r" ([\d.]+) % at 0.1 % FPR", out)
    assert most.tpr_at(0.001) <= float(tpr) / 100 <= 1.01 * most.tpr_at(0.001)
    assert budget(f"{asked} {option}")[1] not in (out, "")
    assert "a batch of more than 95 is cut" in out


def rows(letter: str) -> list[tuple[str, list[str]]]:
    """The page's rows of one command: what to run, and the cells that follow it."""
    (prefix,) = re.findall(rf'^{letter}="python -m runner budget (.*)"$', PAGE, re.M)
    found = re.findall(rf"^\|[^|]*\| `\${letter} ([^`]*)` \| (.*) \|$", PAGE, re.M)
    return [(f"{prefix} {options}", cells.split(" | ")) for options, cells in found]


def test_every_row_of_the_page_on_theorem_1_is_what_its_command_prints():
    assert len(rows("I")) == 15
    for command, cells in rows("I"):
        code, out = budget(command)
        assert code == 0, out
        assert figures(out)[0] == cells[0], command


def test_the_first_row_of_the_page_on_dp_sgd_is_what_its_command_prints():
    command, cells = rows("D")[0]
    assert figures(budget(command)[1]) == cells[:2]


@pytest.mark.slow
def test_every_row_of_the_page_on_dp_sgd_is_what_its_command_prints():
    assert len(rows("D")) == 10
    for command, cells in rows("D"):
        assert figures(budget(command)[1]) == cells[:2], command
