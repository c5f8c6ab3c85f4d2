"""What the residual-perturbation paper shows by itself, with no model trained.

Each demonstration is two files: the mathematics, and its table, figures and JSON.
"""

from runner.faults import UserFault


class BadInput(UserFault):
    """A value that a demonstration cannot work with; the message says what to give instead."""


def expect(right: bool, expected: str, got: object) -> None:
    """Raise BadInput unless the input is right.

    Raises:
        BadInput: it is not.
    """
    if not right:
        raise BadInput(f"expected {expected}, got {got}")
