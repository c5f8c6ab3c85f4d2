"""The losses of the Runs in work so far, as their workers told them: what a page draws."""

import math
import re

from runner.driver.snapshot import Snapshot

WORD = re.compile(r"epoch (\d+)/\d+ loss (\S+)")  # as `runner.train.train` says it
MAX_POINTS = 64  # of a Run; of more every other one is left out
MAX_RUNS = 64  # of which curves are kept; driver.json is written every 5 s


class Losses:
    """By Run, the losses since this driver began; those of Runs no longer in work are dropped."""

    def __init__(self) -> None:
        self._epochs: dict[str, dict[int, float]] = {}  # run id -> epoch -> loss

    def see(self, state: Snapshot) -> None:
        """Take in the state of the queue."""
        now: dict[str, dict[int, float]] = {}  # another thread may be reading
        for work in [*state.working.values()][:MAX_RUNS]:
            kept = dict(self._epochs.get(work.run_id, {}))
            if (told := WORD.fullmatch(work.word)) and math.isfinite(loss := _number(told[2])):
                kept[int(told[1])] = loss
            if len(kept) > MAX_POINTS:
                kept = {epoch: kept[epoch] for epoch in [*kept][::2]}
            now[work.run_id] = kept
        self._epochs = now

    def of(self, run_id: str) -> list[float]:
        """Return a Run's losses in the order of its epochs, MAX_POINTS at the most."""
        return [*self._epochs.get(run_id, {}).values()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
