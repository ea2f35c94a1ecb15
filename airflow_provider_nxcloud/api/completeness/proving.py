"""A window is read until its records are proven: by page numbers, and what is in doubt by other edges."""

from __future__ import annotations

import logging
import time
from itertools import cycle
from typing import Literal, NamedTuple, get_args

from airflow_provider_nxcloud.api.completeness.by_pages import PageReading, read_by_pages
from airflow_provider_nxcloud.api.completeness.by_sizes import page_sizes, read_by_sizes
from airflow_provider_nxcloud.api.completeness.closing import closing_doubt
from airflow_provider_nxcloud.api.completeness.collection import Collection, Records
from airflow_provider_nxcloud.api.completeness.fetching import Fetcher, Source
from airflow_provider_nxcloud.api.completeness.slices import SLICE_PLANS, doubtful_spans, read_by_slices
from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError, NXCloudNotEndedError
from airflow_provider_nxcloud.api.windows import TimeRange, Window

log = logging.getLogger(__name__)

Consistency = Literal["single", "double"]
CONSISTENCIES: tuple[str, ...] = get_args(Consistency)

#: Readings of one window; a set that still moves after as many is not going to rest.
MAX_READINGS = 6
#: Seconds around those in which records came more than once: the server may compare times that it has rounded.
MARGINS = (0, 1)
#: A difference between the clocks that is waited for; a longer one belongs to Airflow.
LONGEST_CLOCK_WAIT_SECONDS = 60.0


class Attempt(NamedTuple):
    """
    A reading of a whole window.

    :param records: what came; None where there is nothing to compare with
    :param doubt: why they may not be all; None: they are
    :param is_sliced: whether it was read by slices, each of which is proven by itself, but not their sum
    """

    records: Records | None
    doubt: str | None
    is_sliced: bool = False

    def agrees_with(self, other: Attempt) -> bool:
        """Return whether both brought the same records."""
        if self.records is None or other.records is None:
            return False
        return self.records.fingerprint == other.records.fingerprint

    def close(self) -> None:
        """Give the records up."""
        if self.records is not None:
            self.records.close()


class _Earlier:
    """The last attempts by pages and by slices that brought anything."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    @property
    def best(self) -> Records | None:
        """The records that came last."""
        return self.attempts[-1].records if self.attempts else None

    def add(self, attempt: Attempt) -> None:
        if attempt.records is None:
            return
        for other in self.attempts:
            if other.is_sliced == attempt.is_sliced:
                other.close()
        self.attempts = [other for other in self.attempts if other.is_sliced != attempt.is_sliced] + [attempt]

    def close(self) -> None:
        for attempt in self.attempts:
            attempt.close()


class Prover:
    """
    Proves windows.

    :param source: where the pages come from
    :param page_size: records of a page
    :param consistency: ``double`` reads each window by two kinds of edges, which have to agree
    :param keep_misplaced: keep records, too, whose start no selection explains
    :param ready_at: Unix time from which, by the server's clock, the records may be read
    """

    def __init__(
        self,
        source: Source,
        page_size: int,
        *,
        consistency: Consistency = "single",
        keep_misplaced: bool = False,
        ready_at: float = 0.0,
    ) -> None:
        self._source = source
        self._page_size = page_size
        self._consistency = consistency
        self._keep_misplaced = keep_misplaced
        self._ready_at = ready_at

    def prove(self, window: Window) -> Records:
        """
        Return the records of a window.

        :raises NXCloudIncompleteResultError: where they could not be proven complete
        :raises NXCloudError: as the requests do, and where records contradict the question
        """
        fetcher = Fetcher(self._source, self._page_size)
        reader = _WindowReader(fetcher, window, keep_misplaced=self._keep_misplaced)
        earlier = _Earlier()
        doubts: list[str] = []
        try:
            while len(doubts) < MAX_READINGS:
                if doubts:
                    number = len(doubts) + 1
                    log.info("Reading %s again (%d of %d): %s", window, number, MAX_READINGS, doubts[-1])
                    fetcher.bound_doubt()
                    fetcher.pause()
                began = time.time()
                attempt = reader.read(len(doubts), earlier.best, is_sliced=self._is_sliced(len(doubts)))
                if missing := self._seconds_missing(began):
                    attempt.close()
                    self._wait_for_clock(window, missing)
                    doubts.append("by NXCloud's clock it had not ended")
                elif attempt.records is not None and self._is_enough(
                    attempt, earlier, can_be_sliced=isinstance(window, TimeRange)
                ):
                    return attempt.records
                else:
                    doubts.append(attempt.doubt or "to be confirmed by other edges")
                    earlier.add(attempt)
        except NXCloudIncompleteResultError as error:
            error.message += _listed(doubts)
            raise
        finally:
            earlier.close()
        raise NXCloudIncompleteResultError(
            f"{MAX_READINGS} readings of {window} brought no proof that its records are complete{_listed(doubts)}",
            endpoint=self._source.endpoint.kind,
        )

    def _is_sliced(self, number: int) -> bool:
        """Return whether a reading is by slices, where the window can be sliced."""
        return number % 2 == 1 if self._consistency == "double" else number in (2, 3, 5)

    def _is_enough(self, attempt: Attempt, earlier: _Earlier, *, can_be_sliced: bool) -> bool:
        if attempt.doubt is not None:
            return False
        if self._consistency == "double":
            others = [other for other in earlier.attempts if other.doubt is None]
            if can_be_sliced:  # pages share their errors, whatever their size
                others = [other for other in others if attempt.is_sliced or other.is_sliced]
            return any(map(attempt.agrees_with, others))
        return not attempt.is_sliced or any(map(attempt.agrees_with, earlier.attempts))

    def _seconds_missing(self, began: float) -> float:
        """Return by how much a reading began too early, by the server's clock."""
        return max(self._ready_at - self._source.client.server_time(began), 0.0)

    def _wait_for_clock(self, window: Window, seconds: float) -> None:
        if seconds > LONGEST_CLOCK_WAIT_SECONDS:
            raise NXCloudNotEndedError(
                f"By NXCloud's clock the records for {window} may be read in {seconds:.0f} s: this worker's clock is "
                "ahead of it",
                seconds=seconds,
                endpoint=self._source.endpoint.kind,
            )
        self._source.client.throttle.sleep(seconds)


def _listed(doubts: list[str]) -> str:
    return "".join(f"; ({number}) {doubt}" for number, doubt in enumerate(doubts, 1))


class _WindowReader:
    """Reads one window, by pages or by slices."""

    def __init__(self, fetcher: Fetcher, window: Window, *, keep_misplaced: bool) -> None:
        self._fetcher = fetcher
        self._window = window
        self._keep_misplaced = keep_misplaced
        self._plans = cycle(SLICE_PLANS)

    def read(self, number: int, known: Records | None, *, is_sliced: bool) -> Attempt:
        """
        Read the window.

        :param number: of the reading, counted from 0; they differ in their edges
        :param known: what is known of the records, by which slices are cut
        """
        sizes = page_sizes(self._fetcher.page_size, self._fetcher.endpoint.max_page_size)
        size = sizes[number % len(sizes)]
        if not isinstance(self._window, TimeRange):
            found = read_by_sizes(self._fetcher, self._window, size, keep_misplaced=self._keep_misplaced)
            return Attempt(found.collection.records() if found.collection is not None else None, found.doubt)
        return self._by_slices(self._window, known) if is_sliced else self._by_pages(self._window, size)

    def _by_pages(self, window: TimeRange, size: int) -> Attempt:
        reading = read_by_pages(self._fetcher, window, size, keep_misplaced=self._keep_misplaced)
        collection = Collection(reading, self._fetcher.endpoint)
        try:
            reading.require_placed()
            if size_served := reading.size_served:
                self._fetcher.page_size = size_served
                reading.flaw = reading.flaw or f"pages of {size} hold {size_served} records at most"
            if reading.flaw:
                collection.close()
                return Attempt(None, reading.flaw)
            doubt = self._repetition_doubt(window, reading, collection)
            doubt = doubt or closing_doubt(self._fetcher, reading, collection.ledger)
            return Attempt(collection.records(), doubt)
        except BaseException:
            collection.close()
            raise

    def _repetition_doubt(self, window: TimeRange, reading: PageReading, collection: Collection) -> str | None:
        """Read the seconds in which records came more than once by slices: others of them came never."""
        for margin, plan in zip(MARGINS, SLICE_PLANS, strict=True):
            if len(collection) == reading.rows:
                return None
            repeated = collection.ledger.repeated()
            spans = doubtful_spans(self._fetcher, window, collection.spool, repeated, margin)
            found, doubt = read_by_slices(self._fetcher, window, spans, plan, keep_misplaced=self._keep_misplaced)
            collection.add(found)
            if doubt:
                return doubt
        if len(collection) == reading.rows:
            return None
        return f"{reading.rows} rows hold {len(collection)} different records"

    def _by_slices(self, window: TimeRange, known: Records | None) -> Attempt:
        plan = next(self._plans)
        spans = plan.spans(self._fetcher, window, known.spool if known is not None else None)
        collection, doubt = read_by_slices(self._fetcher, window, spans, plan, keep_misplaced=self._keep_misplaced)
        return Attempt(collection.records(), doubt, is_sliced=True)
