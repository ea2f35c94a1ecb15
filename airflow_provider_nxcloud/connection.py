"""The NXCloud Connection: one definition of its fields, for the form and for the hook."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from airflow_provider_nxcloud.api import defaults
from airflow_provider_nxcloud.api.signing import ALGORITHMS, Algorithm

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

log = logging.getLogger(__name__)

CONNECTION_TYPE = "nxcloud"
HOOK_NAME = "NXCloud"
DEFAULT_CONNECTION_ID = "nxcloud_default"
#: Phone numbers are few enough to try them all, so the key is what keeps a hash from being undone.
MIN_KEY_CHARACTERS = 16

#: The extra fields, as Airflow's provider info describes them (``conn-fields``).
EXTRA_FIELDS: dict[str, dict[str, Any]] = {
    "algorithm": {
        "label": "Signature algorithm",
        "description": "Digest that signs the requests",
        "schema": {"type": ["string", "null"], "enum": list(ALGORITHMS), "default": "md5"},
    },
    "timezone": {
        "label": "Time zone",
        "description": f"Zone of NXCloud's dates and wall-clock times; default {defaults.TIMEZONE}",
        "schema": {"type": ["string", "null"], "default": defaults.TIMEZONE},
    },
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Ceiling of one task's requests; empty for none",
        "schema": {"type": ["number", "null"]},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": f"To connect, and between two bytes of an answer; default {defaults.TIMEOUT:.0f}",
        "schema": {"type": ["number", "null"], "default": defaults.TIMEOUT},
    },
    "verify": {
        "label": "CA bundle",
        "description": "Path of a CA bundle on the workers; empty for the system's. TLS is always verified",
        "schema": {"type": ["string", "null"]},
    },
    "proxies": {
        "label": "Proxies",
        "description": 'JSON object of proxies by scheme, such as {"https": "http://proxy.example.com:3128"}',
        "schema": {"type": ["string", "null"]},
    },
    "redaction_key": {
        "label": "Redaction key",
        "description": f"Key of the hashes that the operators' redact writes; at least {MIN_KEY_CHARACTERS} characters",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}

#: How the form shows the standard fields (``ui-field-behaviour``).
FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["schema", "port"],
    "relabeling": {"login": "accessKey", "password": "accessSecret", "host": "Gateway URL"},
    "placeholders": {"host": defaults.BASE_URL, "login": "your accessKey", "password": "your accessSecret"},
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """What a Connection says, checked; see the fields' descriptions in :data:`EXTRA_FIELDS`."""

    access_key: str = field(repr=False)
    access_secret: str = field(repr=False)
    host: str = defaults.BASE_URL
    algorithm: Algorithm = "md5"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo(defaults.TIMEZONE))
    requests_per_second: float | None = None
    timeout: float = defaults.TIMEOUT
    verify: bool | str = True
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    redaction_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_connection(cls, connection: Connection) -> ConnectionSettings:
        """
        Read an Airflow Connection; fields that are empty take their default.

        :raises ValueError: names the Connection, the field and what is wrong with it, never a credential
        """
        name = f"Connection {connection.conn_id!r}"
        access_key, access_secret = connection.login, connection.password
        if not access_key or not access_secret:
            raise ValueError(f"{name}: login (accessKey) and password (accessSecret) must both be set")
        values = {}
        for key, value in connection.extra_dejson.items():
            if key not in _READERS:
                log.warning("%s: extra %r is unknown and has no effect; known are %s", name, key, list(_READERS))
            elif value is not None and value != "":
                try:
                    values[key] = _READERS[key](value)
                except ValueError as error:
                    raise ValueError(f"{name}: extra {key!r} is wrong: {error}") from None
        return cls(access_key, access_secret, _host_of(connection), **values)


def _host_of(connection: Connection) -> str:
    host = connection.host or defaults.BASE_URL
    return f"{host}:{connection.port}" if connection.port else host


def _algorithm(value: Any) -> Algorithm:
    if value not in ALGORITHMS:
        raise ValueError(f"{value!r} is none of {', '.join(ALGORITHMS)}")
    return cast(Algorithm, value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number") from None


def _timezone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (ValueError, OSError, KeyError):
        raise ValueError(f"{value!r} is no IANA time zone, such as {defaults.TIMEZONE}") from None


def _verify(value: Any) -> bool | str:
    return True if value is True or str(value).lower() == "true" else _ca_bundle(value)


def _ca_bundle(value: Any) -> str:
    if not isinstance(value, str) or value.lower() == "false":
        raise ValueError("TLS verification cannot be switched off: give the path of a CA bundle")
    return value


def _proxies(value: Any) -> dict[str, str]:
    try:
        proxies = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        proxies = None
    if not isinstance(proxies, dict) or not all(isinstance(url, str) for url in proxies.values()):
        raise ValueError("it must be a JSON object of URLs by scheme")
    return proxies


def _redaction_key(value: Any) -> str:
    if not isinstance(value, str) or len(value) < MIN_KEY_CHARACTERS:
        raise ValueError(
            f"it must be text of at least {MIN_KEY_CHARACTERS} characters, such as this command prints: "
            "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "algorithm": _algorithm,
    "timezone": _timezone,
    "requests_per_second": _number,
    "timeout": _number,
    "verify": _verify,
    "proxies": _proxies,
    "redaction_key": _redaction_key,
}
