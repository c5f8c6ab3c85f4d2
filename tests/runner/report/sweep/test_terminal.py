import io
from typing import Any

from rich.console import Console

from runner.report.sweep.tables import verdict
from runner.report.sweep.terminal import terminal_tables


def terminal(results: dict[str, Any]) -> list[list[str]]:
    """The words of each line."""
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(terminal_tables(results))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_front_comes_least_leaky_first_then_the_recommended_setting_and_the_verdict(
    chosen: dict[str, Any],
):
    lines = terminal(chosen)
    assert ["weights:", "the", "front"] in lines
    assert [line[0] for line in lines if line[1:2] == ["16"]] == ["0.4", "0.2", "0.0"]
    assert any(line[:5] == ["weight", "0.4:", "fresh", "seed", "1,"] for line in lines)
    assert " ".join(word for line in lines for word in line).endswith(verdict(chosen))


def test_without_a_front_and_a_choice_the_verdict_stands_alone(one_axis: dict[str, Any]):
    for trial in one_axis["trials"]:
        trial["on_front"] = False
    assert terminal(one_axis) == [verdict(one_axis).split()]
