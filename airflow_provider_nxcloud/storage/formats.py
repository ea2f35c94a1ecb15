"""The formats that records are written in, and what a path's suffix says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

#: What says explicitly that nothing is to be compressed.
UNCOMPRESSED = "none"
#: Each format's compressions, the first being its default, with the suffix of an object; the first format likewise.
SUFFIXES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "jsonl": {UNCOMPRESSED: ".jsonl", "gzip": ".jsonl.gz"},
        "csv": {UNCOMPRESSED: ".csv", "gzip": ".csv.gz"},
        "parquet": dict.fromkeys(("zstd", "snappy", "gzip", UNCOMPRESSED), ".parquet"),
    }
)

#: Balance of size and time; the levels are a part of the promise that the same records give the same bytes.
COMPRESSION_LEVELS: Mapping[str, int] = MappingProxyType({"gzip": 6, "zstd": 3})

#: Endings that look like a file in a format that is not written here.
_FOREIGN_SUFFIXES = (".json", ".ndjson", ".tsv", ".txt", ".xlsx", ".avro", ".orc", ".gz", ".zip", ".zst", ".bz2")


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """
    A format with its compression.

    :param name: ``jsonl``, ``csv`` or ``parquet``
    :param compression: one of the format's, see :data:`SUFFIXES`; None: uncompressed
    """

    name: str
    compression: str | None

    @property
    def suffix(self) -> str:
        """The ending of an object's name, such as ``.jsonl.gz``."""
        return SUFFIXES[self.name][self.compression or UNCOMPRESSED]


def suffix_format(path: str) -> OutputFormat | None:
    """
    Return the format that a path's suffix names; None for a dataset root, which has no such suffix.

    :raises ValueError: for the suffix of a format that cannot be written
    """
    name = path.rstrip("/").rpartition("/")[2].lower()
    for format_name, compressions in SUFFIXES.items():
        for compression, suffix in compressions.items():
            if name.endswith(suffix):
                return _format(format_name, compression)
    if name.endswith(_FOREIGN_SUFFIXES):
        known = dict.fromkeys(suffix for compressions in SUFFIXES.values() for suffix in compressions.values())
        raise ValueError(f"The suffix of output_path {path!r} is of no format that is written: {', '.join(known)}")
    return None


def output_format(path: str, name: str | None, compression: str | None) -> OutputFormat:
    """
    Return the format to write, from the path's suffix and the explicit choices.

    :param path: ``output_path``
    :param name: ``output_format``; None: by the suffix, else ``jsonl``
    :param compression: None: by the suffix, else the format's default
    :raises ValueError: for an unknown choice, one that contradicts the suffix, or a format whose library is missing
    """
    by_suffix = suffix_format(path)
    chosen = name or (by_suffix.name if by_suffix else next(iter(SUFFIXES)))
    if chosen not in SUFFIXES:
        raise ValueError(f"output_format must be one of {', '.join(SUFFIXES)}, not {chosen!r}")
    if compression is not None and compression not in SUFFIXES[chosen]:
        raise ValueError(f"compression of {chosen} must be one of {', '.join(SUFFIXES[chosen])}, not {compression!r}")
    if by_suffix and compression is None and chosen == by_suffix.name:
        output = by_suffix
    else:
        output = _format(chosen, compression or next(iter(SUFFIXES[chosen])))
    if by_suffix and output.suffix != by_suffix.suffix:
        raise ValueError(
            f"output_path {path!r} ends as {by_suffix.suffix}, which contradicts output_format={name!r}, "
            f"compression={compression!r}: change the suffix or leave the two out"
        )
    if chosen == "parquet":
        _require_pyarrow()
    return output


def _format(name: str, compression: str) -> OutputFormat:
    return OutputFormat(name, None if compression == UNCOMPRESSED else compression)


def _require_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"Parquet needs pyarrow ({error}): install airflow-provider-nxcloud[parquet], or choose jsonl or csv"
        ) from error
