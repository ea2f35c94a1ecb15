"""A page of records, as every endpoint gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec


class Facts(NamedTuple):
    """
    What is to be known of records, in their order.

    :param keys: each record's identifier, None where it has none
    :param starts: each record's start time as the endpoint gives it
    :param ends: each record's end time likewise, where the endpoint tells
    """

    keys: Sequence[str | int | None]
    starts: Sequence[Any]
    ends: Sequence[Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page of an answer.

    :param records: each record's JSON text, without white space between tokens, otherwise as it came
    :param facts: what is to be known of each
    :param total_records: size of the whole result, where the endpoint tells
    """

    records: Sequence[msgspec.Raw]
    facts: Facts
    total_records: int | None = None

    def identities(self) -> list[int]:
        """Return what tells each record from the others: see :func:`identities`."""
        return identities(self.facts, self.records)


def identities(facts: Facts, records: Sequence[msgspec.Raw | bytes]) -> list[int]:
    """
    Return a hash for each record: of its key, start and end, or of its own text where it has no key.

    With the times, since the legs of a transferred call may share a key. Different records of one hash are possible,
    and harmless: they raise a doubt, and are told apart by their texts.
    """
    keys, starts, ends = facts
    found = list(map(hash, zip(keys, starts, starts if ends is None else ends, strict=True)))
    if None not in keys:
        return found
    return [
        hash(bytes(record)) if key is None else identity
        for key, identity, record in zip(keys, found, records, strict=True)
    ]
