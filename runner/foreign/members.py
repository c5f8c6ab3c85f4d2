"""The member matrix of models trained elsewhere: read, checked, its pairs found, and redrawn."""

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runner.faults import BadAnswers
from runner.foreign.listing import locate
from runner.foreign.reading import given_numbers, npz_arrays, readable
from runner.storage.ids import generator_of

ROWS = "row m is the model of file m, sorted by name; entries 1 in, 0 out, -1 not judged"


def read_member(where: str) -> np.ndarray:
    """Return the (M, N) int8 member matrix of a .npy, .npz, .csv or .parquet file.

    An npz has it under the key `member`; a Parquet file has one column a model.

    Raises:
        BadAnswers: it cannot be read, or is no matrix of 1, 0 and -1.
    """
    place = locate(where)
    ending = place.path.rpartition(".")[2]
    if ending not in READERS:
        known = ", ".join(f".{name}" for name in READERS)
        raise BadAnswers(place.told, f"its name ends on .{ending}", f"give one of {known}")
    with readable(place.told), place.filesystem.open_input_file(place.path) as file:
        matrix = READERS[ending](file, place.told)
    if matrix.ndim != 2:
        raise BadAnswers(place.told, f"shape {matrix.shape} is no matrix (M, N)", ROWS)
    if matrix.dtype.kind not in "biuf" or not np.isin(matrix, (-1, 0, 1)).all():
        raise BadAnswers(place.told, "it holds other entries than 1, 0 and -1", ROWS)
    return matrix.astype(np.int8)


def check_member(member: np.ndarray, num_models: int, told: str) -> None:
    """Refuse a matrix that does not go with M files, or under which a model cannot be judged.

    Raises:
        BadAnswers: wrong shape; a model without members or without non-members; two alike.
    """
    if len(member) != num_models:
        turned = member.shape[1] == num_models
        raise BadAnswers(
            told,
            f"{member.shape[0]} rows for {num_models} models",
            f"it looks like (N, M): write its transpose; {ROWS}" if turned else ROWS,
        )
    for m, row in enumerate(member):
        for kind, entry in (("members", 1), ("non-members", 0)):
            if not (row == entry).any():
                raise BadAnswers(
                    told,
                    f"row {m} has no {kind}",
                    "an attack is judged by telling the one from the other: ask each model about "
                    "examples that it was trained on and others",
                )
    seen: dict[bytes, int] = {}
    for m, row in enumerate(member):
        twin = seen.setdefault(row.tobytes(), m)
        if twin != m:
            raise BadAnswers(
                told,
                f"rows {twin} and {m} are the same",
                "a shadow with the target's own members gives them away; keep one of them, or put "
                "repeats into arms (sub-folders) of their own",
            )


def partners(member: np.ndarray) -> np.ndarray:
    """Return the model whose row is the mirror of each one's on the judged examples, or itself.

    Args:
        member: (M, N) int8, no two rows alike.

    Returns:
        (M,) int64.
    """
    place = {row.tobytes(): m for m, row in enumerate(member)}
    mirrors = (np.where(row < 0, row, 1 - row).astype(np.int8).tobytes() for row in member)
    return np.array([place.get(mirror, m) for m, mirror in enumerate(mirrors)], np.int64)


def redrawn(member: np.ndarray, seed: int) -> np.ndarray:
    """Return a member matrix that no model was trained on: examples change their columns.

    The judged examples are permuted, by one permutation for all models. So whatever the design
    was, the redrawn matrix has it too: complementary pairs stay so, each model keeps its number of
    members, and each column its number of models; nothing but which examples they belong to is
    random. A design that leaks by its in-counts leaks here as well, which is what a control is for.

    Args:
        member: (M, N) int8.
        seed: of the permutation.
    """
    judged = np.flatnonzero((member >= 0).any(axis=0))
    generator = generator_of(seed, "null")
    null = member.copy()
    null[:, judged] = member[:, generator.permutation(judged)]
    return null


def _from_npy(file: pa.NativeFile, told: str) -> np.ndarray:
    matrix = np.load(file, allow_pickle=False)
    if not isinstance(matrix, np.ndarray):
        raise BadAnswers(told, "it is an npz, not an npy", "name it so")
    return matrix


def _from_npz(file: pa.NativeFile, told: str) -> np.ndarray:
    arrays = npz_arrays(np.load(file, allow_pickle=False), told)
    if "member" not in arrays:
        raise BadAnswers(told, f"no array `member`, only {', '.join(arrays)}", ROWS)
    return arrays["member"]


def _from_csv(file: pa.NativeFile, told: str) -> np.ndarray:
    return np.loadtxt(io.BytesIO(file.read()), delimiter=",", ndmin=2)


def _from_parquet(file: pa.NativeFile, told: str) -> np.ndarray:
    table = pq.read_table(file)
    columns = zip(table.column_names, table.columns, strict=True)
    return np.stack([given_numbers(c.combine_chunks(), name, told) for name, c in columns])


READERS: dict[str, Callable[[pa.NativeFile, str], np.ndarray]] = {
    "npy": _from_npy,
    "npz": _from_npz,
    "csv": _from_csv,
    "parquet": _from_parquet,
}
