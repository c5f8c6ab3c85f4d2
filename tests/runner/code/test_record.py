"""The record has the tree's digests, and every shipped class hangs on the versions alone."""

import sys
from pathlib import Path

import pytest

from attacks.by_name import _modules
from runner.code import _imports, record
from runner.code.deciding import _counting

NAMED = [
    f"{package}.{name}"
    for package in ("attacks.evasion", "attacks.membership", "defenses", "runner.models")
    for name in _modules(package)
]


def versions_of(path: str) -> str:
    """The constants that stand for a file."""
    return ", ".join(stage.version for stage in deciders(path))


def deciders(path: str) -> list[record.Decides]:
    return [stage for stage in record.STAGES.values() if path in stage.files()]


def test_what_decides_a_result_is_recorded_as_it_is():
    was, found = record.decides(), record.recorded()["decides"]
    faults = [
        f"{path} decides {', '.join(stage.what for stage in deciders(path))} and "
        f"{'changed' if path in found else 'is gone'}: raise {versions_of(path)} if the same Run "
        "comes out otherwise, then record anew with `python -m runner.code.record`"
        for path, digest in was.items()
        if found.get(path) != digest
    ]
    assert not faults, "\n".join(faults)


def test_every_file_of_the_record_is_there_and_once():
    assert all((record.HOUSE / path).is_file() for path in (*record.decides(), *record.others()))
    assert not record.decides().keys() & record.others().keys()


@pytest.mark.parametrize("module", NAMED)
def test_a_shipped_class_hangs_on_the_versions_alone(module: str):
    assert _counting(frozenset([module]), True) == {}


@pytest.mark.parametrize("stage", record.STAGES)
def test_nothing_else_decides_a_stage_of_an_unedited_tree(stage: str):
    engine = record.STAGES[stage].engine_modules()
    assert len(engine) > 3
    assert _counting(engine, False) == {}


def test_whatever_shipped_source_imports_is_ours_to_depend_on():
    """So that no installed package that ids leave out is left out of experiment.json's reach."""
    used = set()
    for path in (*record.decides(), *record.others()):
        for name, dots in _imports.source_at(record.HOUSE / path).imports:
            used |= {name.partition(".")[0]} if not dots else set()
    known = {*sys.stdlib_module_names, *_imports.OURS, *_imports.SHIPPED, "configs", ""}
    assert used <= known | {"google", "grpc", "psutil"}, used - known


def test_a_file_of_ours_may_be_laid_out_anew(tmp_path: Path):
    said = "def f(x):\n    return x + 1\n"
    again = (
        '"""What."""\n\n\ndef f(x):\n    """Whatever."""\n    # why\n    return (x\n        + 1)\n'
    )
    other = said.replace("1", "2")
    digests = []
    for number, text in enumerate((said, again, other)):
        (tmp_path / f"{number}.py").write_text(text)
        digests.append(_imports.source_at(tmp_path / f"{number}.py").digest)
    assert digests[0] == digests[1] != digests[2]
    assert digests[0] == "8a3e4757247911fc"  # also under Python 3.12 and 3.13
