"""CSV by RFC 4180: lines end with CR LF, null is nothing, empty text is two quotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from types import MappingProxyType
from typing import IO, Any

from airflow_provider_nxcloud.api.records import EXTRA_FIELD, FieldType, RecordReader

LINE_END = "\r\n"

_EPOCH = datetime(1970, 1, 1)
_BOOLEANS = {True: "true", False: "false", None: ""}
_SECONDS = tuple(f"{second:02d}" for second in range(60))
_MILLISECONDS = tuple(f".{millisecond:03d}Z" for millisecond in range(1000))
_WHOLE_SECONDS = ("Z",)


class CsvWriter:
    """A header, then a record a row, in UTF-8; times in ISO 8601 with ``Z``, unknown fields in the last column."""

    def __init__(self, file: IO[bytes], reader: RecordReader) -> None:
        self._file = file
        self._reader = reader
        fields = (*reader.fields, EXTRA_FIELD)
        self._notations = [_NOTATIONS[field.type] for field in fields]
        self._write_rows([[field.name] for field in fields])

    def write(self, block: bytes) -> None:
        """
        Write the records' typed values.

        :raises RecordValueError: for a value that does not fit its field
        """
        columns = self._reader.columns(block)
        self._write_rows(texts_of(column) for texts_of, column in zip(self._notations, columns, strict=True))

    def _write_rows(self, columns: Iterable[list[str]]) -> None:
        rows = map(",".join, zip(*columns, strict=True))
        self._file.write("".join(row + LINE_END for row in rows).encode())


def _quoted(column: list[str | None]) -> list[str]:
    """Return texts in quotes where they need them."""
    together = "".join(filter(None, column))
    if any(special in together for special in '",\r\n'):
        return list(map(_quoted_text, column))
    return ['""' if text == "" else text or "" for text in column]


def _quoted_text(text: str | None) -> str:
    if text is None:
        return ""
    if not text or any(special in text for special in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain(column: list[object]) -> list[str]:
    return ["" if value is None else str(value) for value in column]


def _booleans(column: list[bool | None]) -> list[str]:
    return [_BOOLEANS[value] for value in column]


def _times(column: list[int | None], *, endings: Sequence[str]) -> list[str]:
    return [
        ""
        if moment is None
        else _up_to_minutes(moment // 60_000) + _SECONDS[moment % 60_000 // 1000] + endings[moment % 1000]
        for moment in column
    ]


@lru_cache(maxsize=4096)
def _up_to_minutes(minutes: int) -> str:
    """Return the text of a minute since 1970, such as ``2026-11-20T08:15:``."""
    return (_EPOCH + timedelta(minutes=minutes)).isoformat(timespec="minutes") + ":"


#: One notation a column: readers that take the first rows for the rule must be right about the others.
_NOTATIONS: Mapping[FieldType, Callable[[list[Any]], list[str]]] = MappingProxyType(
    {
        FieldType.TEXT: _quoted,
        FieldType.BOOLEAN: _booleans,
        FieldType.INTEGER: _plain,
        FieldType.CODE: _plain,
        FieldType.DECIMAL: _plain,
        FieldType.EPOCH_MILLISECONDS: partial(_times, endings=_MILLISECONDS),
        FieldType.LOCAL_TIME: partial(_times, endings=_WHOLE_SECONDS),
        FieldType.JSON: _quoted,
    }
)
