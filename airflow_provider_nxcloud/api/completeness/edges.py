"""The interval's edges: a record is left out only where it is shown that a neighbouring interval is given it, too."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_nxcloud.api.completeness.collection import Records
from airflow_provider_nxcloud.api.completeness.keeping import Spool
from airflow_provider_nxcloud.api.completeness.proving import Prover
from airflow_provider_nxcloud.api.completeness.reading import EARLIEST_MS, LATEST_MS
from airflow_provider_nxcloud.api.errors import NXCloudUnexpectedResponseError
from airflow_provider_nxcloud.api.pages import Facts, identities
from airflow_provider_nxcloud.api.windows import Window, displacement

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

log = logging.getLogger(__name__)


class IntervalEdges:
    """
    Leaves records out that another interval is certain to bring.

    By which of a call's times the server selects, and whether it takes an end as inclusive, is not documented. So
    where a record starts outside of the interval, the neighbouring interval's query is asked for it.

    :param endpoint: the kind of records
    :param interval: Unix seconds, half-open
    :param prover: reads the neighbours' windows
    """

    def __init__(self, endpoint: Endpoint, interval: tuple[int, int], prover: Prover) -> None:
        self._endpoint = endpoint
        self._interval = interval
        self._prover = prover

    def without_neighbours(self, window: Window, records: Records) -> Records:
        """Return a window's records without those that a neighbouring interval brings; they are used up."""
        try:
            return self._without_neighbours(window, records) if records.is_displaced else records
        except (ValueError, OverflowError) as error:
            records.close()
            raise NXCloudUnexpectedResponseError(f"A record's startTime is unreadable: {error}") from None
        except BaseException:
            records.close()
            raise

    def _without_neighbours(self, window: Window, records: Records) -> Records:
        outside = self._outside(window, records)
        elsewhere: set[int] = set()
        for neighbour, candidates in outside:
            elsewhere |= self._found_in(neighbour, candidates)
        records.outside = sum(len(candidates) for _, candidates in outside) - len(elsewhere)
        if records.outside:
            log.warning(
                "%d records of %s start outside of the interval, yet the server chose them for it, and for no "
                "neighbouring one: they are kept",
                records.outside,
                self._endpoint.kind,
            )
        if elsewhere:
            records.spool = _without(records.spool, self._endpoint, elsewhere)
        return records

    def _outside(self, window: Window, records: Records) -> list[tuple[Window, set[int]]]:
        """Return the identities of the records that start outside of the interval, with the neighbour to ask."""
        found: dict[tuple[int, int], tuple[Window, set[int]]] = {}
        for lines, facts in records.spool.facts(self._endpoint):
            for identity, start in zip(identities(facts, lines), facts.starts, strict=True):
                if not window.displacement(start):
                    continue
                distance = displacement(window.moment(start), *self._interval)
                if distance and -EARLIEST_MS <= distance <= LATEST_MS:
                    neighbour = window.neighbour(start, self._interval)
                    found.setdefault((neighbour.start, neighbour.end), (neighbour, set()))[1].add(identity)
        return list(found.values())

    def _found_in(self, neighbour: Window, candidates: set[int]) -> set[int]:
        records = self._prover.prove(neighbour)
        try:
            return candidates.intersection(_identities_of(records, self._endpoint))
        finally:
            records.close()


def _without(spool: Spool, endpoint: Endpoint, left_out: set[int]) -> Spool:
    def keep(lines: list[bytes], facts: Facts) -> Iterator[bytes]:
        found = identities(facts, lines)
        return (line for identity, line in zip(found, lines, strict=True) if identity not in left_out)

    return spool.filtered(endpoint, keep)


def _identities_of(records: Records, endpoint: Endpoint) -> Iterator[int]:
    for lines, facts in records.spool.facts(endpoint):
        yield from identities(facts, lines)


class WrittenRecords:
    """
    Remembers the records of an interval's windows, so that what the server lists in two of them is written once.

    Only a record that starts outside of its window can be in two.

    :param endpoint: the kind of records
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._written: list[array[int]] = []
        self._guests: set[int] = set()

    def add(self, window: Window, records: Records) -> Records:
        """Return a window's records without those that an earlier one brought; they are used up."""
        guests = set(self._guests_in(window, records)) if records.is_displaced else set()
        hashes = array("q", _identities_of(records, self._endpoint))
        known = self._guests.intersection(hashes)
        for written in self._written if guests else ():
            known |= guests.intersection(written)
        if known:
            count = records.spool.count
            records.spool = _without(records.spool, self._endpoint, known)
            records.duplicates += count - records.spool.count
        self._written.append(hashes)
        self._guests |= guests
        return records

    def _guests_in(self, window: Window, records: Records) -> Iterator[int]:
        for lines, facts in records.spool.facts(self._endpoint):
            for identity, start in zip(identities(facts, lines), facts.starts, strict=True):
                if window.displacement(start):
                    yield identity
