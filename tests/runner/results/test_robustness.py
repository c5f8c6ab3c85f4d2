"""Worst cases and sanity, from made-up predictions whose verdicts are known."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from attacks import sanity
from attacks.evasion import EvasionAttack
from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.fgsm import FGSM
from attacks.evasion.pgd import PGD
from attacks.evasion.square import Square
from runner.experiment.questions import Answers, Questions, Robustness, Sanity
from runner.plan.work import Work
from runner.results._robustness import robust_figures, sanity_block
from runner.results._worst_case import worst_cases
from runner.statistics.averages import Averaging
from runner.storage import store
from runner.storage.answers import robustness_to_bytes

PGD20 = PGD(eps=0.1, step_size=0.025, num_steps=20)
OVER = Averaging(np.arange(4), np.arange(4) ^ 1)


def share(n: int, accuracy: float) -> np.ndarray:
    """The first images are answered rightly."""
    return np.arange(n) < round(n * accuracy)


def sane(other: Mapping[str, np.ndarray] = {}, n: int = 1000) -> dict[str | None, np.ndarray]:
    """One model on which every check passes, but for the attacks whose outcome is given."""
    right: dict[str | None, np.ndarray] = {None: share(n, 0.9)}
    for name, attack in sanity.sanity_attacks(PGD20).items():
        if isinstance(attack, PGD):
            accuracy = 0.9 - min(5 * attack.eps, 0.9) - min(attack.num_steps, 40) / 200
        else:
            accuracy = 0.5
        right[name] = share(n, max(accuracy, 0.0))
    assert right.keys() >= other.keys()
    return right | {**other}


def verdicts(block: dict[str, Any]) -> dict[str, str]:
    return {name: check["verdict"] for name, check in block.items() if isinstance(check, dict)}


@pytest.mark.parametrize("attack", [PGD(eps=0.0), PGD(eps=1.0), PGD(num_steps=0), PGD(eps=0.6)])
def test_any_pgd_can_be_varied_and_is_among_its_variations(attack: PGD):
    named = sanity.sanity_attacks(attack)
    assert attack in sanity.of_each_eps(attack)
    assert attack in sanity.of_each_num_steps(attack)
    assert len(set(named.values())) == len(named)
    block = sanity_block([{None: share(9, 1), **dict.fromkeys(named, share(9, 0))}], attack, 10)
    assert set(verdicts(block).values()) == {"pass"}


def test_a_sane_attack_passes_every_check_and_its_numbers_are_counted():
    block = sanity_block([sane(), sane()], PGD20, 10)
    assert set(verdicts(block).values()) == {"pass"}
    assert (block["num_models"], block["num_images"], block["eps"]) == (2, 2000, 0.1)
    radii = block["eps_monotone"]["points"]
    assert [point["at"] for point in radii] == pytest.approx([0, 0.05, 0.1, 0.2, 0.4, 1])
    assert radii[0]["accuracy"] == pytest.approx(0.9)
    assert radii[0]["error"] == pytest.approx((0.9 * 0.1 / 999) ** 0.5)
    first = block["eps_monotone"]["rises"][0]
    assert first["difference"] == pytest.approx(0.55 - 0.9)
    assert first["error"] == pytest.approx((0.35 * 0.65 / 999) ** 0.5)  # paired: all fall one way
    assert [p["at"] for p in block["more_steps_not_weaker"]["points"]] == [1, 5, 20, 100]
    assert [p["at"] for p in block["black_box_not_stronger"]["points"]] == ["square", "pgd"]


def test_a_costly_attack_stands_beside_the_varied_one_on_the_same_images():
    stronger = np.arange(1000) < 200  # PGD leaves 300 standing, this one 200 of them
    model = sane() | {"auto": stronger}
    (other,) = sanity_block([model, model], PGD20, 10, beside=["auto"])["beside"]
    assert (other["at"], other["accuracy"]) == ("auto", pytest.approx(0.2))
    more = other["pgd_less"]
    pgd = model["sanity_eps_0.1"]
    assert more["difference"] == pytest.approx(pgd.mean() - 0.2)
    assert more["error"] == pytest.approx(np.std(pgd.astype(float) - stronger, ddof=1) / 1000**0.5)


@pytest.mark.parametrize(
    ("name", "check", "accuracy"),
    [
        ("sanity_eps_0.2", "eps_monotone", 0.35),
        ("sanity_steps_100", "more_steps_not_weaker", 0.35),
        ("sanity_square", "black_box_not_stronger", 0.25),
        ("sanity_eps_1", "chance_at_large_eps", 0.15),
    ],
)
def test_a_check_alone_fails_where_its_comparison_goes_the_wrong_way(
    name: str, check: str, accuracy: float
):
    model = sane({name: share(1000, accuracy)})
    if name == "sanity_eps_1":
        model["sanity_eps_0.4"] = model["sanity_eps_0.2"] = share(1000, 0.2)
    found = verdicts(sanity_block([model], PGD20, 10))
    assert found.pop(check) == "fail"
    assert set(found.values()) == {"pass"}


@pytest.mark.parametrize(
    ("num_up", "num_down", "verdict"),
    [
        (0, 0, "pass"),
        (5, 0, "pass"),  # significant, but not above half a point of 1000 images
        (6, 0, "fail"),  # 2.4 standard errors
        (30, 20, "undecided"),  # one point, 1.4 standard errors
        (200, 190, "undecided"),
        (20, 30, "pass"),
    ],
)
def test_a_rise_fails_above_half_a_point_and_two_paired_errors(
    num_up: int, num_down: int, verdict: str
):
    before = np.zeros(1000, dtype=bool)
    before[: 400 + num_down] = True
    after = before.copy()
    after[:num_down] = False
    after[500 + num_down : 500 + num_down + num_up] = True
    steps = {f"sanity_steps_{n}": np.ones(1000, dtype=bool) for n in (1, 5)}
    model = sane({**steps, "sanity_eps_0.1": before, "sanity_steps_100": after})
    found = sanity_block([model], PGD20, 10)["more_steps_not_weaker"]
    assert found["verdict"] == verdict
    rise = found["rises"][-1]
    assert rise["difference"] == pytest.approx((num_up - num_down) / 1000)
    square = (num_up + num_down) / 1000 - rise["difference"] ** 2
    assert rise["error"] == pytest.approx((square / 999) ** 0.5)


def test_chance_is_reached_within_two_errors_of_one_in_so_many_classes():
    for accuracy, num_classes, verdict in [
        (0.0, 10, "pass"),
        (0.119, 10, "pass"),  # the error is 1.02 points
        (0.125, 10, "fail"),
        (0.52, 2, "pass"),
    ]:
        block = sanity_block([sane({"sanity_eps_1": share(1000, accuracy)})], PGD20, num_classes)
        assert block["chance_at_large_eps"]["verdict"] == verdict
        assert block["chance_at_large_eps"]["chance"] == 1 / num_classes


def test_the_natural_images_may_be_more_than_those_of_the_other_attacks():
    model = sane(n=200)
    longer = model | {None: np.concatenate([model[None], np.zeros(800, dtype=bool)])}
    assert sanity_block([longer], PGD20, 10) == sanity_block([model], PGD20, 10)


def gap(
    one: EvasionAttack, other: EvasionAttack, accuracies: tuple[float, float], num_classes: int = 10
) -> list[str]:
    """What is said of two attacks that leave so many images standing."""
    models = [{"aa": share(1000, accuracies[0]), "bb": share(1000, accuracies[1])}] * 4
    ball = worst_cases(models, {"aa": one, "bb": other}, OVER, num_classes)["0.1"]
    return ball["notes"]


AUTO = AutoAttack(eps=0.1)
MANY = PGD20.model_copy(update={"restarts": 10})


@pytest.mark.parametrize(
    ("one", "accuracies", "num_classes", "expected"),
    [
        (PGD20, (0.40, 0.41), 3, "With 3 classes AutoAttack is a smaller suite"),
        (MANY, (0.40, 0.41), 10, "PGD makes 20 steps from each of 10 starts"),
        (PGD20.model_copy(update={"draws": 5}), (0.40, 0.41), 10, "averages over the noise"),
        (PGD20, (0.40, 0.41), 10, "None of the known reasons applies: read the worst case."),
        (PGD20, (0.44, 0.41), 10, "PGD overstates robustness: read the worst case."),
        (PGD20, (0.54, 0.41), 10, "gradients are masked. PGD overstates robustness"),
        (PGD20.model_copy(update={"num_steps": 2}), (0.54, 0.41), 10, "2 steps, which are few."),
    ],
)
def test_a_gap_between_pgd_and_autoattack_is_explained(
    one: PGD, accuracies: tuple[float, float], num_classes: int, expected: str
):
    (note,) = gap(one, AUTO, accuracies, num_classes)
    (mirrored,) = gap(AUTO, one, (accuracies[1], accuracies[0]), num_classes)
    assert expected in note
    assert ("masked" in note) == ("masked" in expected)
    names = ("aa", "bb") if accuracies[0] < accuracies[1] else ("bb", "aa")
    points = 100 * abs(accuracies[0] - accuracies[1])
    assert note.startswith(
        f"{names[0]} leaves {points:.1f} points fewer images standing than {names[1]}: of 4,000 "
        f"images over all models, {40 * points:.0f} fall to it alone and 0 to {names[1]} alone."
    )
    assert mirrored.replace("aa", "?").replace("bb", "aa").replace("?", "bb") == note


def test_a_black_box_that_breaks_much_more_than_pgd_tells_of_gradients_that_mislead():
    (little,), (much,) = (gap(PGD20, Square(eps=0.1), (a, 0.41)) for a in (0.42, 0.47))
    assert "those that PGD follows mislead" in much
    assert "mislead" not in little
    assert "PGD overstates robustness: read the worst case." in little
    assert gap(PGD20, Square(eps=0.1), (0.41, 0.5)) == []


def test_what_is_below_half_a_point_or_as_expected_is_not_spoken_of():
    assert gap(PGD20, AUTO, (0.406, 0.41)) == []
    assert gap(PGD20, AUTO, (0.405, 0.41)) != []
    assert gap(PGD20, FGSM(eps=0.1), (0.2, 0.41)) == []


def test_figures_are_read_from_what_the_attacks_of_each_model_left(work: Work):
    runs, labels = work.plan.arms["erm"], work.dataset.test_labels[:50]
    attacks: dict[str, EvasionAttack] = {"pgd": PGD20, "auto": AUTO, "alone": FGSM(eps=0.3)}
    robustness = Robustness(num_examples=50, attacks=attacks, sanity=Sanity(num_examples=20))
    questions = Questions(Answers(draws=3), robustness, "last")
    for run in runs:
        for number, (name, asked) in enumerate(questions.attacks_of(run.number).items()):
            if name == "alone":
                continue  # it shares no ball, so nothing of it is read
            once = labels.copy()
            once[run.number : run.number + number] += 1
            mean = labels.copy()
            mean[40] += 1
            n = asked.num_examples
            content = robustness_to_bytes(np.arange(50)[:n], labels[:n], once[:n], mean[:n])
            folder = work.store.robustness(run.id, questions.robustness_id(name))
            store.write(folder / "robustness.parquet", content)
    once, mean = (robust_figures(work, "erm", questions, d) for d in (1, 3))
    assert once["worst_case"]["0.1"]["accuracy"]["mean"] == pytest.approx(48 / 50)
    assert once["worst_case"]["0.1"]["pairs"][0]["only"] == [0, 6]
    assert mean["worst_case"]["0.1"]["accuracy"]["mean"] == pytest.approx(49 / 50)
    assert (once["sanity"]["num_models"], once["sanity"]["num_images"]) == (2, 40)
    names = list(robustness.sanity_attacks)
    by_eps = [point["accuracy"] for point in once["sanity"]["eps_monotone"]["points"][1:]]
    numbers = [4 + names.index(f"sanity_eps_{eps:g}") for eps in (0.05, 0.1, 0.2, 0.4, 1)]
    assert by_eps == pytest.approx([1 - number / 20 for number in numbers])
    assert {p["accuracy"] for p in mean["sanity"]["eps_monotone"]["points"]} == {1.0}
    off = questions._replace(robustness=Robustness(num_examples=50, sanity=Sanity(num_models=0)))
    found = robust_figures(work, "erm", off, 1)
    assert found == {"worst_case": {}, "sanity": None}


def test_the_same_images_in_more_models_are_not_more_images():
    """Models that agree say what one says: the same error, and the same verdicts."""
    model = sane({"sanity_square": share(200, 0.30)})
    one, eight = (sanity_block([model] * n, PGD20, 10) for n in (1, 8))
    for check in ("eps_monotone", "more_steps_not_weaker", "black_box_not_stronger"):
        assert one[check] == eight[check]
    apart = sanity_block([model] * 8, PGD20, 10, same_images=False)
    errors = [each["black_box_not_stronger"]["points"][0]["error"] for each in (one, apart)]
    assert errors[1] < errors[0] / 2
