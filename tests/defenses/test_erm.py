"""Plain training's loss and gradients."""

from tests.made.defenses import is_as_stated


def test_the_loss_and_its_gradient_are_what_the_paper_states():
    is_as_stated("erm")
