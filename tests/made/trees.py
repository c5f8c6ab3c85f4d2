"""Small trees as other tools write them, of models that are surer of their members."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from attacks.membership import log_odds

M, N, C = 8, 200, 5


class Truth(NamedTuple):
    """What lies in a tree, and what must be said beside it."""

    root: Path
    odds: np.ndarray  # (M, N, V) float64, log-odds
    member: np.ndarray  # (M, N) int8
    names: tuple[str, ...] | None = None
    labels: Path | None = None
    members: Path | None = None


class World(NamedTuple):
    """Made-up models: who was trained on what, labels, and logits (M, N, V, C) float32."""

    member: np.ndarray
    labels: np.ndarray
    logits: np.ndarray

    @property
    def odds(self) -> np.ndarray:
        """Log-odds (M, N, V) of all answers, computed one model and view after the other."""
        views = range(self.logits.shape[2])
        return np.stack(
            [np.stack([log_odds(of[:, v], self.labels) for v in views], 1) for of in self.logits]
        )

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax in float64."""
        p = np.exp(self.logits.astype(np.float64))
        return p / p.sum(axis=-1, keepdims=True)


def world(seed: int, num_views: int = 1, num_classes: int = C, pairs: bool = False) -> World:
    """Models of which each example is in half; `pairs`: they are pairs of complementary halves."""
    rng = np.random.default_rng(seed)
    member = rng.permuted(np.tile(np.arange(M)[:, None] % 2, (1, N)), axis=0)
    if pairs:
        member[1::2] = 1 - member[::2]
    labels = rng.integers(0, num_classes, N)
    logits = rng.normal(0, 1, (M, N, num_views, num_classes))
    rise = 2 + rng.normal(0, 1, N) + 1.5 * member + rng.normal(0, 0.5, (M, N))
    rows, places = np.indices((M, N))
    logits[rows, places, :, labels[None]] += rise[:, :, None]
    return World(member.astype(np.int8), labels, logits.astype(np.float32))


def save(path: Path, values: Any) -> Path:
    """Write one array, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return path


def scores_of(odds: np.ndarray) -> np.ndarray:
    """Log-odds as a difference of floored logarithms of float32 softmax."""
    p = 1 / (1 + np.exp(-odds))
    return np.log(p + 1e-45) - np.log(1 - p + 1e-45)


def folders(
    root: Path,
    seed: int = 0,
    *,
    kept: str = "keep.npy",
    epochs: Sequence[int] = (80, 100),
    dtype: type = np.float32,
    turned: bool = False,
    scores: bool = True,
    labels: bool = True,
    folder: Callable[[int], str] = "experiment-{}_8".format,
) -> Truth:
    """A folder a model with its own members in it, answers by epoch, and two views."""
    of = world(seed, 2)
    if dtype is np.float16:
        of = of._replace(logits=of.logits.astype(dtype))
    if labels:
        save(root / "y_train.npy", of.labels)
    save(root / "x_train.npy", np.zeros((N, 2, 2)))
    for m, row in enumerate(of.member):
        at = root / folder(m)
        save(at / kept, row == 1)
        (at / "hparams.json").write_text(json.dumps({"lr": 0.1}))
        for epoch in epochs:
            off = 0 if epoch == max(epochs) else 1
            logits = of.logits[m] + off * np.arange(C).astype(dtype)
            logits = logits.swapaxes(1, 2) if turned else logits[:, None]
            save(at / f"logits/{epoch:010d}.npy", logits)
            if scores:
                save(at / f"scores/{epoch:010d}.npy", scores_of(of.odds[m]) - off)
    return Truth(root, of.odds, of.member, tuple(folder(m) for m in range(M)))


def matrix(root: Path, seed: int = 0, *, lost: int = 3, turned: bool = False) -> Truth:
    """A member matrix and a folder of answers a model, of which one was lost; 18 views."""
    of = world(seed, 18)
    save(root / "keep_indices.npy", of.member.T == 1 if turned else of.member == 1)
    save(root / "online_scores_leave_one_out.npy", np.zeros((M, N)))
    there = [m for m in range(M) if m != lost]
    for m in there:
        save(root / f"model_{m}/logits/logits.npy", of.logits[m][:, None])
        save(root / f"model_{m}/scores/scores.npy", scores_of(of.odds[m]))
    names = tuple(f"model_{m}" for m in there)
    return Truth(root, of.odds[there], of.member[there], names)


def signals(root: Path, seed: int = 0, *, some: int = N, more: int = 0) -> Truth:
    """The label's probability by all models in one float32 array, and rows of pairs."""
    of = world(seed, pairs=True)
    rows = np.concatenate([of.member, np.roll(of.member, 7, axis=1)[:more]])
    save(root / "models/memberships.npy", rows == 1)
    at = np.arange(N)
    p = of.probabilities[:, at, 0, of.labels].astype(np.float32).T[:some]
    save(root / "signals/rmia_signals.npy", p)
    save(root / "signals/rmia_signals_pop.npy", np.full((50, M), 0.5, np.float32))
    exact = p.astype(np.float64).T
    return Truth(root, (np.log(exact) - np.log1p(-exact))[:, :, None], of.member)


def one_npz(root: Path, seed: int = 0) -> Truth:
    """All models' logits in one npz, examples first."""
    of = world(seed, 3)
    root.mkdir(parents=True)
    arrays = {"pred_logits": of.logits.swapaxes(0, 1), "in_out_labels": of.member.T == 1}
    np.savez(root / "run.npz", **arrays, class_labels=of.labels)
    return Truth(root, of.odds, of.member)


def cache(root: Path, seed: int = 0, *, one_logit: bool = False) -> Truth:
    """Answers with the numbers of their examples beside them; members lie elsewhere."""
    of = world(seed, num_classes=2 if one_logit else C, pairs=True)
    rng = np.random.default_rng(seed)
    numbers = np.sort(rng.permutation(N + 30)[:N])  # of a larger data set
    whole = np.zeros((M, N + 30), np.int8)
    whole[:, numbers] = of.member
    labels = np.zeros(N + 30, np.int64)
    labels[numbers] = of.labels
    for m in range(M):
        stem = f"attack_cache/{f'sm_{m}_1f0c' if m < M - 1 else 'target_9e2d'}"
        order = rng.permutation(N)
        logits = of.logits[m, order, 0]
        save(root / f"{stem}_logits.npy", logits[:, 1] - logits[:, 0] if one_logit else logits)
        save(root / f"{stem}_indices.npy", numbers[order])
    (root / "metadata_0.pkl").write_bytes(b"\x80\x04K\x01.")
    beside = root.parent / "beside"
    members = save(beside / "member.npy", whole)
    return Truth(root, of.odds, of.member, None, save(beside / "labels.npy", labels), members)


def lists(root: Path, seed: int = 0, arms: Sequence[str] = ("trades",)) -> Truth:
    """Lists of members in a text, log-odds of ten views and of one, and one model lost."""
    of = world(seed, 10)
    there = [m for m in range(M) if m != 5]
    members = {m: np.flatnonzero(row).tolist() for m, row in enumerate(of.member)}
    (root / "sampleinfo").mkdir(parents=True)
    (root / "sampleinfo/samplelist.txt").write_text(str(members))
    (root / "sampleinfo/target.txt").write_text(str([1, 2, 3]))
    for arm in arms:
        for m in [*there, "target"]:
            phi = of.odds[m if isinstance(m, int) else 0].astype(np.float32)
            save(root / f"phy/cifar/{arm}/phy_{m}.npy", phi[:, 4])
            save(root / f"phy_multi/cifar/{arm}/phy_multi_{m}.npy", phi)
    return Truth(root, of.odds[there].astype(np.float32), of.member[there])


def table(root: Path, seed: int = 0, kind: str = "parquet") -> Truth:
    """A row for each model and example, in no order; models are called by hashes."""
    of, rng = world(seed, pairs=True), np.random.default_rng(seed)
    names = ["9fa3", "10bc", "a77e", "0d1f", "c3d4", "77aa", "e1e2", "5b5b"]
    model, example = (index.ravel() for index in np.indices((M, N)))
    order = rng.permutation(M * N)
    model, example = model[order], example[order]
    logits = of.logits[model, example, 0]
    columns: dict[str, Any] = {
        "model": [names[m] for m in model],
        "example": example,
        "member": of.member[model, example] == 1,
        "label": of.labels[example],
    }
    root.mkdir(parents=True)
    if kind == "csv":
        columns |= {f"logits{c}": logits[:, c] for c in range(C)}
        csv.write_csv(pa.table(columns), root / "everything.csv")
    else:
        whole = pa.table({**columns, "logits": pa.array(list(logits), pa.list_(pa.float32()))})
        if kind == "parquet":
            pq.write_table(whole, root / "everything.parquet", row_group_size=333)
        else:
            with pa.ipc.new_stream(str(root / "data-00000-of-00001.arrow"), whole.schema) as file:
                file.write_table(whole, max_chunksize=333)
    rows = np.argsort(names)
    return Truth(root, of.odds[rows], of.member[rows], tuple(sorted(names)))


def csvs(root: Path, seed: int = 0, form: str = "{:.17g}") -> Truth:
    """Probabilities as text, a file a model, and members as lines."""
    of = world(seed, pairs=True)
    root.mkdir(parents=True)
    for m, p in enumerate(of.probabilities[:, :, 0]):
        lines = [",".join(["label", *(f"p{c}" for c in range(C))])]
        lines += [
            ",".join([str(y), *(form.format(x) for x in row)])
            for y, row in zip(of.labels, p, strict=True)
        ]
        (root / f"p_{m}.csv").write_text("\n".join(lines) + "\n")
    np.savetxt(root / "members.csv", of.member, fmt="%d", delimiter=",")
    return Truth(root, of.odds, of.member, tuple(f"p_{m}" for m in range(M)))
