"""The member matrix of models trained elsewhere: read, checked, its pairs found, and redrawn."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from runner.faults import BadAnswers
from runner.foreign.listing import ENDINGS, in_order, locate
from runner.foreign.reading import given_numbers, npz_arrays, readable
from runner.storage.ids import generator_of

NEARLY = 0.02  # the share of examples on which rows may agree that are taken for mirrors
AT_ONCE = 1 << 16  # examples that rows are compared on at a time
Arms = Sequence[Sequence[str]]
ROWS = "row m is the model of file m, sorted by name; entries 1 in, 0 out, -1 not judged"


def read_member(where: str, arms: Arms = ()) -> np.ndarray:
    """Return the (M, N) int8 member matrix of a .npy, .npz, .csv or .parquet file.

    An npz has it under the key `member`; a Parquet file has one column a model, a CSV one line.
    Columns, or lines, that are
    called as the files of an arm are, with or without their ending, are put into their order;
    others are taken as they stand, which must then be the order of the numbers in their names.

    Args:
        arms: the names of each arm's files, without endings, in the order of the rows.

    Raises:
        BadAnswers: it cannot be read, or is no matrix of 1, 0 and -1, or nobody can say whose its
            columns are.
    """
    place = locate(where)
    name = place.path.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower()
    with readable(place.told):
        is_folder = place.filesystem.get_file_info(place.path).type == fs.FileType.Directory
    if is_folder or ending not in READERS:
        known = ", ".join(f".{name}" for name in READERS)
        what = f"its name ends on .{ending}" if "." in name else "its name has no ending"
        what = "it is a folder" if is_folder else what
        raise BadAnswers(place.told, what, f"give a file of the member matrix: {known}")
    with readable(place.told), place.filesystem.open_input_file(place.path) as file:
        matrix = READERS[ending](file, place.told, arms)
    if matrix.ndim != 2:
        raise BadAnswers(place.told, f"shape {matrix.shape} is no matrix (M, N)", ROWS)
    if matrix.dtype.kind not in "biuf" or not np.isin(matrix, (-1, 0, 1)).all():
        raise BadAnswers(place.told, "it holds other entries than 1, 0 and -1", _way_out(matrix))
    return matrix.astype(np.int8)


def _way_out(matrix: np.ndarray) -> str:
    """What to do with a matrix of other entries: places of members look like this."""
    if matrix.dtype.kind in "iu" and all(len(np.unique(row)) == len(row) for row in matrix):
        return f"of places of members make a row by np.isin(np.arange(N), places); {ROWS}"
    return ROWS


def check_member(member: np.ndarray, num_models: int, told: str) -> None:
    """Refuse a matrix that does not go with M files, or under which a model cannot be judged.

    Raises:
        BadAnswers: wrong shape; a model without members or without non-members; two rows alike, or
            two that mirror a third.
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
                way_out = (
                    "an attack is judged by telling the one from the other: ask each model about "
                    "examples that it was trained on and others"
                )
                if entry == 0 and (row < 0).any():
                    way_out += "; -1 says that a model is not judged, non-members are 0"
                raise BadAnswers(told, f"row {m} has no {kind}", way_out)
    mirrored = _alike(member, _mirror(member))
    for said, found, way_out in (
        (
            "are the same",
            np.triu(_alike(member, member), k=1),
            "a shadow with the target's own members gives them away; keep one of them, or put "
            "repeats into arms (sub-folders) of their own",
        ),
        (
            "mirror the same row",
            np.triu(mirrored @ mirrored, k=1),
            "both would give it away, and only one partner is left out; keep one of them",
        ),
    ):
        if found.any():
            one, other = np.argwhere(found)[0]
            raise BadAnswers(told, f"rows {one} and {other} {said}", way_out)


def with_counterparts(
    member: np.ndarray, told: str, by_chance: bool = False
) -> tuple[np.ndarray, list[str]]:
    """Return the matrix without what nothing can be told of, and a sentence on it if there is any.

    An example that every model was trained on, or none, of those judged on it, has no counterpart:
    how it is answered otherwise nobody has seen, so that what tells it from others may be what it
    is. Such examples are -1 in the matrix that comes back. One model alone has no counterparts at
    all, and is left as it is.

    Args:
        by_chance: leave those in that there are no more of than where each row is drawn by coins:
            chance tells nothing of an example.

    Raises:
        BadAnswers: they were all members of a model, or all its non-members.
    """
    everywhere, nowhere = ((member != other).all(axis=0) for other in (0, 1))
    judged = (member >= 0).any(axis=0)
    alone = judged & (everywhere | nowhere)
    if len(member) == 1 or not alone.any():
        return member, []
    if by_chance and alone.sum() <= _alone_by_chance(member):
        return member, []
    kept = np.where(alone, -1, member).astype(np.int8)
    inside = int((judged & everywhere).sum())
    said = f"{inside} of {judged.sum()} examples are members of every model and "
    said += f"{int(alone.sum()) - inside} of none"
    for m, row in enumerate(kept):
        for kind, entry in (("members", 1), ("non-members", 0)):
            if not (row == entry).any():
                raise BadAnswers(
                    told,
                    f"{said}, which leaves row {m} no {kind}",
                    "an example says something where some models were trained on it and others "
                    "were not",
                )
    return kept, [f"{said}: they have no counterpart, and are left out of all that is judged"]


def _alone_by_chance(member: np.ndarray) -> float:
    """How many examples are in all models or in none, at the most, of rows drawn by coins."""
    judged = np.maximum((member >= 0).sum(axis=1), 1)
    rate = (member == 1).sum(axis=1) / judged
    share = np.prod(rate) + np.prod(1 - rate)
    expected = float(share * (member >= 0).any(axis=0).sum())
    return expected + 5 * expected**0.5


def partners(member: np.ndarray) -> np.ndarray:
    """Return the model whose row mirrors each one's, or itself.

    Two rows mirror each other that differ wherever both are judged, or all but everywhere: one that
    agrees with the target's on an example in fifty still gives it away. Both must be judged
    together on half or more of what one of them is.

    Args:
        member: (M, N) int8, no two rows alike, and no two that mirror the same.

    Returns:
        (M,) int64.
    """
    exact = _alike(member, _mirror(member))
    if exact.any(axis=1).all():
        return exact.argmax(axis=1)
    agreeing, both = _compared(member, _mirror(member))
    near = _enough(member, both) & (agreeing <= NEARLY * both)
    models = np.arange(len(member))
    found = np.where(near.any(axis=1), np.where(near, agreeing, np.inf).argmin(axis=1), models)
    return np.where(found[found] == models, found, models)


def nearly_partners(member: np.ndarray) -> list[str]:
    """Return a sentence on partners whose rows mirror each other but for some examples, if any."""
    agreeing, _ = _compared(member, _mirror(member))
    found = [(m, n) for m, n in enumerate(partners(member)) if m < n and agreeing[m, n]]
    if not found:
        return []
    most = int(max(agreeing[m, n] for m, n in found))
    one, other = found[0]
    return [
        f"rows of {len(found)} pairs mirror each other but for {most} examples or fewer, as rows "
        f"{one} and {other} do: they are taken for partners, and neither is a shadow of the other"
    ]


def _mirror(member: np.ndarray) -> np.ndarray:
    return np.where(member < 0, member, 1 - member).astype(np.int8)


def _alike(member: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which rows agree on all that both judge, if that is half or more of either; (M, M) bool."""
    unjudged = member < 0
    if (unjudged == unjudged[0]).all():  # then rows that agree are the same
        rows, theirs = (np.array([row.tobytes() for row in m], object) for m in (member, others))
        return np.asarray(rows[:, None] == theirs, bool)
    differing, both = _compared(member, others)
    return (differing == 0) & _enough(member, both)


def _enough(member: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Whether two rows are judged together on half or more of what one of them is; (M, M) bool."""
    judged = (member >= 0).sum(axis=1)
    return (both > 0) & (2 * both >= np.minimum(judged[:, None], judged))


def _compared(member: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """On how many examples rows differ, and on how many both judge; (M, M) int64 each."""
    both, differing = np.zeros((2, len(member), len(member)), np.int64)
    for start in range(0, member.shape[1], AT_ONCE):
        some = slice(start, start + AT_ONCE)
        one, other = ((m[:, some] == 1).astype(np.float32) for m in (member, others))
        without, lacking = ((m[:, some] == 0).astype(np.float32) for m in (member, others))
        unlike = (one @ lacking.T + without @ other.T).astype(np.int64)
        differing += unlike
        both += unlike + (one @ other.T + without @ lacking.T).astype(np.int64)
    return differing, both


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


def _from_npy(file: pa.NativeFile, told: str, _: Arms) -> np.ndarray:
    matrix = np.load(file, allow_pickle=False)
    if not isinstance(matrix, np.ndarray):
        raise BadAnswers(told, "it is an npz, not an npy", "name it so")
    return matrix


def _from_npz(file: pa.NativeFile, told: str, _: Arms) -> np.ndarray:
    arrays = npz_arrays(np.load(file, allow_pickle=False), told)
    if "member" not in arrays:
        raise BadAnswers(told, f"no array `member`, only {', '.join(arrays)}", ROWS)
    return arrays["member"]


def _from_csv(file: pa.NativeFile, told: str, arms: Arms) -> np.ndarray:
    """A line a model; with a header of the files' names, a column a model.

    A header of other names and a first column of names are passed over, but for names of files,
    which say whose line it is.
    """
    lines = [line for line in file.read().decode().splitlines() if line.strip()]
    header = _cells(lines[0]) if lines and _is_header(_cells(lines[0])) else []
    if header and len(lines) > 1 and _is_number(_cells(lines[1])[0]):
        columns = np.loadtxt(lines[1:], delimiter=",", ndmin=2)
        named = [_without_ending(name) for name in header]
        if len(header) == columns.shape[1] and any(set(named) & set(of) for of in arms):
            return columns.T[_order(header, arms, told)]
        return columns
    lines = lines[1:] if header and len(lines) > 1 else lines
    first = [line.partition(",")[0].strip().strip('"') for line in lines]
    if any(map(_is_number, first)):
        return np.loadtxt(lines, delimiter=",", ndmin=2)
    rows = np.loadtxt([line.partition(",")[2] for line in lines], delimiter=",", ndmin=2)
    return rows[_order(first, arms, told)]


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(",")]


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a line is names: all of it, or all but the numbers of examples from 0 on."""
    numbered = cells[1:] == [str(n) for n in range(len(cells) - 1)] and len(cells) > 3
    return not any(map(_is_number, cells)) or (numbered and not _is_number(cells[0]))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _from_parquet(file: pa.NativeFile, told: str, arms: Arms) -> np.ndarray:
    table = pq.read_table(file)
    names = table.column_names
    rows = [given_numbers(table.column(i).combine_chunks(), n, told) for i, n in enumerate(names)]
    return np.stack([rows[place] for place in _order(names, arms, told)])


def _order(names: Sequence[str], arms: Arms, told: str) -> Sequence[int]:
    """Which column is each model's."""
    shown = [_without_ending(name) for name in names]
    for files in arms:
        strange = [name for name, stem in zip(names, shown, strict=True) if stem not in files]
        missing = [file for file in files if file not in shown]
        if len(strange) == len(names):
            continue
        if strange or missing or len(set(shown)) < len(shown):
            of = [f"no file is called {', '.join(strange)}"] if strange else []
            of += [f"no column is called {', '.join(missing)}"] if missing else []
            of = of or [f"columns are called alike: {', '.join(names)}"]
            raise BadAnswers(
                told,
                f"some columns are called as files are, but {' and '.join(of)}",
                "name one column after each file, or none: then their order is that of the files",
            )
        return [shown.index(file) for file in files]
    numbered = any(part.isdigit() for name in names for part in name)
    counted = in_order(names)
    if numbered and counted != list(names):
        at = next(i for i, name in enumerate(names) if name != counted[i])
        raise BadAnswers(
            told,
            f"column {at} is {names[at]}, though by its number {counted[at]} is",
            "name the columns after the files, or put them into the order of the files",
        )
    return range(len(names))


def _without_ending(name: str) -> str:
    """A file's name as `Given.name` has it."""
    return next((name[: -len(e)] for e in ENDINGS if name.lower().endswith(e)), name)


READERS: dict[str, Callable[[pa.NativeFile, str, Arms], np.ndarray]] = {
    "npy": _from_npy,
    "npz": _from_npz,
    "csv": _from_csv,
    "parquet": _from_parquet,
}
