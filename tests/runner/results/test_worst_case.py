"""The worst case of several attacks on the same images."""

import numpy as np

from attacks.evasion import EvasionAttack
from attacks.evasion.autoattack import AutoAttack
from attacks.evasion.fgsm import FGSM
from attacks.evasion.pgd import PGD
from runner.results._worst_case import worst_cases
from runner.statistics.averages import Averaging
from runner.statistics.intervals import mean_interval

PGD20 = PGD(eps=0.1, step_size=0.025, num_steps=20)
PARTNER = np.arange(4) ^ 1
OVER = Averaging(np.arange(4), PARTNER)


def bits(*rows: str) -> list[np.ndarray]:
    return [np.array([c == "1" for c in row]) for row in rows]


def test_the_worst_case_is_what_withstands_all_attacks_of_one_eps():
    attacks: dict[str, EvasionAttack] = {
        "pgd": PGD20,
        "auto": AutoAttack(eps=0.1),
        "far": FGSM(eps=0.3),
        "fast": FGSM(eps=0.1),
    }
    of_pgd = bits("1110", "1111", "1100", "0011")
    of_auto = bits("1101", "1111", "0011", "0011")
    of_fast = bits("1111", "0111", "1111", "1111")
    models = [
        {"pgd": pgd, "auto": auto, "fast": fast}
        for pgd, auto, fast in zip(of_pgd, of_auto, of_fast, strict=True)
    ]
    found = worst_cases(models, attacks, OVER, 10)
    assert list(found) == ["0.1"]
    ball = found["0.1"]
    assert ball["attacks"] == ["pgd", "auto", "fast"]
    right = np.array([0.5, 0.75, 0.0, 0.5])
    assert ball["accuracy"] == mean_interval(right, PARTNER)._asdict()
    first, *_ = ball["pairs"]
    assert first["attacks"] == ["pgd", "auto"]
    assert first["only"] == [1 + 0 + 2 + 0, 1 + 0 + 2 + 0]
    assert first["num_images"] == 16
    assert first["difference"] == mean_interval(np.zeros(4), PARTNER, (-1, 1))._asdict()
    assert [pair["attacks"] for pair in ball["pairs"][1:]] == [["pgd", "fast"], ["auto", "fast"]]
    some = Averaging(np.array([0, 2]), PARTNER)
    fewer = worst_cases(models, attacks, some, 10)["0.1"]
    assert fewer["accuracy"]["mean"] == 0.25
    assert fewer["pairs"][0]["num_images"] == 8


def test_two_radii_that_are_one_to_six_digits_are_two_balls():
    radii = {"a": 0.1, "b": 0.1, "c": 0.10000001, "d": 0.10000001}
    attacks = {name: FGSM(eps=eps) for name, eps in radii.items()}
    models = [
        dict.fromkeys("ab", right) | dict.fromkeys("cd", ~right) for right in bits("1110") * 4
    ]
    found = worst_cases(models, attacks, OVER, 10)
    assert {eps: ball["attacks"] for eps, ball in found.items()} == {
        "0.1": ["a", "b"],
        "0.10000001": ["c", "d"],
    }
    assert [ball["accuracy"]["mean"] for ball in found.values()] == [0.75, 0.25]


def test_attacks_that_share_no_ball_have_no_worst_case():
    assert worst_cases([], {"pgd": PGD20, "far": PGD(eps=0.3)}, OVER, 10) == {}
