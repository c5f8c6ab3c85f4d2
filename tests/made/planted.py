"""A pickle that tests plant where data belongs: unpickling it leaves a file behind."""

import pickle
from pathlib import Path


class Trap:
    """Unpickling one touches a file."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> tuple:
        return Path.touch, (self.at,)


def trap(sprung: Path) -> bytes:
    """The pickle of a trap, which is known to work."""
    content = pickle.dumps(Trap(sprung), protocol=2)  # as PyTorch writes it
    pickle.loads(content)
    assert sprung.exists()
    sprung.unlink()
    return content
