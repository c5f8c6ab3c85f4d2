"""What each example of a pool or a test split is called where it comes from, as columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from runner.storage.parquet import EXAMPLE, to_bytes

Ids = Mapping[str, np.ndarray]  # as `runner.data.Ids`


def id_columns(ids: Ids) -> dict[str, pa.Array]:
    """Return the ids as columns (N,), null where an example has none."""
    return {k: pa.array(v.tolist(), mask=~_there(v)) for k, v in ids.items()}


def id_of(ids: Ids, example: int) -> dict[str, Any]:
    """Return what one example is called, by column; a column that says nothing of it is left out.

    Args:
        example: its place among those that the ids are of.
    """
    return {k: v[example].item() for k, v in ids.items() if _there(v[example : example + 1])[0]}


def ids_to_bytes(labels: np.ndarray, ids: Ids) -> bytes:
    """Return pool.parquet or test.parquet: each example's place, its label (N,) int, its ids."""
    places = pa.array(np.arange(len(labels)), EXAMPLE["example"])
    label = pa.array(labels.astype(np.int32))
    return to_bytes(pa.table({"example": places, "label": label, **id_columns(ids)}))


def _there(values: np.ndarray) -> np.ndarray:
    return values >= 0 if values.dtype.kind == "i" else values != ""
