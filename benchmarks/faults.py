"""The fault campaign: what a run loses when something dies, fills up or hangs at a random moment.

    PYTHONPATH=. python benchmarks/faults.py --trials 20 --seed 1 [--kinds worker ...]

The command line trains 16 small models on a real Ray cluster of this host (`fault_worlds.py`). At
random moments, up to five in one experiment, one thing is done to it (`fault_kinds.py`); when
the command has ended without success it is given again, until it ends well. Moments are uniform
over the seconds that an undisturbed run takes, for what ends the command; else 5 to 25 s after the
last one. Where there is nothing to strike at the moment, such as no worker, the first one after it
counts. Then the experiment is compared with the undisturbed one:

commands   that were needed for the experiments, beyond one each
lost       Runs that were finished before a strike and are not at the end
repeated   Runs that were finished before it, undamaged, and were trained again
same bits  trials in experiments whose weights and figures are those of the undisturbed run
named      trials that an event in the final results names
recovery   seconds from the end of a strike until the next thing was finished: median (most)

`disk`, `share` and `partition` mount or make network namespaces, so they need root; elsewhere they
are left out. `raises`, `memory` and `hangs` are one Run that always does so: one trial each.
"""

import argparse
import json
import os
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from fault_kinds import FAULTS, NEEDS_ROOT, Fault  # beside this file
from fault_worlds import HERE, World

from runner.cluster.connect import ENVIRONMENT

LIMIT_S = 300.0  # for a command to end or to be struck again
ROOM = 8e9  # bytes that a cluster and its Runs may take before Ray calls a node out of memory
THRESHOLD = "RAY_memory_usage_threshold"


class Trial(NamedTuple):
    """One strike."""

    kind: str
    number: int  # of its experiment
    at: float  # UNIX time
    before: dict[str, str]  # what was finished then
    run: str  # whose file was damaged, or ""


class Outcome(NamedTuple):
    """What became of one trial."""

    kind: str
    experiment: int
    commands: int  # of its experiment
    ended_well: bool
    lost: int
    repeated: int
    same_bits: bool
    named: bool
    recovery_s: float | None


class Disturbed:
    """One experiment that is struck several times."""

    def __init__(self, world: World, kind: str, number: int, rng: random.Random) -> None:
        self.world, self.kind, self.number, self.rng = world, kind, number, rng
        self.fault: Fault = FAULTS[kind]
        self.trials: list[Trial] = []
        self.recovered: dict[float, float] = {}  # strike -> seconds
        self.commands = 1

    def run(self, strikes: int, usual_s: float) -> None:
        """Strike so often, and give the command until it ends well."""
        world, fault = self.world, self.fault
        world.start_driver(fault.poison)
        while True:
            left = strikes - len({trial.at for trial in self.trials})
            if left > 0 and not fault.poison:
                gap = (0.0, usual_s) if fault.ends_command else (5.0, 25.0)
                code = self._watch(self.rng.uniform(*gap))
                while code is None and not self._strike():
                    code = self._watch(0.2)
            else:
                code = self._watch(LIMIT_S)
                if code is None:
                    world.kill_driver()
            if fault.poison and self.commands == 1:
                self._strike()
            code = world.code()  # a strike may have ended it, and may have lasted
            if code == 0 or self.commands > strikes + 3:
                return
            if code is not None:
                world.heal()
                if fault.ends_cluster:
                    world.stop_cluster()
                world.start_driver()
                self.commands += 1

    def _strike(self) -> bool:
        before = self.world.finished()
        struck = self.fault.strike(self.world, self.rng)
        at = time.time()
        for what, run in struck.items():
            kind = f"{self.kind}: {what}" if what else self.kind
            self.trials.append(Trial(kind, self.number, at, before, run))
        return bool(struck)

    def _watch(self, for_s: float) -> int | None:
        """Wait so long, or until the driver has ended; note when something was finished."""
        until = time.time() + for_s
        last = self.trials[-1].at if self.trials else None
        seen = self._progress()
        while (code := self.world.code()) is None and time.time() < until:
            time.sleep(0.1)
            if last is not None and last not in self.recovered and self._progress() - seen:
                self.recovered[last] = time.time() - last
        return code

    def _progress(self) -> set[str]:
        try:
            return self.world.progress()
        except OSError:  # of a storage that is away
            return set()

    def outcomes(self, bits: str) -> list[Outcome]:
        """What became of every trial."""
        well = self.world.code() == 0
        after = self.world.finished()
        same = well and self.world.bits() == bits
        texts = [event["text"] for event in self.world.results()["events"]] if well else []
        named = sum(re.search(self.fault.named, text) is not None for text in texts)
        damaged = {trial.run for trial in self.trials}
        found = []
        for n, trial in enumerate(self.trials):
            whole = {run: digest for run, digest in trial.before.items() if run not in damaged}
            found.append(
                Outcome(
                    trial.kind,
                    self.number,
                    self.commands,
                    well,
                    sum(run not in after for run in whole),
                    sum(run in after and after[run] != digest for run, digest in whole.items()),
                    same,
                    n < named,
                    self.recovered.get(trial.at),
                )
            )
        return found


def row(kind: str, outcomes: Sequence[Outcome]) -> str:
    """One line of the table."""
    seconds = [one.recovery_s for one in outcomes if one.recovery_s is not None]
    beyond = sum({one.experiment: one.commands - 1 for one in outcomes}.values())
    recovery = f"{statistics.median(seconds):.0f} ({max(seconds):.0f})" if seconds else ""
    sums = [sum(of) for of in zip(*(one[4:8] for one in outcomes), strict=True)]
    return f"| {kind} | {len(outcomes)} | {beyond} | {' | '.join(map(str, sums))} | {recovery} |"


def campaign(kind: str, trials: int, seed: int, usual: tuple[float, str], record: Path) -> None:
    """Do the trials of one kind and print its lines of the table."""
    fault, usual_s, bits = FAULTS[kind], *usual
    found: list[Outcome] = []
    struck = number = 0
    if kind == "memory":  # a cluster that calls a node full before this machine is
        memory = psutil.virtual_memory()
        threshold = (memory.total - memory.available + ROOM) / memory.total
        os.environ[THRESHOLD] = f"{min(threshold, 0.95):.3f}"
    world = fault.world(Path(tempfile.mkdtemp()))
    try:
        while struck < trials:
            rng = random.Random(f"{seed} {kind} {number}")
            disturbed = Disturbed(world, kind, number, rng)
            disturbed.run(min(fault.strikes, trials - struck), usual_s)
            struck += max(1, len({trial.at for trial in disturbed.trials}))
            outcomes = disturbed.outcomes(bits)
            found += outcomes
            with record.open("a") as file:
                file.writelines(json.dumps(one._asdict()) + "\n" for one in outcomes)
            if not all(one.same_bits and one.named for one in outcomes):
                print(world.log.read_text(errors="replace"), flush=True)
            world.leave()
            number += 1
            if fault.poison:
                break
            world.move(Path(tempfile.mkdtemp()))
    finally:
        world.kill_driver()
        world.stop_cluster()
        world.leave()
        os.environ.pop(THRESHOLD, None)
    for name in Counter(one.kind for one in found):
        print(row(name, [one for one in found if one.kind == name]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20, help="strikes of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=[*FAULTS])
    parser.add_argument(
        "--record",
        type=Path,
        default=Path("faults.jsonl"),
        help="file to which every trial is added; faults.jsonl by default",
    )
    given = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE)])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["RUNNER_WITHOUT_TOKEN"] = "1"  # clusters of Ray's test class have none
    world = World(Path(tempfile.mkdtemp()))
    world.start_cluster()
    started = time.time()
    world.start_driver()
    assert world.driver is not None
    assert world.driver.wait() == 0, world.log.read_text()
    usual = time.time() - started, world.bits()
    print(f"undisturbed: {usual[0]:.0f} s, {len(world.finished())} Runs", flush=True)
    world.stop_cluster()
    world.leave()
    head = "| kind | trials | commands | lost | repeated | same bits | named | recovery (s) |"
    print(head, "|---|---|---|---|---|---|---|---|", sep="\n", flush=True)
    for kind in given.kinds:
        if issubclass(FAULTS[kind].world, NEEDS_ROOT) and os.geteuid() != 0:
            print(f"| {kind} | needs root | | | | | | |", flush=True)
        else:
            campaign(kind, given.trials, given.seed, usual, given.record)


if __name__ == "__main__":
    main()
