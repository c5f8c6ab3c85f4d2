"""A report names the commit of its code, also in a job's copy, and whether files differ from it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.code.commit import HOUSE, git_commit
from runner.code.record import digest_of_ours

SOURCE = "runner/code/commit.py"


def git(house: Path, *words: str) -> str:
    named = ["git", "-c", "user.name=n", "-c", "user.email=e@e", "-C", str(house), *words]
    return subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()


def told(house: Path) -> str:
    git_commit.cache_clear()
    return git_commit(house)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A repository of one commit; its name has the file that ours is known by."""
    made = tmp_path / "house"
    (made / SOURCE).parent.mkdir(parents=True)
    (made / SOURCE).write_text("1\n")
    (made / "defenses").mkdir()
    (made / "defenses" / "a.py").write_text("1\n")
    (made / "tool.sh").write_text("true\n")
    (made / "tool.sh").chmod(0o755)
    (made / ".gitignore").write_text("/results/\n")
    shutil.copy(HOUSE / ".rayignore", made)
    shutil.copytree(HOUSE / ".submitted", made / ".submitted", symlinks=True)
    git(made.parent, "init", "-q", str(made))
    git(made, "add", ".")
    git(made, "commit", "-qm", "one")
    return made


def as_it_is(house: Path) -> Path:
    return house


def in_a_worktree(house: Path) -> Path:
    """Where `.git` is a file, and the links lead nowhere."""
    git(house, "worktree", "add", "-q", "../worktree")
    return house.with_name("worktree")


def in_a_submodule(house: Path) -> Path:
    others = house.with_name("others")
    git(house.parent, "init", "-q", "others")
    git(others, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(house), "house")
    return others / "house"


def as_ray_takes_it(house: Path) -> Path:
    """What `ray job submit --working-dir` uploads."""
    packaging = pytest.importorskip("ray._private.runtime_env.packaging")
    copy, taken = house.with_name("copy"), house.with_name("working_dir.zip")
    packaging.create_package(str(house), taken, include_gitignore=True)
    shutil.unpack_archive(taken, copy)
    assert not (copy / ".git").is_dir()
    names = {path.name for path in (copy / ".submitted").glob("*")}
    assert names <= {"HEAD", "index", "packed-refs", "refs"}, "not a remote's password"
    return copy


def nothing(house: Path) -> None:
    pass


def ignored(house: Path) -> None:
    (house / "results").mkdir()
    (house / "results" / "weights").write_text("1")


def changed(house: Path) -> None:
    (house / "defenses" / "a.py").write_text("2\n")


def untracked(house: Path) -> None:
    (house / "defenses" / "mine.py").write_text("1\n")


def called_otherwise(house: Path) -> None:
    (house / "defenses" / "größe.py").write_text("1\n")


def untracked_where_git_does_not_show_it(house: Path) -> None:
    git(house, "config", "status.showUntrackedFiles", "no")
    untracked(house)


def removed(house: Path) -> None:
    (house / "defenses" / "a.py").unlink()


def staged(house: Path) -> None:
    changed(house)
    git(house, "add", ".")


def packed(house: Path) -> None:
    git(house, "gc", "-q")


@pytest.mark.parametrize("taken", [as_it_is, as_ray_takes_it])
@pytest.mark.parametrize(
    ("edit", "ending"),
    [
        *((nothing, ""), (ignored, ""), (packed, "")),
        *((changed, "-dirty"), (untracked, "-dirty"), (staged, "-dirty"), (removed, "-dirty")),
        *((called_otherwise, "-dirty"), (untracked_where_git_does_not_show_it, "-dirty")),
    ],
)
def test_a_commit_is_named_and_marked_where_files_differ(
    house: Path,
    edit: Callable[[Path], None],
    ending: str,
    taken: Callable[[Path], Path],
):
    edit(house)
    assert told(taken(house)) == git(house, "rev-parse", "--short=12", "HEAD") + ending


@pytest.mark.parametrize("place", [in_a_worktree, in_a_submodule])
@pytest.mark.parametrize("edit", [nothing, untracked])
def test_a_worktree_and_a_submodule_have_a_commit_and_a_job_of_theirs_names_no_other(
    house: Path, edit: Callable[[Path], None], place: Callable[[Path], Path]
):
    folder = place(house)
    edit(folder)
    expected = git(house, "rev-parse", "--short=12", "HEAD") + "-dirty" * (edit is untracked)
    assert told(folder) == expected
    # The file .git travels along, and what it leads to may be there.
    assert told(as_ray_takes_it(folder)) in ("", expected)


def test_a_hook_of_another_repository_does_not_name_its_commit(
    house: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = told(house)
    monkeypatch.setenv("GIT_DIR", str(HOUSE / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(house / "nothing"))
    assert told(house) == expected


def test_the_commit_of_a_repository_that_our_code_is_no_part_of_is_not_ours(house: Path):
    git(house, "rm", "-q", "--cached", SOURCE)
    git(house, "commit", "-qm", "two")
    assert told(house) == ""
    assert told(house.parent) == ""


def test_the_digest_of_our_code_is_one_and_short():
    assert len(digest_of_ours()) == 12
