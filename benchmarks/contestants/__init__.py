"""Those who fetch: each is a function that takes a job and leaves the records in the job's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import cast

from benchmarks.jobs import Job


@dataclass(frozen=True, slots=True)
class Contestant:
    """
    One way to fetch records.

    :param title: what the tables call it
    :param function: ``module:name`` in this package; imported in the contestant's own process only
    :param sequential: whether it waits for each page before it asks for the next
    :param is_floor: whether it throws the pages away
    """

    title: str
    function: str
    sequential: bool = False
    is_floor: bool = False

    def load(self) -> Callable[[Job], None]:
        """Import the function."""
        module, _, name = self.function.partition(":")
        return cast(Callable[[Job], None], getattr(import_module(f"{__name__}.{module}"), name))


CONTESTANTS: Mapping[str, Contestant] = MappingProxyType(
    {
        "jsonl": Contestant("**this package**, JSON lines", "operators:fetch_jsonl"),
        "csv": Contestant("**this package**, CSV", "operators:fetch_csv"),
        "parquet": Contestant("**this package**, Parquet", "operators:fetch_parquet"),
        "http_operator": Contestant("`HttpOperator`", "http_operator:fetch", sequential=True),
        "loop": Contestant("hand-written loop", "requests_loop:fetch", sequential=True),
        "dlt": Contestant("dlt", "dlt_pipeline:fetch", sequential=True),
        "floor": Contestant("bare fetch (the floor)", "floor:fetch", is_floor=True),
        "prepared_floor": Contestant("bare fetch, prepared by hand", "floor:fetch_prepared", is_floor=True),
    }
)
#: Ours, by the format that they write.
OURS = ("jsonl", "csv", "parquet")
