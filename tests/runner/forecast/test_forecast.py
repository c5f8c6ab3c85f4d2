"""Hours and cost on a named cluster: closed forms, and nothing made up where nothing is known."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.cluster.timetable import list_schedule
from runner.experiment.config import ConfigError
from runner.experiment.experiment import Experiment
from runner.experiment.fleet import Fleet
from runner.forecast._estimate import estimate, unknown_steps
from runner.forecast._short_version import short_version
from runner.forecast._step_times import TRAIN, rates_of, steps_left
from runner.forecast.forecast import forecast
from runner.forecast.named_cluster import NamedCluster, NodesOfOneKind, read_cluster
from runner.plan.work import Work, prepare
from runner.storage import store
from runner.train.train import train
from runner.train.workplace import Workplace
from tests.conftest import TINY, place_of
from tests.made.commands import invoke
from tests.made.timings import DEVICE, done

HOUSE = Path(__file__).parents[3]


def cluster(**keys: Any) -> NamedCluster:
    of = NodesOfOneKind.model_validate({"nodes": 1, "cpus": 1, "speed": 1, "start_s": 0, **keys})
    return NamedCluster("mine", "mine.yaml", of)


def audited(work: Work) -> None:
    store.finish(work.scores, [], {})


def test_workers_that_are_free_take_the_next_run():
    assert list_schedule([5.0] * 12, 4) == [15.0] * 4
    assert list_schedule([5.0] * 13, 4) == [15.0, 15.0, 15.0, 20.0]
    assert list_schedule([1.0, 2.0, 3.0], 1) == [6.0]
    assert list_schedule([1.0, 2.0, 3.0], 5) == [0.0, 0.0, 1.0, 2.0, 3.0]
    assert list_schedule([], 2) == [0.0, 0.0]
    assert max(list_schedule([1, 1, 1, 1, 4], 2)) == 6
    assert max(list_schedule([4, 1, 1, 1, 1], 2)) == 4


def seconds_of(work: Work, arm: str) -> float:
    """Of one Run of `done(..., 10.0)` after the first two, which are asked more."""
    return 10.0 + 1.0 * len(work.asked(work.plan.arms[arm][-1]))


@pytest.fixture
def known(work: Work) -> Work:
    """Both arms have one Run done, of ten seconds; five of each are left."""
    for arm in work.plan.arms:
        done(work, arm, 0, 10.0)
    audited(work)
    return work


def test_one_worker_takes_the_sum_and_enough_workers_the_longest(known: Work):
    rates = rates_of(known, None)
    each = [sum(rates.of[step].median for step in steps_left(known, r)) for r in known.pending]
    assert len(each) == 10
    # The second Run of an arm is asked for sanity's sake too.
    assert each[-1] == pytest.approx(seconds_of(known, "erm"))
    one, many = (estimate(known, cluster(cpus=n), rates) for n in (1, 64))
    assert one.runs_s == one.total_s == pytest.approx(sum(each))
    assert one.idle == pytest.approx(0)
    assert many.runs_s == pytest.approx(max(each))
    assert many.idle == pytest.approx(1 - sum(each) / (64 * max(each)))


def test_a_faster_cluster_takes_a_share_of_the_time_beside_its_start(known: Work):
    rates = rates_of(known, None)
    plain = estimate(known, cluster(), rates)
    fast = estimate(known, cluster(speed=4, start_s=7), rates)
    assert fast.runs_s == pytest.approx(plain.runs_s / 4)
    assert fast.total_s == pytest.approx(plain.runs_s / 4 + 7)


def test_the_spread_is_of_the_fastest_and_the_slowest_run_of_each_arm(known: Work):
    done(known, "erm", 1, 8.0)
    done(known, "erm", 2, 30.0)
    rates = rates_of(known, None)
    (step,) = (s for s in rates.of if s.what == TRAIN and rates.of[s].num_runs == 3)
    assert rates.of[step] == (10.0, 8.0, 30.0, 3)
    text = forecast(known, cluster())
    low, high = (
        estimate(known, cluster(), rates, which).total_s
        for which in (lambda s: s.low, lambda s: s.high)
    )
    assert low < estimate(known, cluster(), rates).total_s < high
    assert re.search(r"in all (.*) \[(.*) to (.*), if each step were the fastest", text)


def test_the_cost_is_nodes_times_hours_times_price(known: Work):
    priced = cluster(nodes=3, price_per_node_hour=7200, currency="EUR")
    total = estimate(known, priced, rates_of(known, None)).total_s
    text = forecast(known, priced)
    assert f"cost: {6 * total:,.2f} [" in text
    assert "EUR, 3 nodes at 7200 an hour each" in text
    assert "cost: mine.yaml has no price_per_node_hour" in forecast(known, cluster())


def test_what_is_done_takes_no_time(work: Work):
    for arm, runs in work.plan.arms.items():
        for number in range(len(runs)):
            done(work, arm, number, 10.0)
    audited(work)
    assert estimate(work, cluster(start_s=9), rates_of(work, None)).total_s == 0
    assert "in all 0 s [0 s to 0 s" in forecast(work, cluster())


def test_a_trained_run_that_was_not_asked_takes_the_time_of_its_questions(known: Work):
    run = known.plan.arms["erm"][5]
    store.finish(known.store.run(run.id), [], {"train_time_s": 10.0, "device": DEVICE})
    assert TRAIN not in {step.what for step in steps_left(known, run)}
    assert len(steps_left(known, run)) == len(known.asked(run))


def test_without_times_no_number_is_made_up_but_a_command_is_given(work: Work):
    done(work, "erm", 0, 10.0)
    text = forecast(work, cluster(), "runner run tiny.yaml")
    assert "hours and cost: not known, since nothing like this was measured: pgd_at\n" in text
    assert "in all" not in text
    assert "cost: " not in text.replace("and cost: not known", "")
    assert "measure it with 6 models of each arm, 2 epochs each" in text
    assert "  runner run tiny.yaml --set name=short --set design.num_models=6" in text


def test_a_question_that_was_never_asked_has_no_time_either(known: Work):
    attacks = {"new": {"name": "fgsm"}}
    robustness = {**TINY["robustness"], "attacks": TINY["robustness"]["attacks"] | attacks}
    more = Experiment.model_validate({**TINY, "robustness": robustness})
    asked = prepare(more, known.store.root)
    assert unknown_steps(asked, rates_of(asked, None)) == {"erm": ["fgsm"], "pgd_at": ["fgsm"]}


def test_attacks_whose_cost_nobody_measured_are_named(known: Work):
    attacks = {name: {"name": name} for name in ("lira", "threshold", "rmia", "label_only")}
    more = Experiment.model_validate({**TINY, "membership": {"attacks": attacks}})
    said = "the audit counts rmia, label_only as LiRA, which may be too little"
    assert said in forecast(prepare(more, known.store.root), cluster())
    assert "as LiRA" not in forecast(known, cluster())


def test_times_of_one_device_are_not_mixed_with_those_of_another(work: Work):
    for arm in work.plan.arms:
        done(work, arm, 0, 10.0, "slow one")
        done(work, arm, 1, 10.0, "slow one")
        done(work, arm, 2, 1.0, "fast one")
    rates = rates_of(work, None)
    assert (rates.device, rates.others) == ("slow one", ["fast one"])
    assert rates_of(work, None, "fast").trained(work.plan.runs[0]) == 1.0
    assert rates_of(work, None, "other").of == {}
    assert "left out: times measured on fast one" in forecast(work, cluster())


EPOCHS = {"training": {**TINY["training"], "epochs": 9}}


def test_the_last_epoch_of_a_short_version_stands_for_all(tmp_path: Path):
    work = prepare(Experiment.model_validate({**TINY, **EPOCHS}), tmp_path)
    short = short_version(work, "runner run x")
    assert short is not None
    assert short.command.endswith("--set training.epochs=2")
    for arm in work.plan.arms:
        done(short.work, arm, 0, 10.0)  # 5 s an epoch
    rates = rates_of(work, short.work)
    assert rates.trained(work.plan.runs[0]) == 45.0
    assert not unknown_steps(work, rates)


@pytest.mark.parametrize(
    "changes",
    [
        {**EPOCHS, "design": {"num_models": 64}},
        {"training": {"epochs": 30, "schedule": {"warmup_epochs": 5}}},
        {
            **EPOCHS,
            "arms": {**TINY["arms"], "long": {"defense": "erm", "training": {"epochs": 20}}},
        },
        {**EPOCHS, "design": {"num_models": 16}, "averages": {"num_models": 12}},
        {"design": {"num_models": 12}, "memorization": {"arm": "erm"}},
        {"design": {"num_models": 64}, "vulnerable": {"attack": "lira_online"}},
        {
            "design": {"name": "canaries", "num_models": 64, "canaries": {"num": 20}},
            "training": {"epochs": 4, "batch_size": 32},
        },
    ],
    ids=[
        "more models",
        "warmup",
        "an arm of its own",
        "averages",
        "memorization",
        "vulnerable",
        "canaries",
    ],
)
def test_the_command_to_measure_makes_the_very_runs_that_plan_then_looks_for(
    changes: dict[str, Any], tmp_path: Path
):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({**TINY, **changes}))
    at = ["--storage", str(tmp_path / "s")]
    code, out = invoke("plan", str(tmp_path / "x.yaml"), *at, "--cluster", "two_cores")
    assert code == 0, out
    (command,) = re.findall(r"^ +(runner run .*)$", out, re.M)
    given = [word.strip("'") for word in re.findall(r"--set ('[^']*'|\S+)", command)]
    experiment = read_experiment(tmp_path / "x.yaml", [])
    short = short_version(prepare(experiment, tmp_path / "s"), "runner run")
    assert short is not None
    again = prepare(read_experiment(tmp_path / "x.yaml", given), tmp_path / "s")
    assert {run.id for run in again.plan.runs} == {run.id for run in short.work.plan.runs}
    assert len(again.plan.arms["erm"]) <= 8


def read_experiment(path: Path, overrides: list[str]) -> Experiment:
    from runner.experiment import config

    return config.load(path, overrides, Experiment)


def test_real_steps_write_what_plan_reads(work: Work, place: Workplace):
    for arm in work.plan.arms:
        run = work.plan.arms[arm][0]
        for step in work.task(run).steps:
            step(run, place)
    rates = rates_of(work, None)
    assert "thread" in rates.device
    assert not unknown_steps(work, rates)
    assert all(0 < s.low <= s.median <= s.high < 60 for s in rates.of.values())
    assert "idle at the end" in forecast(work, cluster())


def test_a_run_that_went_on_from_a_checkpoint_counts_its_own_seconds(work: Work):
    run, calls = work.plan.runs[0], []

    def stop(word: str, part: float) -> None:
        calls.append(word)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(run, place_of(work)._replace(tell=stop))
    train(run, place_of(work))
    facts = store.facts(work.store.run(run.id))
    assert facts is not None
    assert 0 <= facts["other_time_s"] < 30
    assert 0 < facts["epoch_time_s"] < facts["train_time_s"]


@pytest.mark.parametrize(
    ("keys", "fleet", "at_once"),
    [
        ({"nodes": 2, "cpus": 8}, {}, 16),
        ({"nodes": 8, "cpus": 128, "gpus": 8}, {"num_gpus": 1}, 64),
        ({"nodes": 8, "cpus": 128, "gpus": 8}, {"num_gpus": 0.5, "workers_per_run": 4}, 32),
        ({"nodes": 8, "cpus": 128, "gpus": 8, "packing": 3}, {"num_gpus": 1}, 192),
        ({"nodes": 8, "cpus": 4, "gpus": 8, "packing": 3}, {"num_gpus": 1}, 32),
        ({"nodes": 3, "cpus": 8}, {"max_workers": 2}, 6),
    ],
)
def test_runs_at_once_follow_from_the_nodes_and_the_fleet(
    keys: dict[str, Any], fleet: dict[str, Any], at_once: int
):
    assert cluster(**keys).runs_at_once(Fleet.model_validate(fleet)) == at_once


def test_a_cluster_without_room_is_a_fault_of_its_file(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump({**TINY, "fleet": {"num_gpus": 1}}))
    at = ["--storage", str(tmp_path / "s"), "--cluster", "two_cores"]
    code, out = invoke("plan", str(tmp_path / "x.yaml"), *at)
    assert code == 2
    assert "1 CPUs and 1 GPUs each, and no node has that" in out
    assert "(nodes: 2 CPUs and 0 GPUs)" in out


def test_faults_of_a_cluster_file_are_told_at_once(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("nodes: 0\ncpu: 2\ncpus: 2\nspeed: 1\n")
    with pytest.raises(ConfigError) as raised:
        read_cluster(str(tmp_path / "bad.yaml"))
    assert "line 2: cpu: unknown key 'cpu'; did you mean 'cpus'?" in str(raised.value)
    assert "line 1: nodes: input should be greater than 0" in str(raised.value)
    with pytest.raises(ConfigError, match="did you mean 'two_cores'"):
        read_cluster("two_core")


@pytest.mark.parametrize("path", sorted((HOUSE / "configs/cluster/clusters").glob("*.yaml")))
def test_shipped_clusters_are_found_by_name_and_hold_a_run(path: Path):
    found = read_cluster(path.stem)
    assert found.runs_at_once(Fleet()) >= 2
    assert f"--cluster {path.stem}" in path.read_text()


def test_experiments_are_not_looked_for_among_clusters():
    code, out = invoke("check", "no_such_thing")
    assert code == 2
    assert "two_cores" not in out


def test_plan_never_imports_ray(tmp_path: Path):
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(TINY))
    line = f"plan {tmp_path / 'x.yaml'} --storage {tmp_path / 's'} --cluster two_cores"
    code = "import sys; sys.modules['ray'] = None; from runner.__main__ import app; app()"
    command = [sys.executable, "-c", code, *line.split()]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "on two_cores, 1 x (2 CPUs, 0 GPUs), 2 Runs at a time:" in done.stdout
