"""Own source and named files count, by what they do and what they hold; shipped source does not."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from defenses.erm import ERM
from runner.code import _digests, _imports, deciding
from runner.code.deciding import OtherCode, check_same

OWN = '''"""An own thing."""
from pathlib import Path
from typing import Literal
from attacks.by_name import Keys
import own_helper

class Own(Keys):
    name: Literal["own"] = "own"
    mode: Literal["fast", "slow"] = "fast"
    start: str | None = None
    base: Keys | None = None
    several: tuple[Keys, ...] = ()
    place: Path | None = None

    def __call__(self, x):
        from own_package.inner import half
        return half(x) + own_helper.one()
'''
Files = dict[str, str]
FILES = {
    "own.py": OWN,
    "own_helper.py": "from own_deeper import ONE\n\ndef one():\n    return ONE\n",
    "own_deeper.py": "ONE = 1\n",
    "own_package/__init__.py": "STATE = 0\n",
    "own_package/inner.py": "from . import sibling\nfrom .sibling import two\n\n"
    "def half(x):\n    return x / two()\n",
    "own_package/sibling.py": "def two():\n    return 2\n",
    "own_package/unused.py": "NOTHING = 0\n",
}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Files]]:
    """Ask anew what decides the weights of an own class, as a process that starts would."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def ask(**fields: Any) -> Files:
        forget()
        return deciding.deciding(
            "weights", {"defense": importlib.import_module("own").Own(**fields)}
        )

    yield ask
    forget()


def forget() -> None:
    for cached in (_digests.source_at, _imports.find, _imports._distributions, deciding._counting):
        cached.cache_clear()
    for name in [name for name in sys.modules if name.partition("_")[0] == "own"]:
        del sys.modules[name]
    importlib.invalidate_caches()


def test_every_file_that_an_own_class_is_made_of_counts(asked: Callable[..., Files]):
    assert asked().keys() == FILES.keys() - {"own_package/unused.py"}


@pytest.mark.parametrize("name", FILES)
def test_an_edit_counts_in_the_file_where_it_was_made(name: str, asked: Any, tmp_path: Path):
    before = asked()
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(f"# a comment\n{text}\n\n")
    assert asked() == before
    (tmp_path / name).write_text(f"{text}\nADDED = 1\n")
    changed = {each for each in before if asked()[each] != before[each]}
    assert changed == {name} & before.keys()


def test_a_shipped_class_adds_nothing_and_an_own_one_inside_it_counts(asked: Any):
    assert deciding.deciding("weights", {"defense": ERM()}) == {}
    own = asked()
    kind = sys.modules["own"].Own
    for fields in ({"base": kind()}, {"several": (ERM(), kind())}):
        assert deciding.deciding("weights", {"defense": kind(**fields)}) == own


def test_files_that_fields_name_count_by_their_bytes(asked: Any, tmp_path: Path):
    start, folder = tmp_path / "start.pt", tmp_path / "folder"
    start.write_bytes(b"one")
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    (tmp_path / "fast").write_text("a file that is called as a choice is")
    fields = {"start": "start.pt", "place": folder, "base": None}
    found = asked(**fields)
    assert {"defense.start", "defense.place"} <= found.keys()
    assert "defense.mode" not in found
    start.write_bytes(b"two")
    again = asked(**fields)
    assert {k for k in found if found[k] != again[k]} == {"defense.start"}
    (folder / "a.bin").rename(folder / "b.bin")
    assert {k for k in found if found[k] != asked(**fields)[k]} == {
        "defense.start",
        "defense.place",
    }


def test_a_file_that_own_source_names_counts(asked: Any, tmp_path: Path):
    (tmp_path / "table.npy").write_bytes(b"one")
    (tmp_path / "own_deeper.py").write_text("PLACE = 'table.npy'\n\nONE = 1\n")
    before = asked()
    (tmp_path / "table.npy").write_bytes(b"two")
    assert {k for k in before if before[k] != asked()[k]} == {"own_deeper.py: table.npy"}


READS = """import os
from pathlib import Path
HERE, ABOVE = Path(__file__).parent, Path(__file__).parents[1]
LOG = HERE / "log.csv"
ONE = [
    (HERE / "tables" / "a.npy").read_bytes(),
    (ABOVE / "up.npy").read_bytes(),
    open(os.path.join(os.path.dirname(__file__), "..", "shared", "b.npy"), "rb").read(),
    open(f"{HERE}/tables/deep/" + "c.npy", "rb").read(),
    (HERE / "plain").read_bytes(),
]
LOG.open("a").write("1")
(HERE / "tables" / "told.txt").write_text("1")
open("told.csv", mode="w").write("1")
"""
READ = (
    "own_folder/tables/a.npy",
    "up.npy",
    "shared/b.npy",
    "own_folder/tables/deep/c.npy",
    "own_folder/plain",
)
WRITTEN = ("own_folder/log.csv", "own_folder/tables/told.txt", "told.csv")


@pytest.mark.parametrize("name", [*READ, *WRITTEN])
def test_a_file_counts_whose_path_own_source_puts_together_but_none_that_it_writes(
    name: str, asked: Any, tmp_path: Path
):
    for each in (*READ, *WRITTEN):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_bytes(b"one")
    (tmp_path / "own_deeper.py").write_text(
        "def one():\n    from own_folder.reads import ONE\n\nONE = 1\n"
    )
    (tmp_path / "own_folder" / "reads.py").write_text(READS)
    before = asked()
    (tmp_path / name).write_bytes(b"two")
    assert (asked() != before) == (name in READ)


@pytest.mark.parametrize("name", ["table.npy", "own_package/table.npy"])
def test_a_text_may_name_a_file_here_and_one_beside_its_source(
    name: str, asked: Any, tmp_path: Path
):
    for each in ("table.npy", "own_package/table.npy"):
        (tmp_path / each).write_bytes(b"one")
    (tmp_path / "own_package" / "sibling.py").write_text("PLACE = 'table.npy'\n")
    before = asked()
    (tmp_path / name).write_bytes(b"two")
    assert {k for k in before if before[k] != asked()[k]} == {"own_package/sibling.py: table.npy"}


def test_a_field_may_name_a_file_from_a_folder_of_its_class(
    asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "weights").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "weights" / "start.pt").write_bytes(b"one")
    (tmp_path / "own.py").write_text(f"{OWN}\nPLACES = Path(__file__).parent / 'weights'\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    before = asked(start="start.pt")
    (tmp_path / "weights" / "start.pt").write_bytes(b"two")
    after = asked(start="start.pt")
    assert {k for k in before if before[k] != after[k]} == {"defense.start"}


def test_folders_without_init_in_one_another_need_not_be_imported(asked: Any, tmp_path: Path):
    deep = tmp_path / "own_spread" / "deep" / "deeper"
    deep.mkdir(parents=True)
    (deep / "one.py").write_text("ONE = 1\n")
    lazy = "def one():\n    from own_spread.deep.deeper import one\n    return one.ONE\n"
    (tmp_path / "own_helper.py").write_text(lazy)
    assert "own_spread/deep/deeper/one.py" in asked()


def test_an_installed_package_counts_by_its_version_and_one_of_a_folder_by_its_source(
    asked: Any, tmp_path: Path
):
    site = tmp_path / "site-packages"
    info = site / "fancy-1.2.dist-info"
    info.mkdir(parents=True)
    (site / "fancy.py").write_text("import own_helper\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fancy\nVersion: 1.2\n")
    (info / "top_level.txt").write_text("fancy\n")
    (info / "RECORD").write_text("fancy.py,,\n")
    (tmp_path / "own_deeper.py").write_text("import fancy\nimport torch\nONE = 1\n")
    sys.path.insert(0, str(site))
    try:
        assert asked()["fancy"] == "1.2"
        (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {}}')
        found = asked()
        assert "fancy" not in found
        assert "fancy.py" in found
    finally:
        sys.path.remove(str(site))


def test_work_with_other_source_than_planned_is_refused():
    check_same({"own.py": "1"}, {"own.py": "1", "own_helper.py": "2"})
    with pytest.raises(OtherCode, match=r"own\.py.*give the same command again"):
        check_same({"own.py": "1"}, {"own.py": "2"})
    with pytest.raises(OtherCode, match=r"defenses/trades\.py"):
        check_same({}, {"defenses/trades.py": "2"})
    with pytest.raises(OtherCode, match=r"defense\.start"):
        check_same({"defense.start": "1"}, {})


def test_what_always_decides_counts_whichever_imports_which_first():
    roots = ("runner.train.train", "runner.train.fit")
    for order in (roots, roots[::-1]):
        assert {*roots} <= {*_imports.closure(order, lambda _: False)}
