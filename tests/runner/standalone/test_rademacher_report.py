"""What the demonstration measures and writes."""

import json
import math
from pathlib import Path

import pytest

from runner.standalone import rademacher_report
from tests.made.commands import invoke


def test_the_same_seed_measures_the_same_and_gamma_alone_leaves_the_noiseless_class(quick):
    first, again, noisier = (
        rademacher_report.measure(3, 4, 1.0, 1.0, 0.5, gamma, 0) for gamma in (1.0, 1.0, 2.0)
    )
    assert first == again
    assert first["at_gamma"]["R(F)"] == noisier["at_gamma"]["R(F)"]
    ratio = noisier["at_gamma"]["R(G) / R(F)"]["closed"]["value"]
    assert ratio == pytest.approx(math.exp(-0.5))


def test_the_command_writes_its_figure_and_what_it_prints(tmp_path: Path, quick):
    out = tmp_path / "out"
    code, printed = invoke(
        "demo", "rademacher", "--dim", "3", "--num-examples", "3", "--out", str(out)
    )
    assert code == 0, printed
    names = {"complexity.png", "complexity.svg", "results.json"}
    assert {path.name for path in out.iterdir()} == names
    facts = json.loads((out / "results.json").read_text())
    assert facts["num_signs_searched"] == 4
    for of in facts["at_gamma"].values():
        assert f"{of['circulant']['value']:.5g}" in printed
    assert facts["curve"][0]["R(F)"]["closed"] == facts["curve"][0]["R(G)"]["closed"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--dim", "0"), "--dim of 1 or more, got 0"),
        (("--num-examples", "0"), "--num-examples of 1 or more"),
        (("--dim", "1000", "--num-examples", "1000"), "times --num-examples"),
        (("--c", "0"), "--c from"),
        (("--T", "-1"), "--T from"),
        (("--c", "1000"), "--c times --T"),
        (("--p", "1"), "--p above 0 and below 1"),
        (("--p", "nan"), "--p above 0 and below 1"),
        (("--gamma", "-1"), "--gamma from 0"),
        (("--seed", "-1"), "--seed of 0 or more"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(arguments, reason, tmp_path: Path):
    out = tmp_path / "out"
    code, printed = invoke("demo", "rademacher", *arguments, "--out", str(out))
    assert code == 2
    assert reason in printed
    assert len(printed.splitlines()) == 1
    assert not out.exists()
