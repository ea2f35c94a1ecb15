"""The formats that records are written in, and what a path's suffix says of them."""

from __future__ import annotations

import csv
import gzip
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import IO, Any, cast

from airflow_provider_nxcloud.api.records import EXTRA_COLUMN, FieldType, RecordReader

DEFAULT_FORMAT = "jsonl"
#: Balance of size and time; the level is a part of the promise that the same records give the same bytes.
GZIP_LEVEL = 6

_COMPRESSION_SUFFIXES: Mapping[str, str] = MappingProxyType({"gzip": ".gz"})
#: Endings that look like a file in a format that is not written here.
_FOREIGN_SUFFIXES = (".json", ".ndjson", ".tsv", ".txt", ".xlsx", ".avro", ".orc", ".gz", ".zip", ".zst", ".bz2")


class RecordWriter(ABC):
    """
    Writes records to a binary file, which it leaves open.

    :param file: opened for writing
    :param reader: reads the kind's records
    """

    def __init__(self, file: IO[bytes], reader: RecordReader) -> None:
        self._file = file
        self._reader = reader

    @abstractmethod
    def write(self, batch: list[bytes]) -> None:
        """Write records, each one line of JSON text."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is still to be written."""


class JsonLinesWriter(RecordWriter):
    """One record a line, as it came."""

    def write(self, batch: list[bytes]) -> None:
        """Write the lines as they are."""
        self._file.write(b"".join(batch))

    def finish(self) -> None:
        """Nothing is held back."""


def _utc_text(moment: datetime, timespec: str) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _as_it_is(value: object) -> object:
    return value


#: One notation a column: readers that take the first rows for the rule must be right about the others.
_CSV_TEXTS: Mapping[FieldType, Callable[[Any], object]] = MappingProxyType(
    {
        FieldType.BOOLEAN: lambda value: str(value).lower(),
        FieldType.DECIMAL: lambda value: f"{value:f}",
        FieldType.EPOCH_MILLISECONDS: lambda value: _utc_text(value, "milliseconds"),
        FieldType.LOCAL_TIME: lambda value: _utc_text(value, "seconds"),
    }
)


class CsvWriter(RecordWriter):
    """RFC 4180 with a header, in UTF-8; times in ISO 8601 with ``Z``, unknown fields in the last column."""

    def __init__(self, file: IO[bytes], reader: RecordReader) -> None:
        super().__init__(file, reader)
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        self._csv = csv.writer(self._text)
        self._csv.writerow([*(field.name for field in reader.fields), EXTRA_COLUMN])
        self._formats = [*(_CSV_TEXTS.get(field.type, _as_it_is) for field in reader.fields), _as_it_is]

    def write(self, batch: list[bytes]) -> None:
        """
        Write the records' typed values.

        :raises RecordValueError: for a value that does not fit its field
        """
        self._csv.writerows(self._texts(record) for record in batch)

    def _texts(self, record: bytes) -> list[object]:
        row = zip(self._formats, self._reader.row(record), strict=True)
        return [None if value is None else text_of(value) for text_of, value in row]

    def finish(self) -> None:
        """Write what is buffered, and let go of the file."""
        self._text.flush()
        self._text.detach()


_WRITERS: Mapping[str, type[RecordWriter]] = MappingProxyType({"jsonl": JsonLinesWriter, "csv": CsvWriter})


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """
    A format with its compression.

    :param name: ``jsonl`` or ``csv``
    :param compression: ``gzip`` or None
    """

    name: str
    compression: str | None

    @property
    def suffix(self) -> str:
        """The ending of an object's name, such as ``.jsonl.gz``."""
        return f".{self.name}{_COMPRESSION_SUFFIXES.get(self.compression or '', '')}"


@contextmanager
def record_writer(file: IO[bytes], output: OutputFormat, reader: RecordReader) -> Iterator[RecordWriter]:
    """Open a writer in the given format; the same records give the same bytes."""
    with ExitStack() as stack:
        if output.compression == "gzip":
            file = cast(IO[bytes], stack.enter_context(gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0)))
        writer = _WRITERS[output.name](file, reader)
        yield writer
        writer.finish()


def suffix_format(path: str) -> OutputFormat | None:
    """
    Return the format that a path's suffix names; None for a dataset root, which has no such suffix.

    :raises ValueError: for the suffix of a format that cannot be written
    """
    name = path.rstrip("/").rpartition("/")[2].lower()
    for format_name in _WRITERS:
        for compression in (None, *_COMPRESSION_SUFFIXES):
            candidate = OutputFormat(format_name, compression)
            if name.endswith(candidate.suffix):
                return candidate
    if name.endswith(_FOREIGN_SUFFIXES):
        raise ValueError(f"The suffix of output_path {path!r} is of no format that is written: {_known()}")
    return None


def output_format(path: str, name: str | None, compression: str | None) -> OutputFormat:
    """
    Return the format to write, from the path's suffix and the explicit choices.

    :param path: ``output_path``
    :param name: ``output_format``; None: by the suffix, else ``jsonl``
    :param compression: None: by the suffix, else none
    :raises ValueError: for an unknown choice, or one that contradicts the suffix
    """
    if name is not None and name not in _WRITERS:
        raise ValueError(f"output_format must be one of {', '.join(_WRITERS)}, not {name!r}")
    if compression is not None and compression not in _COMPRESSION_SUFFIXES:
        raise ValueError(f"compression must be one of {', '.join(_COMPRESSION_SUFFIXES)} or None, not {compression!r}")
    by_suffix = suffix_format(path)
    if by_suffix is None:
        return OutputFormat(name or DEFAULT_FORMAT, compression)
    if name not in (None, by_suffix.name) or compression not in (None, by_suffix.compression):
        raise ValueError(
            f"output_path {path!r} ends as {by_suffix.suffix}, which contradicts output_format={name!r}, "
            f"compression={compression!r}: change the suffix or leave the two out"
        )
    return by_suffix


def _known() -> str:
    return ", ".join(OutputFormat(name, c).suffix for name in _WRITERS for c in (None, *_COMPRESSION_SUFFIXES))
