"""One reading of a window: what came, and what it shows."""

from __future__ import annotations

from collections import Counter
from itertools import compress
from typing import Any

from airflow_provider_nxcloud.api.completeness.keeping import Ledger, Spool
from airflow_provider_nxcloud.api.errors import NXCloudMisplacedRecordsError, NXCloudUnexpectedResponseError
from airflow_provider_nxcloud.api.pages import Page
from airflow_provider_nxcloud.api.windows import SECOND_MS, Window

#: An inclusive end, of the API's grain of whole seconds, lets a record start so much after the end, and no more.
LATEST_MS = SECOND_MS
#: A server that selects by a call's end lists calls that began before the start; hardly one takes longer than a day.
EARLIEST_MS = 86_400 * SECOND_MS


class Reading:
    """
    Keeps the records of a window's pages, whatever the pages are.

    :param window: what is read
    :param keep_misplaced: keep records, too, whose start no selection explains
    """

    def __init__(self, window: Window, *, keep_misplaced: bool) -> None:
        self.window = window
        self.ledger = Ledger()
        self.spool = Spool()
        #: Records that came.
        self.rows = 0
        #: Records of the largest page.
        self.largest_page = 0
        #: How often an identity stood on one page, where more than once.
        self.times: dict[int, int] = {}
        #: Whether a record came that starts outside of what was asked for.
        self.is_displaced = False
        self._keep_misplaced = keep_misplaced
        self._misplaced = 0
        self._farthest = 0

    def keep(self, page: Page) -> list[int]:
        """
        Keep a page's records, and return their identities.

        :raises NXCloudUnexpectedResponseError: where a start time is unreadable
        """
        found = page.identities()
        self.rows += len(found)
        self.largest_page = max(self.largest_page, len(found))
        self.ledger.add(found)
        if len(set(found)) < len(found):
            self._note_times(found)
        try:
            self._place(page.facts.starts)
            selected = self.window.selected(page.facts.starts)
        except (ValueError, OverflowError) as error:
            raise NXCloudUnexpectedResponseError(f"A record's startTime is unreadable: {error}") from None
        self.spool.write(page.records if selected is None else list(compress(page.records, selected)))
        return found

    def repeated(self) -> set[int]:
        """Return the identities that came more than once."""
        return self.ledger.repeated()

    def require_placed(self) -> None:
        """
        Refuse records that contradict the question.

        :raises NXCloudMisplacedRecordsError: says how many, how far off, and the likely cause
        """
        if not self._misplaced or self._keep_misplaced:
            return
        farthest = self._farthest
        where = f"before its start, up to {-farthest}" if farthest < 0 else f"after its end, up to {farthest}"
        raise NXCloudMisplacedRecordsError(
            f"{self._misplaced} of {self.rows} records for {self.window} start {where} ms off, which no selection by "
            f"time explains; {_likely_cause(farthest, self.window)}"
        )

    def close(self) -> None:
        """Give the records up."""
        self.spool.close()

    def _note_times(self, found: list[int]) -> None:
        for identity, times in Counter(found).items():
            if times > 1:
                self.times[identity] = max(times, self.times.get(identity, 1))

    def _place(self, starts: Any) -> None:
        if self.window.contains_all(starts):
            return
        for displacement in map(self.window.displacement, starts):
            self.is_displaced |= displacement != 0
            if not -EARLIEST_MS <= displacement <= LATEST_MS:
                self._misplaced += 1
                self._farthest = max(self._farthest, displacement, key=abs)


def _likely_cause(displacement: int, window: Window) -> str:
    moment = (window.start if displacement < 0 else window.end) * SECOND_MS + displacement
    for second, unit in ((moment, "seconds"), (moment // 10**6, "microseconds"), (moment // 10**9, "nanoseconds")):
        if window.start - 86_400 <= second <= window.end + 86_400:
            return f"read as {unit} the times would fit"
    seconds = abs(displacement) // SECOND_MS
    if seconds <= 86_400 + window.end - window.start:
        return f"a time zone that somebody mistook looks like this: they are up to {seconds / 3600:.1f} hours off"
    return "the server's clock, or the query that it answered, is another one"
