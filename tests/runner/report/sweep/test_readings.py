import numpy as np
import pytest

from runner.report.sweep.readings import Trial, axis_names, best_of, number


@pytest.mark.parametrize("seed", range(5))
def test_best_of_finds_what_comparing_every_two_finds(seed):
    drawn = np.random.default_rng(seed).integers(0, 8, (30, 2)) / 8
    some = [Trial(str(i), {}, {}, 16, {}, None, True) for i in range(30)]
    found = best_of(some, lambda one: (drawn[int(one.id)][0], drawn[int(one.id)][1]))
    got = [tuple(drawn[int(one.id)]) for one in found]
    beaten = [
        any(b[0] >= a[0] and b[1] <= a[1] and tuple(b) != tuple(a) for b in drawn) for a in drawn
    ]
    assert got == sorted({tuple(a) for a, lost in zip(drawn, beaten, strict=True) if not lost})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.2, 0.2), (3, 3.0), ("8/255", 8 / 255), ("1e-3", 1e-3)],
)
def test_numbers_are_read_as_configurations_write_them(value, expected):
    assert number(value) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("value", [True, None, "trades", "1/0", {"name": "trades"}, [1]])
def test_what_is_no_number_is_none(value):
    assert number(value) is None


def test_an_axis_is_called_by_as_much_of_its_key_as_no_other_shares():
    axes = ["arms.demem.defense.weight", "training.lr", "arms.a.eps", "arms.b.eps"]
    assert [*axis_names({"axes": axes}).values()] == ["weight", "lr", "a.eps", "b.eps"]
