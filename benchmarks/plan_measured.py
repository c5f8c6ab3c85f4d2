"""What `plan --measure` says beside what finished models took, experiment by experiment.

    python benchmarks/plan_measured.py STORAGE EXPERIMENT [EXPERIMENT ...]

Of each finished experiment of a storage, whose records say what its models took: every step is
measured anew on a few images as if nothing were known, for 60 s an experiment, and the seconds of
all its models are added up both ways. Nothing is written. The data must be where the experiment's
own YAML has them.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from runner.experiment.experiment import Experiment
from runner.forecast.forecast import step_times_of
from runner.forecast.measured import TRAIN, Step, StepTimes, recipe_of, with_measured
from runner.plan.work import Work, to_plan
from runner.storage import store


def compare(work: Work) -> None:
    """Print one experiment's line."""
    real, measured = step_times_of(work, None), with_measured(work, StepTimes({}, "", []))
    sums = defaultdict[str, list[float]](lambda: [0.0, 0.0])
    for run in work.plan.runs:
        recipe = recipe_of(run)
        for what in (TRAIN, *(folder.name for folder in work.asked(run))):
            step = Step(recipe, what)
            if step in real.of and step in measured.of:
                kind = TRAIN if what == TRAIN else "asking"
                for place, times in enumerate((measured, real)):
                    sums[kind][place] += times.of[step].median
    told = [f"{kind} {a:.0f} s and {b:.0f} s" for kind, (a, b) in sums.items()]
    first, second = (sum(each[place] for each in sums.values()) for place in (0, 1))
    error = f"{100 * (first / second - 1):+.0f} %" if second else "nothing known"
    print(f"{work.experiment.name}: {', '.join(told)}; in all {error}", flush=True)


def main() -> None:
    storage, *names = sys.argv[1:] or sys.exit(__doc__)
    for name in names:
        described = Path(storage) / "experiments" / name / store.DESCRIBED
        experiment = Experiment.model_validate(json.loads(described.read_text())["experiment"])
        compare(to_plan(experiment, storage, None))


if __name__ == "__main__":
    main()
