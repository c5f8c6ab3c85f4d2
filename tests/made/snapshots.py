"""States of a queue."""

from runner.driver.snapshot import Claim, Snapshot


def state(**changes: object) -> Snapshot:
    """A queue of four Runs, one done and one half done, with these changes."""
    working = {"l/0": Claim("erm-m001", "epoch 1/2", 0.5, ticket=1)}
    start = Snapshot(4, 1, {}, working, [], 2, "", 30.0, closed=True)
    made = start._replace(**changes)  # pyright: ignore[reportArgumentType]
    return made._replace(cost=made.total, cost_ended=made.ended)
