"""Trees of other tools, their forks' variations, and what must be refused with which reason."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runner.faults import BadAnswers
from runner.foreign.answered import block_of
from runner.foreign.reading import open_given
from runner.foreign.trees.understanding import Asked, understand
from runner.foreign.trees.understood import Options
from tests.made import trees as made
from tests.made.trees import M, N, Truth, save

Maker = Callable[[Path], Truth]
LAYOUTS: dict[str, Maker] = {
    "folders": made.folders,
    "folders, other names and epochs": lambda root: made.folders(
        root, 1, kept="in_train.npy", epochs=(3, 7, 20), folder="run{}".format
    ),
    "folders, classes before views": lambda root: made.folders(root, 2, turned=True),
    "folders, float16": lambda root: made.folders(root, 3, dtype=np.float16, scores=False),
    "folders, labels by scores": lambda root: made.folders(root, 4, labels=False),
    "matrix": made.matrix,
    "matrix, turned": lambda root: made.matrix(root, 1, turned=True),
    "array": made.signals,
    "array, more rows than models": lambda root: made.signals(root, 1, more=2),
    "array, npz": made.one_npz,
    "indexed": made.cache,
    "indexed, one logit": lambda root: made.cache(root, 1, one_logit=True),
    "lists": made.lists,
    "table": made.table,
    "table, csv": lambda root: made.table(root, 1, "csv"),
    "table, arrow": lambda root: made.table(root, 2, "arrow"),
    "csv": made.csvs,
}


def options_of(truth: Truth, **more: Any) -> Options:
    """What a user says beside a tree."""
    labels, members = (str(path) if path else None for path in (truth.labels, truth.members))
    return Options(labels=labels, member=members)._replace(**more)


def asked_of(truth: Truth, **more: Any) -> Asked:
    return understand(str(truth.root), options_of(truth, **more))


def odds_in(asked: Asked, arm: str) -> np.ndarray:
    """Log-odds (M, N, V) as the audit reads them."""
    found = []
    for given in asked.files[arm]:
        with open_given(given) as read:
            blocks, first = [], 0
            for columns in read.blocks:
                block = block_of(columns, read.views, first, given.told)
                blocks.append(block.answered.log_odds)
                first += len(block.label)
        found.append(np.concatenate(blocks))
    return np.stack(found)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tree_has_the_answers_and_the_members_that_were_put_into_it(tmp_path: Path, layout: str):
    truth = LAYOUTS[layout](tmp_path / "tree")
    asked = asked_of(truth)
    ((arm, files),) = asked.files.items()
    np.testing.assert_array_equal(asked.member, truth.member)
    np.testing.assert_allclose(odds_in(asked, arm), truth.odds, rtol=1e-6, atol=1e-6)
    assert asked.lines[0].startswith("layout: ")
    assert f"(--as {layout.partition(',')[0]})" in asked.lines[0]
    assert any(line.startswith("verified: ") for line in asked.lines)
    if truth.names:
        assert tuple(given.name for given in files) == truth.names


def test_arms_of_lists_lie_beside_each_other_and_one_can_be_chosen(tmp_path: Path):
    truth = made.lists(tmp_path / "tree", arms=("base", "trades"))
    asked = asked_of(truth)
    assert list(asked.files) == ["base", "trades"]
    assert odds_in(asked, "base").shape == truth.odds.shape
    asked = asked_of(truth, only="phy/cifar/trades")
    assert list(asked.files) == ["trades"]
    np.testing.assert_array_equal(odds_in(asked, "trades"), truth.odds[:, :, 4:5])
    asked = understand(
        str(truth.root / "phy_multi"),
        Options(member=str(truth.root / "sampleinfo/samplelist.txt")),
    )
    assert list(asked.files) == ["base", "trades"]


def test_masks_and_answers_are_read_from_tensors_and_canaries_alone_are_judged(tmp_path: Path):
    of, root = made.world(0, 18), tmp_path / "tree"
    canaries = np.arange(0, N, 2)
    member = np.where(np.isin(np.arange(N), canaries), of.member, 1)
    for m in range(M):
        (root / f"shadow/{m}").mkdir(parents=True)
        torch.save(torch.from_numpy(of.logits[m]), root / f"shadow/{m}/predictions_train.pt")
        torch.save({"weight": torch.ones(3)}, root / f"shadow/{m}/model.pt")
    torch.save(torch.from_numpy(member.T == 1), root / "shadow_membership_mask.pt")
    torch.save(torch.from_numpy(of.labels), root / "attack_ys.pt")
    torch.save(torch.from_numpy(canaries), root / "canary_indices.pt")
    asked = understand(str(root), Options())
    others = ~np.isin(np.arange(N), canaries)
    np.testing.assert_array_equal(asked.member, np.where(others, -1, of.member))
    np.testing.assert_allclose(odds_in(asked, "models"), of.odds, rtol=1e-6, atol=1e-6)
    assert "18 views; 0 is taken for the plain image (as the layout has it)" in str(asked.lines)


def test_models_without_answers_are_named_and_longer_vectors_cut(tmp_path: Path):
    truth = made.folders(tmp_path / "tree", scores=False)
    for name in ("logits", "scores"):
        shutil.rmtree(truth.root / f"experiment-5_8/{name}", ignore_errors=True)
    for m in range(M):
        path = truth.root / f"experiment-{m}_8/keep.npy"
        np.save(path, np.append(np.load(path), [True, False, True]))
    asked = asked_of(truth)
    kept = [m for m in range(M) if m != 5]
    np.testing.assert_array_equal(asked.member, truth.member[kept])
    assert "left out, without answers: experiment-5_8" in asked.lines
    assert any("are of 203 examples and the answers of 200" in line for line in asked.lines)


def test_a_later_epoch_that_not_all_models_have_is_not_read_and_said(tmp_path: Path):
    truth = made.folders(tmp_path / "tree", epochs=(80, 100), scores=False)
    (truth.root / "experiment-2_8/logits/0000000100.npy").write_bytes(b"")
    asked = asked_of(truth)
    assert any(line.startswith("answers: */logits/0000000080") for line in asked.lines)
    assert "not of all models, and not read: */logits/0000000100 (7)" in asked.doubts
    assert any(line.startswith("could not be read: experiment-2_8/") for line in asked.doubts)


def test_the_plain_image_is_in_the_middle_of_shifted_views(tmp_path: Path):
    truth = made.matrix(tmp_path / "tree")
    save(truth.root / "labels.npy", made.world(0, 18).labels)
    given = asked_of(truth).files["models"][0]
    with open_given(given) as read:
        assert read.views
        assert read.views.index("identity") == 4


def test_probabilities_that_are_one_are_half_a_digit_below_and_their_number_is_said(tmp_path: Path):
    truth = made.signals(tmp_path / "tree")
    path = truth.root / "signals/rmia_signals.npy"
    values = np.load(path)
    values[:3] = 1
    np.save(path, values)
    asked = asked_of(truth)
    np.testing.assert_allclose(odds_in(asked, "models")[:, :3], np.log(2.0**25 - 1))
    assert any(
        line.startswith("numbers are where their digits end, 3 in the") for line in asked.lines
    )


def test_what_the_examples_of_a_table_are_called_is_kept(tmp_path: Path):
    truth = made.table(tmp_path / "tree", kind="csv")
    path = truth.root / "everything.csv"
    lines = path.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    for row in rows:
        row[1] = f"image{int(row[1]):03d}"
    path.write_text("\n".join([lines[0], *map(",".join, rows)]))
    assert asked_of(truth).ids["id"].tolist() == [f"image{n:03d}" for n in range(N)]


def broken(change: Callable[[Truth], None], maker: Maker = made.folders) -> Maker:
    def make(root: Path) -> Truth:
        truth = maker(root)
        change(truth)
        return truth

    return make


def each_file(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Truth], None]:
    """Change every array of a name."""

    def of(truth: Truth) -> None:
        for path in truth.root.rglob(name):
            np.save(path, change(np.load(path)))

    return of


def objects(truth: Truth) -> None:
    for path in truth.root.rglob("*.npy"):
        np.save(path, np.array([{}, None], object), allow_pickle=True)


def pickles(truth: Truth) -> None:
    shutil.rmtree(truth.root)
    for m in range(4):
        (truth.root / f"shadow_models/{m}").mkdir(parents=True)
        for name in ("model", "indices_train", "indices_test"):
            at = truth.root / f"shadow_models/{m}/{name}.pkl"
            at.write_bytes(pickle.dumps([1, 2]))


def grid(truth: Truth) -> None:
    shutil.rmtree(truth.root)
    truth.root.mkdir()
    for name in ("stat_none", "in_indices_none"):
        (truth.root / f"{name}.pkl").write_bytes(b"\x80\x04K\x01.")


def correctness(truth: Truth) -> None:
    shutil.rmtree(truth.root)
    for m in range(4):
        (truth.root / f"{m}").mkdir(parents=True)
        arrays = {"correctness_train": np.ones(140, bool), "index_train": np.arange(140)}
        np.savez(truth.root / f"{m}/aux_arrays.npz", **arrays)


def influence(truth: Truth) -> None:
    shutil.rmtree(truth.root)
    truth.root.mkdir()
    arrays = {"tr_mem": np.linspace(0, 1, 9), "tr_labels": np.zeros(9, int)}
    np.savez(truth.root / "a.npz", **arrays, infl=np.ones((5, 9), np.float32))


def trials(truth: Truth) -> None:
    shutil.rmtree(truth.root)
    for name in ("in", "out"):
        save(truth.root / f"{name}.npy", np.linspace(0, 1, 50))


def two_sets(truth: Truth) -> None:
    shutil.copytree(truth.root, truth.root.parent / "both/a")
    shutil.copytree(truth.root, truth.root / "again")
    shutil.copytree(truth.root.parent / "both/a", truth.root / "other")


def shorter(truth: Truth) -> None:
    path = truth.root / "experiment-2_8/logits/0000000100.npy"
    np.save(path, np.load(path)[:-5])


def torn(truth: Truth) -> None:
    path = truth.root / "experiment-2_8/logits/0000000100.npy"
    path.write_bytes(path.read_bytes()[:-99])


REFUSED: dict[str, tuple[Maker, str]] = {
    "a subset": (
        lambda root: made.signals(root, some=100),
        "signals are of 100 of the 200 examples of memberships.npy",
    ),
    "rounded": (
        lambda root: made.csvs(root, form="{:.3f}"),
        "probabilities rounded to 3 decimals: 0.000 and 1.000 say nothing",
    ),
    "clipped": (
        broken(each_file("rmia_signals.npy", lambda p: np.clip(p, 1e-3, 0.9)), made.signals),
        "probabilities clipped at 0.9",
    ),
    "no labels": (
        lambda root: made.folders(root, labels=False, scores=False),
        "no labels lie in it",
    ),
    "others' labels": (
        broken(
            each_file("y_train.npy", lambda y: (y + 1) % made.C),
            lambda root: made.folders(root, scores=False),
        ),
        "y_train.npy are the largest of",
    ),
    "others' scores": (
        broken(each_file("0000000100.npy", lambda a: a if a.ndim == 4 else a[::-1])),
        "of the stored scores are those recomputed from the answers",
    ),
    "rows of others": (
        broken(each_file("keep.npy", lambda row: np.roll(row, 60))),
        "members are answered better than others in",
    ),
    "turned round": (broken(each_file("keep.npy", np.logical_not)), "(AUC 0.2"),
    "objects": (broken(objects), "pickled files can run code, and are never loaded"),
    "members in pickles": (
        lambda root: made.cache(root)._replace(members=None),
        "lies in pickles, which are never loaded",
    ),
    "pickles": (
        broken(pickles),
        "shadow models' answers are not stored, and their indices are pickles",
    ),
    "a grid": (
        broken(grid),
        "everything is pickled; models lie on the diagonal of data x hyperparameters",
    ),
    "who was right": (
        broken(correctness),
        "who was right is all that is stored: no logits and no log-odds",
    ),
    "influence": (broken(influence), "one memorization score an example, of no model"),
    "trials": (broken(trials), "two lists of one canary's scores: an epsilon, not an audit"),
    "one of another shape": (broken(shorter), "its shape is (195, 1, 2, 5), that of most models"),
    "one torn": (broken(torn), "0000000100.npy: it cannot be read"),
    "two sets": (broken(two_sets), "several sets of models lie in it: ., again, other"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_enough_or_contradicts_itself_is_refused_with_the_reason(
    tmp_path: Path, why: str
):
    maker, reason = REFUSED[why]
    truth = maker(tmp_path / "tree")
    with pytest.raises(BadAnswers) as refused:
        asked_of(truth)
    assert reason in str(refused.value)


def test_of_two_vectors_the_one_that_tells_members_is_taken(tmp_path: Path):
    """A fork keeps a part of each model's members beside them."""
    truth, rng = made.folders(tmp_path / "tree"), np.random.default_rng(0)
    for m, row in enumerate(truth.member):
        part = (row == 1) & (rng.random(N) < 0.5)
        save(truth.root / f"experiment-{m}_8/keep_sampled.npy", part)
    np.testing.assert_array_equal(asked_of(truth).member, truth.member)
    asked = asked_of(truth, member="keep_sampled.npy")
    assert (asked.member <= truth.member).all()
    for m, row in enumerate(truth.member):
        nearly = np.append(row[:-1], 1 - row[-1]) == 1
        save(truth.root / f"experiment-{m}_8/keep_sampled.npy", nearly)
    with pytest.raises(BadAnswers, match=r"members may be .*say which with --member"):
        asked_of(truth)


def test_what_speaks_against_a_tree_is_said_and_not_refused_if_a_user_wants(tmp_path: Path):
    maker, _ = REFUSED["rows of others"]
    asked = asked_of(maker(tmp_path / "tree"), unverified=True)
    assert any("not verified: models: members are answered better" in line for line in asked.doubts)


def test_two_readers_that_know_a_tree_are_named_with_the_option_that_chooses(tmp_path: Path):
    truth = made.folders(tmp_path / "tree")
    made.table(tmp_path / "tree/more")
    with pytest.raises(BadAnswers, match=r"\(--as folders\) and as .*\(--as table\).*--as"):
        asked_of(truth)
    np.testing.assert_array_equal(asked_of(truth, layout="folders").member, truth.member)
    with pytest.raises(BadAnswers, match="there is no layout lira"):
        asked_of(truth, layout="lira")


def test_judged_examples_can_be_named_by_their_numbers(tmp_path: Path):
    truth = made.folders(tmp_path / "tree")
    judged = save(tmp_path / "judged.npy", np.arange(0, N, 2))
    asked = asked_of(truth, judged=str(judged))
    assert (asked.member[:, 1::2] == -1).all()
    np.testing.assert_array_equal(asked.member[:, ::2], truth.member[:, ::2])
    part = made.signals(tmp_path / "part", some=100)
    judged = save(tmp_path / "part.npy", np.arange(100))
    np.testing.assert_array_equal(asked_of(part, judged=str(judged)).member, part.member[:, :100])
