"""What a demonstration cannot work with."""

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
