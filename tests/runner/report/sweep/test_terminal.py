import io
from typing import Any

from rich.console import Console

from runner.report.sweep.came_out import texts
from runner.report.sweep.tables import verdict
from runner.report.sweep.terminal import terminal_tables


def terminal(results: dict[str, Any]) -> list[list[str]]:
    """The words of each line."""
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(terminal_tables(results))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_what_came_out_comes_first_then_the_front_and_the_recommended_setting(
    chosen: dict[str, Any],
):
    lines = terminal(chosen)
    assert ["weights:", "the", "front"] in lines
    assert [line[0] for line in lines if line[1:2] == ["16"]] == ["0.4", "0.2", "0.0"]
    assert any(line[:5] == ["weight", "0.4:", "fresh", "seed", "1,"] for line in lines)
    told = " ".join(word for line in lines for word in line)
    assert told.startswith(" ".join(f"- {text}" for text in texts(chosen)))
    assert verdict(chosen) == texts(chosen)[0]


def test_without_a_front_and_a_choice_what_came_out_stands_alone(one_axis: dict[str, Any]):
    for trial in one_axis["trials"]:
        trial["on_front"] = False
    told = " ".join(word for line in terminal(one_axis) for word in line)
    assert told == " ".join(f"- {text}" for text in texts(one_axis))
