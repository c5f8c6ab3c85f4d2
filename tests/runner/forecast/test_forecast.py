"""Hours and cost on a named cluster: closed forms, and nothing made up where nothing is known."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from runner.driver.progress import duration
from runner.experiment.experiment import Experiment
from runner.forecast._estimate import estimate, kind_of
from runner.forecast._step_times import TRAIN, step_times_of, steps_left
from runner.forecast.forecast import forecast
from runner.plan.work import Work, prepare
from tests.conftest import ROOT, TINY
from tests.made.timings import cluster, done


def test_the_spread_is_of_the_fastest_and_the_slowest_run_of_each_arm(known: Work):
    done(known, "erm", 1, 8.0)
    done(known, "erm", 2, 30.0)
    times = step_times_of(known, None)
    (step,) = (s for s in times.of if s.what == TRAIN and times.of[s].num_runs == 3)
    assert times.of[step] == (10.0, 8.0, 30.0, 3)
    text = forecast(known, cluster())
    low, high = (
        estimate(known, cluster(), times, which).total_s
        for which in (lambda s: s.low, lambda s: s.high)
    )
    assert low < estimate(known, cluster(), times).total_s < high
    assert re.search(r"in all (.*) \[(.*) to (.*), if each step were the fastest", text)


def test_the_time_of_one_worker_has_what_asking_and_attacking_take(known: Work):
    times = step_times_of(known, None)
    left = [step for run in known.plan.runs for step in steps_left(known, run)]
    seconds = {kind_of(step): 0.0 for step in left}
    for step in left:
        seconds[kind_of(step)] += times.of[step].median
    assert seconds["training"] == 100.0
    assert len(seconds) > 2
    parts = ", ".join(f"{kind} {duration(each)}" for kind, each in seconds.items())
    whole = duration(sum(seconds.values()))
    said = f"time: {whole} of one worker, divided by the workers ({parts})\n"
    assert said in forecast(known)


def test_the_cost_is_nodes_times_hours_times_price(known: Work):
    priced = cluster(nodes=3, price_per_node_hour=7200, currency="EUR")
    total = estimate(known, priced, step_times_of(known, None)).total_s
    text = forecast(known, priced)
    assert f"cost: {6 * total:,.2f} [" in text
    assert "EUR, 3 nodes at 7200 an hour each" in text
    assert "cost: mine.yaml has no price_per_node_hour" in forecast(known, cluster())


def test_without_times_no_number_is_made_up_but_a_command_is_given(work: Work):
    done(work, "erm", 0, 10.0)
    text = forecast(work, cluster(), "runner run tiny.yaml")
    assert "hours and cost: not known, since nothing like this was measured: pgd_at\n" in text
    assert "in all" not in text
    assert "time: not known before one model of each arm is trained and asked" in forecast(work)
    assert "cost: " not in text.replace("and cost: not known", "")
    assert "measure it with 6 models of each arm, 2 epochs each" in text
    assert "  runner run tiny.yaml --set name=short --set design.num_models=6" in text


def test_attacks_whose_cost_nobody_measured_are_named(known: Work):
    names = ("lira", "threshold", "rmia", "info_rmia", "label_only")
    attacks = {name: {"name": name} for name in names}
    more = Experiment.model_validate({**TINY, "membership": {"attacks": attacks}})
    said = "the audit counts info_rmia, label_only as LiRA, which may be too little"
    assert said in forecast(prepare(more, known.store.root), cluster())
    assert "as LiRA" not in forecast(known, cluster())


def test_plan_never_imports_ray(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(TINY))
    line = f"plan {tmp_path / 'x.yaml'} --storage {tmp_path / 's'} --cluster two_cores"
    code = "import sys; sys.modules['ray'] = None; from runner.__main__ import app; app()"
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "on two_cores, 1 x (2 CPUs, 0 GPUs), 2 Runs at a time:" in done.stdout


def test_gpus_that_stand_idle_are_told_of(known: Work):
    said = "its GPUs stand idle: set fleet.num_gpus to auto"
    assert said in forecast(known, cluster(gpus=8))
    assert said not in forecast(known, cluster())
    fleet = known.experiment.fleet.model_copy(update={"num_gpus": "auto"})
    packed = known.experiment.model_copy(update={"fleet": fleet})
    assert said not in forecast(known._replace(experiment=packed), cluster(gpus=8))
