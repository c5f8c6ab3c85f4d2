from pathlib import Path

import pytest

from attacks.by_name import Keys
from runner.experiment.config import ConfigError, load, locate, parse


class Inner(Keys):
    rate: float = 0.5
    on: str = "all"


class Outer(Keys):
    size: int
    inner: Inner = Inner()
    copies: dict[str, Inner] = {}


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def faults(path: Path, *overrides: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides, Outer)
    return {fault.path: fault.reason for fault in caught.value.faults}


def test_on_is_a_word_and_numbers_are_numbers():
    assert parse("on") == "on"
    assert parse("[true, no, 1, 1e-3, .5, 1., -2, 1e3]") == [True, "no", 1, 1e-3, 0.5, 1.0, -2, 1e3]
    assert isinstance(parse("1e-3"), float)
    assert isinstance(parse("17"), int)


def test_overrides_reach_any_depth_and_null_removes(tmp_path: Path):
    path = write(tmp_path, "size: 1\ninner: {rate: 0.25}\n")
    read = load(path, ["inner.on=some", "copies.a.rate=1", "inner.rate=null"], Outer)
    assert read == Outer(size=1, inner=Inner(on="some"), copies={"a": Inner(rate=1.0)})


def test_all_faults_come_at_once_with_line_and_path(tmp_path: Path):
    path = write(tmp_path, "size: big\ninner:\n  rat: 1\n  rate: x\n")
    with pytest.raises(ConfigError) as caught:
        load(path, [], Outer)
    lines = {fault.path: fault.line for fault in caught.value.faults}
    assert lines == {"size": 1, "inner.rat": 3, "inner.rate": 4}
    assert "did you mean 'rate'?" in str(caught.value)


def test_a_key_that_stands_twice_is_a_fault(tmp_path: Path):
    path = write(tmp_path, "size: 1\ninner: {rate: 1, rate: 2}\n")
    assert faults(path) == {
        "inner.rate": "this key stands here twice, first in line 2; keep one of them"
    }


def test_a_fault_that_was_copied_below_is_told_once(tmp_path: Path):
    path = write(tmp_path, "size: 1\ninner: {rat: 1}\ncopies: {inner: {rat: 1}}\n")
    assert set(faults(path)) == {"inner.rat"}


@pytest.mark.parametrize("text", ["a: [", "- 1\n", "", "just words"])
def test_what_is_not_a_mapping_is_one_clear_fault(tmp_path: Path, text: str):
    assert set(faults(write(tmp_path, text))) == {"file"}


@pytest.mark.parametrize("override", ["size", "=3", "inner.=3", "size.deeper=1", "size=[1"])
def test_a_malformed_override_is_a_fault(tmp_path: Path, override: str):
    assert faults(write(tmp_path, "size: 1\n"), override)


def test_a_missing_file_is_answered_with_the_shipped_names():
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        locate("quickstrt")
    assert locate("quickstart") == locate("configs/quickstart.yaml").absolute()


@pytest.mark.parametrize(
    "name",
    ["table_2_mnist", "table_2_mnst.yaml", "elsewhere/table_2_mnist", "configs/table_2_mnst"],
)
def test_a_shipped_file_is_suggested_with_the_folder_that_the_user_left_out(name: str):
    with pytest.raises(ConfigError, match="did you mean 'residual_perturbation/table_2_mnist'"):
        locate(name)


def test_a_name_that_is_near_no_shipped_one_is_answered_with_all_of_them():
    with pytest.raises(ConfigError, match=r"\(shipped: .*quickstart.*table_2_mnist_small"):
        locate("xyzzy")


def test_dates_are_words_and_an_anchor_in_itself_is_a_fault(tmp_path: Path):
    assert parse("2020-13-45") == "2020-13-45"
    assert "file" in faults(write(tmp_path, "a: &a [*a]\n"))


def test_a_fault_of_an_override_names_no_line_of_the_file(tmp_path: Path):
    path = write(tmp_path, "size: 1\ninner: {rate: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, ["inner.rate=x"], Outer)
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [("inner.rate", None)]


def test_yaml_cannot_build_objects(tmp_path: Path):
    path = write(tmp_path, "size: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match=r"not YAML.*could not determine a constructor"):
        load(path, [], Outer)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10.0),
        ("0123", 123.0),
        ("-010", -10.0),
        ("0", 0),
        ("-7", -7),
        ("1_000", 1000),
        ("0x1f", 31),
        ("1e-5", 1e-5),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("0b11", "0b11"),
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
    ],
)
def test_numbers_are_what_they_look_like(text: str, value: object):
    """YAML 1.1 reads 010 as eight, and 1:30 as ninety."""
    assert parse(text) == value
    assert type(parse(text)) is type(value)
