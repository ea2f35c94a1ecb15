"""Parquet, in row groups of bounded size; the one module that needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_nxcloud.api.records import (
    DECIMAL_PRECISION,
    DECIMAL_SCALE,
    EXTRA_FIELD,
    Field,
    FieldType,
    RecordReader,
)
from airflow_provider_nxcloud.storage.formats import COMPRESSION_LEVELS, UNCOMPRESSED

#: JSON text of the records that are turned into columns at once.
PART_BYTES = 256 * 1024
#: A row group of 32 MiB of JSON text: small enough to be held in memory, large enough for a reader to take up at once.
ROW_GROUP_PARTS = 128

_TIME = pa.timestamp("ms", "UTC")
_TYPES: Mapping[FieldType, pa.DataType] = MappingProxyType(
    {
        FieldType.TEXT: pa.string(),
        FieldType.BOOLEAN: pa.bool_(),
        FieldType.INTEGER: pa.int64(),
        FieldType.CODE: pa.int64(),
        FieldType.DECIMAL: pa.decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
        FieldType.EPOCH_MILLISECONDS: _TIME,
        FieldType.LOCAL_TIME: _TIME,
        FieldType.JSON: pa.string(),
    }
)


def parquet_schema(fields: Sequence[Field], facts: Mapping[str, str]) -> pa.Schema:
    """
    Return the schema of a kind's file, with meaning, unit and codes of each field in its metadata.

    :param fields: the kind's
    :param facts: go into the file's key-value metadata, as ``nxcloud.<name>``
    """
    columns = [pa.field(f.name, _TYPES[f.type], metadata=_metadata(f)) for f in (*fields, EXTRA_FIELD)]
    return pa.schema(columns, metadata={f"nxcloud.{name}": fact for name, fact in facts.items()})


def _metadata(field: Field) -> dict[str, str]:
    codes = json.dumps(dict(enumerate(field.codes))) if field.codes else ""
    metadata = {"meaning": field.meaning, "unit": field.unit, "codes": codes}
    return {name: text for name, text in metadata.items() if text}


@contextmanager
def parquet_writer(
    file: IO[bytes], compression: str | None, reader: RecordReader, facts: Mapping[str, str]
) -> Iterator[ParquetWriter]:
    """
    Open a Parquet writer.

    :param file: opened for writing, and left open
    :param compression: ``zstd``, ``snappy``, ``gzip`` or None
    :param reader: reads the kind's records
    :param facts: see :func:`parquet_schema`
    """
    schema = parquet_schema(reader.fields, facts)
    codec = compression or UNCOMPRESSED
    with pq.ParquetWriter(file, schema, compression=codec, compression_level=COMPRESSION_LEVELS.get(codec)) as parquet:
        writer = ParquetWriter(parquet, reader)
        yield writer
        writer.finish()


class ParquetWriter:
    """
    Gathers records into parts, and parts into row groups.

    Where they end depends on the records alone, not on the batches that they come in.
    """

    def __init__(self, parquet: pq.ParquetWriter, reader: RecordReader) -> None:
        self._parquet = parquet
        self._reader = reader
        self._lines: list[bytes] = []
        self._size = 0
        self._parts: list[pa.RecordBatch] = []

    def write(self, block: bytes) -> None:
        """
        Take records in, and write the row groups that they fill.

        :raises RecordValueError: for a value that does not fit its field
        """
        for line in block.splitlines(keepends=True):
            self._lines.append(line)
            self._size += len(line)
            if self._size >= PART_BYTES:
                self._end_part()
                if len(self._parts) == ROW_GROUP_PARTS:
                    self._end_row_group()

    def finish(self) -> None:
        """Write the records that fill no row group."""
        if self._lines:
            self._end_part()
        if self._parts:
            self._end_row_group()

    def _end_part(self) -> None:
        schema = self._parquet.schema
        columns = zip(schema.types, self._reader.columns(b"".join(self._lines)), strict=True)
        self._parts.append(pa.record_batch([_array(type_, column) for type_, column in columns], schema=schema))
        self._lines.clear()
        self._size = 0

    def _end_row_group(self) -> None:
        table = pa.Table.from_batches(self._parts)
        self._parts.clear()
        self._parquet.write_table(table, row_group_size=table.num_rows)


def _array(type_: pa.DataType, column: list[object]) -> pa.Array:
    # pyarrow's own allocator keeps up to a row group more than is in use.
    pool = pa.system_memory_pool()
    if pa.types.is_decimal(type_):  # the fastest exact way, and an error where it is not exact
        return pa.array(column, pa.string(), memory_pool=pool).cast(type_, memory_pool=pool)
    return pa.array(column, type_, memory_pool=pool)
