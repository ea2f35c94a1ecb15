"""The writers: records from their JSON text into a file, each format in its own way."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import IO, Protocol, cast

from airflow_provider_nxcloud.api.records import RecordReader
from airflow_provider_nxcloud.storage.csv import CsvWriter
from airflow_provider_nxcloud.storage.formats import COMPRESSION_LEVELS, OutputFormat

_NO_FACTS: Mapping[str, str] = MappingProxyType({})


class RecordWriter(Protocol):
    """Writes records."""

    def write(self, block: bytes) -> None:
        """
        Write records, each one whole line of JSON text.

        :raises RecordValueError: for a value that does not fit its field, where the format has types
        """


class JsonLinesWriter:
    """One record a line, as it came."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, block: bytes) -> None:
        """Write the lines as they are."""
        self._file.write(block)


def record_writer(
    file: IO[bytes], output: OutputFormat, reader: RecordReader, facts: Mapping[str, str] = _NO_FACTS
) -> AbstractContextManager[RecordWriter]:
    """
    Open a writer in the given format; the same records give the same bytes.

    :param file: opened for writing, and left open
    :param output: the format
    :param reader: reads the kind's records
    :param facts: what the file is to tell of itself, where its format has a place for it
    """
    if output.name == "parquet":
        from airflow_provider_nxcloud.storage.parquet import parquet_writer

        return parquet_writer(file, output.compression, reader, facts)
    return _text_writer(file, output, reader)


@contextmanager
def _text_writer(file: IO[bytes], output: OutputFormat, reader: RecordReader) -> Iterator[RecordWriter]:
    level = COMPRESSION_LEVELS["gzip"]
    packed = gzip.GzipFile("", "wb", level, file, mtime=0) if output.compression == "gzip" else nullcontext(file)
    with packed as stream:
        binary = cast(IO[bytes], stream)
        yield CsvWriter(binary, reader) if output.name == "csv" else JsonLinesWriter(binary)
