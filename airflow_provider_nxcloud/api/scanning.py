"""A window's records, read until they are proven complete."""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import compress
from tempfile import SpooledTemporaryFile
from typing import Literal, get_args

from airflow_provider_nxcloud.api.endpoints import Endpoint, Page, Window
from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError, NXCloudUnexpectedResponseError
from airflow_provider_nxcloud.api.paging import PageSequence

log = logging.getLogger(__name__)

Consistency = Literal["single", "double"]
CONSISTENCIES: tuple[str, ...] = get_args(Consistency)

#: Scans of one window; a set that still moves after as many is not going to rest.
MAX_SCANS = 6
#: Pages of one window: ten million call center records. A server that never ends its pages ends here.
MAX_PAGES = 100_000
#: What a scan keeps in memory before it moves to a temporary file that has no name.
SPOOL_MEMORY_BYTES = 4 * 1024 * 1024
BLOCK_BYTES = 256 * 1024
KEY_BUCKETS = 64


class _KeyLedger:
    """Remembers keys in eight bytes each, in buckets that are compared one at a time."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(KEY_BUCKETS)]

    def add(self, keys: list[str | int]) -> None:
        buckets = self._buckets
        for value in map(hash, keys):
            buckets[value % KEY_BUCKETS].append(value)

    def repeated(self) -> set[int]:
        """Return the hashes that came more than once. Different keys of one hash are possible, and harmless."""
        found: set[int] = set()
        for bucket in self._buckets:
            if len(set(bucket)) == len(bucket):
                continue
            seen: set[int] = set()
            for value in bucket:
                (found if value in seen else seen).add(value)
        return found


class Scan:
    """
    One reading of a window, page by page in order, kept aside until it is proven.

    :param window: what is read
    :param page_size: records of a full page
    """

    def __init__(self, window: Window, page_size: int) -> None:
        self.window = window
        #: Records that belong to the window.
        self.records = 0
        #: Records that start before the window, which the server chose all the same.
        self.early = 0
        #: Records that came twice, letter for letter, and were written once.
        self.duplicates = 0
        #: Why this reading can never be right.
        self.flaw: str | None = None
        self._page_size = page_size
        self._pages = 0
        self._rows = 0
        self._total: int | None = None
        self._ended_on: int | None = None
        self._previous_keys: Sequence[str | int | None] = ()
        self._last_page: tuple[int, Sequence[str | int | None]] | None = None
        self._keys = _KeyLedger()
        self._spool = _new_spool()

    def read(self, pages: PageSequence, progress: Callable[[int], None]) -> None:
        """Read all pages, or those up to the first flaw."""
        for page in pages:
            self._pages += 1
            self.flaw = self._flaw_of(page)
            if self.flaw:
                return
            self._keep(page)
            progress(len(page.records))
        self.flaw = self._flaw_of_all(pages) or self._flaw_of_tail(pages)

    def _flaw_of(self, page: Page) -> str | None:
        count = len(page.records)
        if count > self._page_size:
            return f"page {self._pages} holds {count} records, more than the {self._page_size} asked for"
        if page.total_records != self._total and self._pages > 1:
            return f"the total changed from {self._total} to {page.total_records} at page {self._pages}"
        if not count and self._rows < (page.total_records or 0):
            return f"page {self._pages} is empty after {self._rows} records of a total of {page.total_records}"
        if count and self._ended_on:
            return f"page {self._ended_on} was short, but page {self._pages} holds {count} records"
        if count and page.keys == self._previous_keys and any(key is not None for key in page.keys):
            return f"page {self._pages} repeats page {self._pages - 1}"
        if self._pages > MAX_PAGES:
            return f"there are more than {MAX_PAGES} pages"
        return None

    def _keep(self, page: Page) -> None:
        count = len(page.records)
        self._total = page.total_records
        self._rows += count
        self._previous_keys = page.keys
        if page.total_records is None:
            if count:
                self._last_page = self._pages, page.keys
            if count < self._page_size and self._ended_on is None:
                self._ended_on = self._pages
        self._keys.add([key for key in page.keys if key is not None])
        try:
            selected = self.window.select(page.starts)
        except ValueError as error:
            raise NXCloudUnexpectedResponseError(f"A record's startTime is unreadable: {error}") from None
        records = page.records if selected is None else list(compress(page.records, selected))
        self.records += len(records)
        self.early += self.window.count_early(page.starts)
        if records:
            self._spool.write(b"\n".join(records))
            self._spool.write(b"\n")

    def _flaw_of_all(self, pages: PageSequence) -> str | None:
        if self._total is not None and self._rows != self._total:
            return f"{self._rows} records were read of a total of {self._total}"
        if self._total is None and pages.last_with_records > (self._ended_on or 0):
            return f"page {self._ended_on} was short, but page {pages.last_with_records} holds records"
        return None

    def _flaw_of_tail(self, pages: PageSequence) -> str | None:
        """
        Read the last page with records once more, where no total tells that the set rested.

        Pages side by side may be read out of order: a record that was put in after a later page was read, and before
        an earlier one, has pushed another one out of both. It has moved the last page, too.
        """
        if self._last_page is None or self._ended_on == 1:
            return None
        number, keys = self._last_page
        if Counter(pages.fetch(number).keys) != Counter(keys):
            return f"page {number} changed while the others were read"
        return None

    def repeated_keys(self) -> set[int]:
        """Return the hashes of the keys that came more than once: a sign that the set moved while it was read."""
        return self._keys.repeated()

    def fingerprint(self) -> tuple[int, int]:
        """Return a digest of the records that does not depend on their order."""
        total = sum(int.from_bytes(_digest(line)) for block in self.blocks() for line in block.splitlines())
        return self.records, total % 2**128

    def blocks(self) -> Iterator[bytes]:
        """Yield the records, each one line of JSON, in blocks of whole lines of bounded size."""
        self._spool.seek(0)
        while block := self._spool.read(BLOCK_BYTES):
            yield block if block.endswith(b"\n") else block + self._spool.readline()

    def merge_identical(self, endpoint: Endpoint) -> None:
        """Write records once that have one key and one text; keep different ones of one key, and say so."""
        repeated = self.repeated_keys()
        seen: dict[int, set[bytes]] = {}
        merged = _new_spool()
        for block in self.blocks():
            lines = block.splitlines(keepends=True)
            for key, line in zip(endpoint.read_keys(b"[" + b",".join(lines) + b"]"), lines, strict=True):
                if key is not None and hash(key) in repeated:
                    known = seen.setdefault(hash(key), set())
                    digest = _digest(line)
                    if digest in known:
                        self.duplicates += 1
                        continue
                    known.add(digest)
                merged.write(line)
        self._spool.close()
        self._spool = merged
        self.records -= self.duplicates
        if different := sum(len(known) > 1 for known in seen.values()):
            log.warning(
                "%d keys of %s stand on more than one record that differ: all are kept", different, endpoint.kind
            )

    def close(self) -> None:
        """Give the records and keys up."""
        self._spool.close()
        self._keys = _KeyLedger()


def proven_scan(scan_once: Callable[[], Scan], endpoint: Endpoint, consistency: Consistency) -> Scan:
    """
    Read a window until its records are proven complete.

    A first reading without flaw and without a repeated key is enough, unless ``consistency`` is ``double``.
    Otherwise two flawless readings in a row must agree; identical records of one key are then written once.

    :param scan_once: reads the window
    :param endpoint: the kind of records
    :param consistency: ``single`` or ``double``
    :raises NXCloudIncompleteResultError: where no agreement was reached within ``MAX_SCANS`` readings
    """
    previous: Scan | None = None
    for number in range(1, MAX_SCANS + 1):
        scan = scan_once()
        if scan.flaw:
            doubt = scan.flaw
            scan.close()
        elif number == 1 and consistency == "single" and not scan.repeated_keys():
            return scan
        elif previous is not None and previous.fingerprint() == scan.fingerprint():
            previous.close()
            scan.merge_identical(endpoint)
            return scan
        elif previous is not None:
            doubt = f"scan {number} differs from the one before"
        else:
            doubt = "a key came twice" if scan.repeated_keys() else f"scan {number} is to be confirmed"
        if previous is not None:
            previous.close()
        previous = None if scan.flaw else scan
        if number < MAX_SCANS:
            log.info("Reading %s again (scan %d of %d): %s", scan.window, number + 1, MAX_SCANS, doubt)
    if previous is not None:
        previous.close()
    raise NXCloudIncompleteResultError(
        f"{MAX_SCANS} scans of one window gave no two in a row that agree; the last doubt: {doubt}",
        endpoint=endpoint.kind,
    )


def _new_spool() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(max_size=SPOOL_MEMORY_BYTES)


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()
