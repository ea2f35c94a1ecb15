"""What a server may do otherwise than its description lets one expect, for good and with every request."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal

Ties = Literal["stable", "by_query"]
Grain = Literal["millisecond", "second", "minute"]
OffsetBy = Literal["asked", "capped"]
BeyondEnd = Literal["empty", "last", "first"]
Unit = Literal["milliseconds", "microseconds", "seconds"]
SelectsBy = Literal["start", "end", "overlap"]
StoredGrain = Literal["exact", "rounded", "floored"]


@dataclass(frozen=True)
class Behaviour:
    """How the server selects, orders, pages, counts and reports; by default as anybody would wish."""

    ties: Annotated[Ties, "order of records of one time: one for all, or one a page query"] = "stable"
    sort_grain: Annotated[Grain, "how exactly records are ordered by time"] = "millisecond"
    row_ceiling: Annotated[int | None, "rows that a query has at most, whatever it selects"] = None
    depth_ceiling: Annotated[int | None, "rows of a query that can be reached by paging"] = None
    ceiling_in_total: Annotated[bool, "a DID total counts no further than a ceiling"] = False
    page_size_cap: Annotated[int | None, "records of a page at most, whatever is asked for"] = None
    offset_by: Annotated[OffsetBy, "size that page numbers count in beside a cap"] = "asked"
    beyond_end: Annotated[BeyondEnd, "page that is served in place of one beyond the end"] = "empty"
    reported_shift_seconds: Annotated[int, "how much later than the truth the reported times are"] = 0
    reported_unit: Annotated[Unit, "unit of the reported times of call center records"] = "milliseconds"
    selects_by: Annotated[SelectsBy, "time of a call center record that a query compares"] = "start"
    stored_grain: Annotated[StoredGrain, "how that time is brought to whole seconds before"] = "exact"
    without_key: Annotated[bool, "DID records have no id"] = False
    replicas: Annotated[int, "servers that answer in turn, in the order in which requests arrive"] = 1
    lagging: Annotated[Collection[Any], "keys of the records that only the first replica holds"] = frozenset()

    @property
    def ceiling(self) -> int | None:
        """Return the number of rows that can be had of a query at most."""
        ceilings = [ceiling for ceiling in (self.row_ceiling, self.depth_ceiling) if ceiling is not None]
        return min(ceilings, default=None)


USUAL = Behaviour()
