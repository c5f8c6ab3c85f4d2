"""A line that says what a defense or an attack is."""

from pydantic import NonNegativeFloat

from attacks.by_name import Keys
from attacks.evasion.pgd import PGD
from defenses.demem import DeMem
from defenses.erm import ERM
from defenses.trades import TRADES, InnerPGD
from runner.experiment.describe import one_line


def test_a_line_names_everything_that_is_nested_with_its_defaults():
    inner = InnerPGD(eps=0.15, step_size=0.05, num_steps=5)
    base = TRADES(attack=inner)
    demem = DeMem(weight=0.2, on="adversarial", normaliser="n-1", base=base)
    assert one_line(demem) == (
        "demem(weight 0.2, on adversarial, normaliser n-1, base trades(beta 6, attack pgd("
        "eps 0.15, step_size 0.05, num_steps 5, start normal, clamp_start false, restarts 1, "
        "craft_in eval, draws 1)))"
    )


def test_a_radius_prints_in_255ths_and_other_numbers_in_full():
    line = one_line(PGD(eps=8 / 255, step_size=0.0123456789))
    assert line.startswith("pgd(eps 8/255, step_size 0.0123456789, num_steps 10, start uniform,")
    assert one_line(PGD(eps=0.2)).startswith("pgd(eps 0.2,")  # which is 51/255


def test_what_has_no_value_is_left_out():
    class Part(Keys):
        name: str = "part"
        milestones: tuple[float, ...] = ()
        limit: NonNegativeFloat | None = None

    assert one_line(ERM()) == "erm"
    assert one_line(Part()) == "part"
    assert one_line(Part(milestones=(30, 0.5), limit=0)) == "part(milestones [30, 0.5], limit 0)"
