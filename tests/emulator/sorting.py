"""The order in which a query's records are served."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

from tests.emulator.behaviour import Grain

if TYPE_CHECKING:
    from tests.emulator.store import Entry

Order = Literal["ascending", "descending", "none"]

_MILLISECONDS: dict[Grain, int] = {"millisecond": 1, "second": 1000, "minute": 60_000}


@dataclass(frozen=True)
class Sorting:
    """Orders records by time down to a grain, or (`none`) by something that time has nothing to do with."""

    order: Order = "descending"
    grain: Grain = "millisecond"

    def rank(self, entry: Entry) -> int:
        """Return the number that an entry is ordered by: entries with equal ones are tied."""
        if self.order == "none":
            name = entry.sequence if entry.key is None else entry.key
            return int.from_bytes(blake2b(str(name).encode(), digest_size=8).digest())
        return entry.position // _MILLISECONDS[self.grain]

    def arrange(self, entries: list[Entry]) -> list[Entry]:
        """Return entries that stand by their position and sequence in the order in which they are served."""
        if self.order == "none" or self.grain != "millisecond":
            entries = sorted(entries, key=lambda entry: (self.rank(entry), entry.sequence))
        return entries[::-1] if self.order == "descending" else entries
