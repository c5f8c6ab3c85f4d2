"""Your own images in Parquet files, as Hugging Face's `datasets` or others write them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from runner.data import Data, Dataset
from runner.data._arrays import Layout, as_images
from runner.data._columns import Columns, read_all, splits_of, told
from runner.data._pictures import Encoded, Wanted, decoded
from runner.data._split import Own, Seen, Split, assemble, halve

if TYPE_CHECKING:  # who only reads the keys does not wait for it
    import pyarrow as pa

IMAGES = ("image", "img", "images", "pixels")
Size = PositiveInt | tuple[PositiveInt, PositiveInt]  # a side, or H and W


class Parquet(Data):
    """`root` is a file, or a folder of files whose names begin with train and test.

    `{name: parquet, root: data, image: scan, label: finding, group: patient}`. Images are encoded,
    as JPEG or PNG: in a column of bytes, or in Hugging Face's of `bytes` and `path`. Or they are
    lists of pixels, H x W or with channels, uint8 or floats in [0, 1].
    """

    name: Literal["parquet"] = "parquet"
    image: str | None = None  # the column; None: image, img, images or pixels
    label: str | None = None  # None: label, labels, target, class or y
    id: str | None = None  # None: examples are called by their row
    group: str | None = None
    size: Size | None = None  # made so large, bilinear; None: they all have one size
    crop: bool = False  # to the shape of `size` before that, at the centre; False: squeezed
    channels: Literal["auto", 1, 3] = "auto"  # auto: 1 where all are grey
    layout: Layout = "auto"  # of lists of pixels, as of npz
    test_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.2  # drawn where there is no test split

    def load(self) -> Dataset:
        import pyarrow.parquet as pq

        files = splits_of(self.root, [".parquet", ".pq"], "Parquet file")
        where = f"'{self.root}'"
        train = read_all(files.train, pq.read_table)
        test = read_all(files.test, pq.read_table) if files.test else None
        said = told(Columns(self.label, self.id, self.group), train, test, where)
        image = self.image or next((c for c in IMAGES if c in train.column_names), None)
        for table in (train, test):
            if table is not None and (image is None or image not in table.column_names):
                raise ValueError(
                    f"{where} has the columns {', '.join(table.column_names)}: which of them has "
                    "the images? Say it by data.image"
                )
        assert image is not None
        columns = [table.column(image) for table in (train, test) if table is not None]
        parts = [Split(np.arange(train.num_rows), said.classes.train, said.train)]
        if test is None:
            num_test = round(self.test_fraction * train.num_rows)
            parts = halve(parts[0], num_test, self.group is not None)
        else:
            rows = np.arange(train.num_rows, train.num_rows + test.num_rows)
            parts.append(Split(rows, said.classes.test, said.test))
        see = partial(self._seen, columns, f"{where}, {image}")
        own = Own(said.classes.names, self.group is not None, see)
        return assemble(
            self, parts[0], parts[1], said.classes.number, remarks=files.remarks, own=own
        )

    def _seen(
        self, columns: list[pa.ChunkedArray], where: str, pool: np.ndarray, test: np.ndarray
    ) -> Seen:
        """The images in some rows, which are counted on from split to split."""
        import pyarrow as pa

        kinds = {_kind(column.type) for column in columns}
        if kinds not in ({"encoded"}, {"list"}):
            raise ValueError(
                f"{where}: expected bytes of image files, a struct of `bytes` and `path`, or lists "
                f"of pixels, got {columns[0].type}; name another column by data.image"
            )
        chunks = [chunk for column in columns for chunk in _encoded(column).chunks]
        whole = pa.chunked_array(chunks).take(np.append(pool, test))
        if whole.null_count:
            row = int(np.append(pool, test)[whole.is_null().to_pylist().index(True)])
            raise ValueError(
                f"{where}: {whole.null_count} rows have no image, row {row} among them; a path "
                "beside it is not followed: write the files' bytes, or use data.name: folder"
            )
        if kinds == {"list"}:
            images, remarks = self._pixels(whole, where)
            return Seen(images[: len(pool)], images[len(pool) :], None, remarks)
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        rows = np.append(pool, test).tolist()
        sources = [
            Encoded(f"in row {row} of {where}", value.as_py())
            for row, value in zip(rows, whole, strict=True)
        ]
        images = decoded(sources, Wanted(size, self.crop, self.channels))
        return Seen(images[: len(pool)], images[len(pool) :])

    def _pixels(self, column: pa.ChunkedArray, where: str) -> tuple[np.ndarray, list[str]]:
        """Lists of pixels as images, and what became of them."""
        if self.size is not None:
            raise ValueError(
                f"data.size: lists of pixels are taken as they are, and {where} has such; leave it "
                "out"
            )
        values, shape = column.combine_chunks(), [len(column)]
        while _kind(values.type) == "list":
            flat = values.flatten()
            if len(np.unique(values.value_lengths().to_numpy(zero_copy_only=False))) > 1:
                raise ValueError(f"{where}: lists of pixels are of several lengths")
            shape.append(len(flat) // max(len(values), 1))
            values = flat
        if len(shape) == 2:
            raise ValueError(
                f"{where}: {shape[1]} pixels in one row each; make them H lists of W pixels"
            )
        array = values.to_numpy(zero_copy_only=False).reshape(shape)
        if array.dtype.kind in "iu" and array.min(initial=0) >= 0 and array.max(initial=0) <= 255:
            array = array.astype(np.uint8)
        try:
            return as_images(array, self.layout)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


def _kind(of: pa.DataType) -> str:
    """encoded, list, or "" of what has no image."""
    import pyarrow as pa

    if isinstance(of, pa.BaseExtensionType):
        of = of.storage_type
    if pa.types.is_struct(of) and "bytes" in [of.field(i).name for i in range(of.num_fields)]:
        of = of.field("bytes").type
    if pa.types.is_binary(of) or pa.types.is_large_binary(of):
        return "encoded"
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return "list" if any(is_it(of) for is_it in lists) else ""


def _encoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The bytes of a struct, the storage of an extension, or the column itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array(
            [chunk.storage for chunk in column.chunks], column.type.storage_type
        )
    if pa.types.is_struct(column.type):
        return pc.call_function("struct_field", [column], pc.StructFieldOptions("bytes"))
    return column
