"""JSON in and out without the loss of a single digit."""

import json
from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from types import NoneType
from typing import Any


class Verbatim(str):
    """JSON text that is written as it stands."""

    __slots__ = ()


_SCALARS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    Verbatim: str.__str__,
    int: int.__repr__,
    float: float.__repr__,
    Decimal: Decimal.__str__,
    bool: lambda value: "true" if value else "false",
    NoneType: lambda _: "null",
}


def encode(value: Any, *, pretty: bool = False) -> str:
    """Return `value` as JSON text: compact, or indented and spaced when `pretty`."""
    return _encode(value, "\n" if pretty else "")


def decode(text: bytes | str) -> Any:
    """Return the value of a JSON text; a number with a fraction or an exponent becomes a `Decimal`."""
    return json.loads(text, parse_float=Decimal)


def _encode(value: Any, margin: str) -> str:
    scalar = _SCALARS.get(type(value))
    if scalar is not None:
        return scalar(value)
    inner = margin and margin + "    "
    if isinstance(value, dict):
        colon = ": " if margin else ":"
        members = [f"{encode_basestring(name)}{colon}{_encode(item, inner)}" for name, item in value.items()]
        return _enclose("{", members, "}", margin, inner)
    if isinstance(value, list | tuple):
        return _enclose("[", [_encode(item, inner) for item in value], "]", margin, inner)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _enclose(opening: str, parts: list[str], closing: str, margin: str, inner: str) -> str:
    if not parts:
        return opening + closing
    return f"{opening}{inner}{f',{inner}'.join(parts)}{margin}{closing}"
