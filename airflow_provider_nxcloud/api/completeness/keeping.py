"""Records that are kept until they are proven: their texts in a spool, and which ones they are in eight bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_nxcloud.api.pages import Facts, identities

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

#: What a spool keeps in memory before it moves to a temporary file that has no name.
SPOOL_MEMORY_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
BUCKETS = 64


class Spool:
    """Keeps records, each one line of JSON text, in a temporary file."""

    def __init__(self) -> None:
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)  # noqa: SIM115 - it lasts as long as the spool
        #: Records that are kept.
        self.count = 0

    def write(self, records: Sequence[msgspec.Raw | bytes]) -> None:
        """Add records, given without their line ends."""
        if records:
            self.count += len(records)
            self._file.write(b"\n".join(records))
            self._file.write(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """Yield the records in blocks of whole lines of bounded size."""
        self._file.seek(0)
        while block := self._file.read(BLOCK_BYTES):
            yield block if block.endswith(b"\n") else block + self._file.readline()

    def facts(self, endpoint: Endpoint) -> Iterator[tuple[list[bytes], Facts]]:
        """Yield the records in blocks, with what is to be known of them."""
        for block in self.blocks():
            lines = block.splitlines()
            yield lines, endpoint.read_facts(b"[" + b",".join(lines) + b"]")

    def filtered(self, endpoint: Endpoint, keep: Callable[[list[bytes], Facts], Iterable[bytes]]) -> Spool:
        """Return a spool of the records that ``keep`` returns of each block; this one is closed."""
        other = Spool()
        for lines, facts in self.facts(endpoint):
            other.write(list(keep(lines, facts)))
        self.close()
        return other

    def close(self) -> None:
        """Give the records up."""
        self._file.close()


class Ledger:
    """Remembers identities, in buckets that are compared one at a time."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, found: Iterable[int]) -> None:
        """Note identities, as often as they come."""
        buckets = self._buckets
        for value in found:
            buckets[value % BUCKETS].append(value)

    def different(self) -> int:
        """Return how many different identities came."""
        return sum(len(set(bucket)) for bucket in self._buckets)

    def repeated(self) -> set[int]:
        """Return the identities that came more than once."""
        found: set[int] = set()
        for bucket in self._buckets:
            if len(set(bucket)) == len(bucket):
                continue
            seen: set[int] = set()
            for value in bucket:
                (found if value in seen else seen).add(value)
        return found

    def unknown(self, others: Iterable[int]) -> set[int]:
        """Return those of a few identities that never came."""
        return {value for value in others if value not in self._buckets[value % BUCKETS]}

    def beyond(self, other: Ledger) -> set[int]:
        """Return the identities that came here, and not there."""
        found: set[int] = set()
        for mine, theirs in zip(self._buckets, other._buckets, strict=True):
            found |= set(mine).difference(theirs)
        return found


class Texts:
    """
    The texts of identities that came more than once: which of them are to be written, and how often.

    A text is written once, however often it came; different texts of one identity are all written where they stood
    on one page. Where they never did, the record has changed between two pages, and its last text counts. Records
    without a key may be alike without being the same: they are written as often as they stood on one page.

    :param spool: where they are
    :param endpoint: the kind of records
    :param times: how often each identity stood on one page, where more than once
    :param is_sliced: whether they come from slices, which share no record: different texts are different records
    """

    def __init__(
        self, spool: Spool, endpoint: Endpoint, repeated: set[int], times: Mapping[int, int], *, is_sliced: bool
    ) -> None:
        self._times = times
        self._keyless: set[int] = set()
        found: dict[int, dict[bytes, None]] = {}
        for lines, facts in spool.facts(endpoint):
            for identity, key, line in zip(identities(facts, lines), facts.keys, lines, strict=True):
                if identity in repeated:
                    texts = found.setdefault(identity, {})
                    texts.pop(digest(line), None)
                    texts[digest(line)] = None  # the last one comes last
                    if key is None:
                        self._keyless.add(identity)
        self._left = {
            identity: dict.fromkeys(list(texts)[0 if is_sliced else -self._count(identity) :], self._copies(identity))
            for identity, texts in found.items()
        }
        #: Identities with more than one text.
        self.differing = sum(len(texts) > 1 for texts in self._left.values())
        #: Records that the server holds more than once, and that are written once.
        self.duplicates = sum(
            max(self._count(identity) - sum(texts.values()), 0) for identity, texts in self._left.items()
        )

    def _count(self, identity: int) -> int:
        return self._times.get(identity, 1)

    def _copies(self, identity: int) -> int:
        return self._count(identity) if identity in self._keyless else 1

    def keep(self, lines: list[bytes], facts: Facts) -> Iterator[bytes]:
        """Yield the records of a block that are to be written."""
        for identity, line in zip(identities(facts, lines), lines, strict=True):
            texts = self._left.get(identity)
            if texts is None:
                yield line
            elif left := texts.get(digest(line), 0):
                texts[digest(line)] = left - 1
                yield line


def digest(line: bytes) -> bytes:
    """Return a digest of a record's text."""
    return blake2b(line, digest_size=16).digest()


def fingerprint(spool: Spool, endpoint: Endpoint) -> tuple[int, int]:
    """Return number and digest of the records' identities, whatever their order: texts may hold passing addresses."""
    count = total = 0
    for lines, facts in spool.facts(endpoint):
        count += len(lines)
        total += sum(identities(facts, lines))
    return count, total % 2**128
