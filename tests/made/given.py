"""Small answers of made-up models, and how they are written, for audits of given answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runner.foreign.converting import Converted, convert_all
from runner.foreign.listing import listed

M, N, C = 8, 40, 3


def labels_of(num_examples: int = N) -> np.ndarray:
    """Labels (N,) of which every class has some."""
    return np.arange(num_examples) % C


def member_of(num_models: int = M, num_examples: int = N) -> np.ndarray:
    """The member matrix of complementary halves, (M, N) int8."""
    rng = np.random.default_rng(0)
    half = rng.permuted(np.tile(np.arange(num_examples) % 2, (num_models // 2, 1)), axis=1)
    return np.stack([half, 1 - half], axis=1).reshape(num_models, -1).astype(np.int8)


def logits_of(member: np.ndarray, much: float = 3.0) -> np.ndarray:
    """Logits (M, N, C) float32 of models that are surer of the label of their members."""
    labels = labels_of(member.shape[1])
    logits = np.random.default_rng(1).normal(0, 1, (*member.shape, C))
    rows, places = np.indices(member.shape)
    logits[rows, places, labels[None]] += much * (member == 1)
    return logits.astype(np.float32)


def write(folder: Path, member: np.ndarray, **changed: Any) -> None:
    """Write model_<m>.npz of every model, and member.npy beside the folder.

    Args:
        changed: arrays of the last model in place of its own; None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder.parent / "member.npy", member)
    for m, logits in enumerate(logits_of(member)):
        arrays: dict[str, Any] = {"labels": labels_of(member.shape[1]), "logits": logits}
        if m == len(member) - 1:
            arrays |= changed
        there = {name: values for name, values in arrays.items() if values is not None}
        np.savez(folder / f"model_{m:02d}.npz", **there)


def to_parquet(path: Path, row_group_size: int, views: str | None = None, **columns: Any) -> None:
    """Write arrays as columns, further axes as lists of no fixed size."""
    made = {name: pa.array(np.asarray(values).tolist()) for name, values in columns.items()}
    table = pa.table(made)
    if views:
        table = table.replace_schema_metadata({"views": views})
    pq.write_table(table, path, row_group_size=row_group_size)


def convert(folder: Path, to: Path, num_examples: int = N) -> dict[str, list[Converted]]:
    """Answers of a folder, converted into another, by arm."""
    return convert_all(listed(str(folder), "member.npy"), num_examples, to, lambda text: None)
