"""Runs that are marked done, with seconds that nobody has measured."""

from runner.plan.work import Work
from runner.storage import store

DEVICE = "some device"


def done(work: Work, arm: str, number: int, seconds: float, device: str = DEVICE) -> None:
    """Mark a Run done: so many seconds of training, and a tenth of them for each question."""
    run = work.plan.arms[arm][number]
    facts = {"train_time_s": seconds, "epoch_time_s": seconds / 2, "other_time_s": 0.0}
    store.finish(work.store.run(run.id), [], {**facts, "device": device})
    for folder in work.asked(run):
        store.finish(folder, [], {"time_s": seconds / 10, "device": device})
