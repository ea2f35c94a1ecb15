"""Personal data taken out of records before they are written: replaced by a keyed hash, or dropped."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Iterator, Mapping
from json import JSONDecoder
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

import msgspec

from airflow_provider_nxcloud.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_nxcloud.api.records import EXTRA_FIELD, UNREADABLE, FieldType, RecordValueError

Action = Literal["hash", "drop"]
ACTIONS: tuple[str, ...] = get_args(Action)
#: What is to be redacted: names of fields to hash, or what is to be done to each.
Redact = Collection[str] | Mapping[str, Action]

#: The fields of each record kind that hold personal data, or may hold some.
PERSONAL_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        endpoint.kind: tuple(field.name for field in (*endpoint.fields, EXTRA_FIELD) if field.personal)
        for endpoint in ENDPOINTS
    }
)

_NOBODY = (b"null", b'""')
_HASHABLE_TYPES = (FieldType.TEXT, FieldType.JSON)
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode
_scan = JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode


class Redactor:
    """
    Hashes or drops chosen fields of records. All else stays as it came, byte for byte.

    A hash is the HMAC-SHA-256 of the value's text in UTF-8, in lowercase hexadecimal digits. Nothing else goes into
    it, so that one number has one hash in every field, record kind and run. Null and empty text stay: they stand for
    nobody.

    :param endpoint: the kind of records
    :param redact: names of fields to hash, or a mapping of names to ``hash`` or ``drop``; ``_extra`` stands for every
        field that the kind's table does not have. None: nothing
    :param key: of the hash
    :raises ValueError: for an unknown field or action, a field that cannot be hashed, or a missing key
    """

    def __init__(self, endpoint: Endpoint, redact: Redact | None, key: str | None = None) -> None:
        #: What is done to which field, in the order of the kind's table.
        self.actions = _checked_actions(endpoint, redact)
        if "hash" in self.actions.values() and not key:
            raise ValueError(
                "redact hashes fields, which needs a key: set the Connection's extra 'redaction_key', or map the "
                "fields to 'drop'"
            )
        self.kind = endpoint.kind
        self._key = (key or "").encode()
        self._extra_action = self.actions.get(EXTRA_FIELD.name)
        self._actions = {name: action for name, action in self.actions.items() if name != EXTRA_FIELD.name}
        self._known = frozenset(field.name for field in endpoint.fields)

    def blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """
        Yield blocks of records, each record one line of JSON text, redacted.

        :raises RecordValueError: for a record that is not readable
        """
        return map(self.block, blocks) if self.actions else iter(blocks)

    def block(self, block: bytes) -> bytes:
        """Return one block of whole lines, redacted; see :meth:`blocks`."""
        try:
            return b"".join([self._redacted(record) + b"\n" for record in block.splitlines()])
        except UNREADABLE as error:
            raise RecordValueError(f"A record of {self.kind} is not readable, so not redacted: {error}") from None

    def hidden(self, filters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return filters with hashes for values, where something is redacted and there is a key."""
        if not self.actions or not self._key:
            return filters
        return {name: self._hash(str(value).encode()) for name, value in filters.items()}

    def _redacted(self, record: bytes) -> bytes:
        fields = _decode_fields(record)
        if _encode(fields) != record:  # a name comes twice, or is not written as the encoder would
            return self._redacted_as_written(msgspec.json.format(record, indent=-1))
        for name in self._actions.keys() & fields.keys():
            self._redact(fields, name, self._actions[name])
        if self._extra_action:
            for name in fields.keys() - self._known:
                self._redact(fields, name, self._extra_action)
        return _encode(fields)

    def _redact(self, fields: dict[str, msgspec.Raw], name: str, action: Action) -> None:
        if action == "drop":
            del fields[name]
        else:
            fields[name] = msgspec.Raw(self._hashed(bytes(fields[name])))

    def _redacted_as_written(self, record: bytes) -> bytes:
        members = []
        for name, written_name, value in _members(record):
            action = self._actions.get(name) if name in self._known else self._extra_action
            if action != "drop":
                members.append(written_name + b":" + (self._hashed(value) if action else value))
        return b"{" + b",".join(members) + b"}"

    def _hashed(self, value: bytes) -> bytes:
        """Return the hash of a JSON value as JSON text; a number is hashed as the text of the same digits."""
        if value in _NOBODY:
            return value
        text = _decode_text(value).encode() if value.startswith(b'"') else value
        return b'"%s"' % self._hash(text).encode()

    def _hash(self, text: bytes) -> str:
        return hmac.digest(self._key, text, "sha256").hex()


def _members(record: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield each member of an object without white space: its name, and name and value as they are written."""
    text = record.decode()
    end = 0
    while text[end] != "}":
        start = end + 1
        name, colon = _scan(text, start)
        _, end = _scan(text, colon + 1)
        yield name, text[start:colon].encode(), text[colon + 1 : end].encode()


def _checked_actions(endpoint: Endpoint, redact: Redact | None) -> dict[str, Action]:
    asked = _asked_actions(redact)
    fields = (*endpoint.fields, EXTRA_FIELD)
    if unknown := [name for name in asked if name not in {field.name for field in fields}]:
        raise ValueError(
            f"{endpoint.kind} has no field {', '.join(map(repr, unknown))} to redact; it has "
            f"{', '.join(field.name for field in fields)} ({EXTRA_FIELD.name} stands for every other field)"
        )
    for field in fields:
        action = asked.get(field.name, "drop")
        if action not in ACTIONS:
            raise ValueError(f"redact: {field.name} must be mapped to one of {', '.join(ACTIONS)}, not {action!r}")
        if action == "hash" and field.type not in _HASHABLE_TYPES:
            raise ValueError(
                f"redact: {field.name} is no text but {field.type.value}, and its column cannot hold a hash: map it to "
                "'drop', or leave it out"
            )
    return {field.name: cast(Action, asked[field.name]) for field in fields if field.name in asked}


def _asked_actions(redact: Redact | None) -> Mapping[str, str]:
    if redact is None:
        return {}
    if isinstance(redact, str) or not isinstance(redact, Collection):
        raise ValueError(f"redact must be a list of fields, or a mapping of fields to actions, not {redact!r}")
    return redact if isinstance(redact, Mapping) else {str(name): "hash" for name in redact}
