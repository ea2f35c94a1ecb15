"""The union of readings of one window by different edges."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_provider_nxcloud.api.completeness.keeping import Ledger, Spool, Texts, fingerprint
from airflow_provider_nxcloud.api.completeness.reading import Reading
from airflow_provider_nxcloud.api.pages import identities

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

log = logging.getLogger(__name__)


@dataclass
class Records:
    """
    The records of a window.

    :param spool: their texts
    :param endpoint: the kind of records
    :param duplicates: records that the server holds more than once, and that are written once
    :param is_displaced: whether some start outside of what was asked for
    :param outside: those that start outside of the interval, and are kept
    """

    spool: Spool
    endpoint: Endpoint
    duplicates: int = 0
    is_displaced: bool = False
    outside: int = 0

    @cached_property
    def fingerprint(self) -> tuple[int, int]:
        """Number and digest of the records' identities, whatever their order."""
        return fingerprint(self.spool, self.endpoint)

    def close(self) -> None:
        """Give the records up."""
        self.spool.close()


class Collection:
    """
    All records that readings of one window brought.

    How often the server holds a record, pages tell: it counts as often as it stood on one page. Since a page may be
    wrong, a second reading, by other edges, has to show the same.

    :param reading: the first reading; what it keeps is taken over
    :param witnesses: readings that have to show a record twice on one page
    """

    def __init__(self, reading: Reading, endpoint: Endpoint, *, witnesses: int = 2) -> None:
        self.ledger: Ledger = reading.ledger
        self.is_displaced = reading.is_displaced
        self.spool = reading.spool
        self._endpoint = endpoint
        self._witnesses = witnesses
        self._times = {identity: [times] for identity, times in reading.times.items()}
        #: Identities that may stand on several lines of the spool, though once in the ledger.
        self._repeated = set(self._times)

    def __len__(self) -> int:
        """Return how many records the server holds by what was seen, as often as it holds each."""
        return self.ledger.different() + sum(times - 1 for times in self.times.values())

    @property
    def times(self) -> dict[int, int]:
        """How often an identity stood on one page, by as many readings as it takes, where more than once."""
        return {
            identity: sorted(times)[-self._witnesses]
            for identity, times in self._times.items()
            if len(times) >= self._witnesses
        }

    def add(self, reading: Reading | Collection) -> None:
        """Add what a further reading has brought, which is closed."""
        self._merge(reading)
        self.is_displaced |= reading.is_displaced
        reading.close()

    def absorb(self, part: Collection) -> None:
        """Add the records of another part of the window, which are proven, and closed."""
        times = part.times
        self.add(part)
        self._times |= {identity: [count] * self._witnesses for identity, count in times.items()}

    def records(self) -> Records:
        """Return the records as they are to be written; the collection is used up."""
        repeated = self.repeated()
        if not repeated:
            return Records(self.spool, self._endpoint, 0, self.is_displaced)
        texts = Texts(self.spool, self._endpoint, repeated, self.times, is_sliced=self._witnesses == 1)
        if texts.differing:
            log.warning(
                "%d keys of %s stand on more than one record that differ: all are kept",
                texts.differing,
                self._endpoint.kind,
            )
        spool = self.spool.filtered(self._endpoint, texts.keep)
        return Records(spool, self._endpoint, texts.duplicates, self.is_displaced)

    def repeated(self) -> set[int]:
        """Return the identities that stand on more than one line."""
        return self.ledger.repeated() | self._repeated

    def close(self) -> None:
        """Give the records up."""
        self.spool.close()

    def _merge(self, other: Reading | Collection) -> None:
        times = other.times
        new = other.ledger.beyond(self.ledger)
        grown = {identity for identity, count in times.items() if count > max(self._times.get(identity, [1]))}
        if wanted := new | grown:
            for lines, facts in other.spool.facts(self._endpoint):
                found = identities(facts, lines)
                self.spool.write([line for identity, line in zip(found, lines, strict=True) if identity in wanted])
        self.ledger.add(new)
        self._repeated |= grown | (other.repeated() & new)
        for identity, count in times.items():
            self._times.setdefault(identity, []).append(count)
