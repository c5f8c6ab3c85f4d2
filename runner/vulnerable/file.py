"""A file with a row for each example of the pool: how often it is found, how much memorized."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from runner.vulnerable import AtRisk

MOST_LINES = 200_000  # of CSV; more examples are written as Parquet


def examples_file(labels: np.ndarray, examples: Mapping[str, AtRisk]) -> dict[str, bytes | None]:
    """Return examples.csv, or examples.parquet where there are many; the other one is None.

    One row an example: its place in the pool, its label, and of each arm the fields of `AtRisk`,
    headed `<arm>.<field>`. Where an example is not judged, memorization is empty.

    Args:
        labels: (N,) int.
    """
    columns = {"example": pa.array(np.arange(len(labels))), "label": pa.array(labels)}
    for arm, one in examples.items():
        for key, values in one._asdict().items():
            columns[f"{arm}.{key}"] = pa.array(values, from_pandas=True)  # NaN is null
    table, out = pa.table(columns), pa.BufferOutputStream()
    if many := len(labels) > MOST_LINES:
        pq.write_table(table, out)
    else:
        pyarrow.csv.write_csv(table, out)
    content = out.getvalue().to_pybytes()
    return {
        "examples.csv": None if many else content,
        "examples.parquet": content if many else None,
    }
