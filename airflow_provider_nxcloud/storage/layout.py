"""Where an interval's object lies: the same interval always maps to the same key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_nxcloud.storage.formats import OutputFormat, suffix_format

if TYPE_CHECKING:
    from airflow_provider_nxcloud.interval import Interval

FILTER_DIGEST_CHARACTERS = 8


def object_location(
    output_path: str,
    *,
    kind: str,
    interval: Interval,
    filters: Mapping[str, Any],
    timezone: ZoneInfo,
    output: OutputFormat,
) -> str:
    """
    Return the path or URI of an interval's object.

    A path with a format's suffix is the object itself. Any other is a dataset root, under which the object is
    ``date=<YYYY-MM-DD>/<kind>_<start>_<end>[_<filters>].<suffix>``.

    :param output_path: as the user gave it; ``my_conn@`` in a URI stays
    :param kind: record kind
    :param interval: its start's date, in ``timezone``, is the partition; its times stand in the name in UTC
    :param filters: body parameters; where any are set, a digest of them keeps their objects apart
    :param timezone: the Connection's
    :param output: gives the suffix
    """
    if suffix_format(output_path):
        return output_path
    date = datetime.fromtimestamp(interval.start, timezone).date().isoformat()
    parts = [kind, _compact(interval.start), _compact(interval.end)]
    if filters:
        parts.append(_digest(filters))
    return f"{output_path.rstrip('/')}/date={date}/{'_'.join(parts)}{output.suffix}"


def object_uri(location: str) -> str:
    """
    Return a place's URI as any reader of the store knows it.

    :param location: path or URI; ``my_conn@``, which means something to Airflow alone, goes
    """
    scheme, _, rest = location.rpartition("://")
    store, slash, key = rest.partition("/")
    return f"{scheme or 'file'}://{store.rpartition('@')[2]}{slash}{key}"


def _compact(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def _digest(filters: Mapping[str, Any]) -> str:
    """Digest filters, which may hold phone numbers, for an object's name."""
    return sha256(json.dumps(dict(filters), sort_keys=True).encode()).hexdigest()[:FILTER_DIGEST_CHARACTERS]
