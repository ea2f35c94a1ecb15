"""Every run is green, and holds each record once: whatever the size, the moments and the order of what is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

import pytest

from airflow_provider_nxcloud.api.client import NXCloudClient
from airflow_provider_nxcloud.api.completeness.proving import Consistency
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR
from airflow_provider_nxcloud.api.errors import NXCloudIncompleteResultError
from airflow_provider_nxcloud.api.extraction import Extraction
from airflow_provider_nxcloud.api.signing import Credentials
from tests.conftest import DAY_END, DAY_START, ZONE
from tests.database.conftest import BackEnd, Case
from tests.database.databases import DATABASES
from tests.database.loads import Load
from tests.database.tables import Layout
from tests.emulator.endpoints import CALL_CENTER, DID, Endpoint

pytestmark = [pytest.mark.database, pytest.mark.timeout(300)]

ENDPOINTS = {CALL_CENTER: CALL_CENTER_CDR, DID: DID_CDR}
ODD_SIZE = {CALL_CENTER: 73, DID: 700}
CONCURRENCY = 8
ANSWER_SECONDS = 60.0

MINUTE = Load(2_000, 60)
#: Less than one tie a minute.
CALM = Load(5_000, 36_000)
HOUR = Load(2_500, 3_600)
BUSY_HOUR = Load(20_000, 3_600)
TEN_HOURS = Load(60_000, 36_000)
#: One second of these has several full pages.
BURST = Load(3_000, 5)
BURST_ON_THE_SECOND = Load(3_000, 5, whole_seconds=True)

MILLISECONDS = Layout(call_center_starts="milliseconds")
LAYOUTS = [Layout(indexed=True), Layout("ASC"), Layout("ASC", indexed=True), Layout(None)]
CALL_CENTER_LAYOUTS = [Layout(end="inclusive"), MILLISECONDS]


def cases(
    kinds: Iterable[Endpoint],
    loads: Iterable[Load],
    *,
    seeds: Iterable[int] = (1,),
    layouts: Iterable[Layout] = (Layout(),),
) -> list[Case]:
    """Return the cases of all that is given, on each database."""
    return [Case(*facts) for facts in product(DATABASES, kinds, loads, seeds, layouts)]


SMALL = cases(ENDPOINTS, [MINUTE, HOUR, CALM], seeds=[1, 2, 3])
LARGE_DID = cases([DID], [BUSY_HOUR, TEN_HOURS], seeds=[1, 2])
LARGE_CALL_CENTER = cases([CALL_CENTER], [BUSY_HOUR])
LARGEST = cases([CALL_CENTER], [TEN_HOURS], layouts=[Layout(indexed=True)])
BURSTS = cases([CALL_CENTER], [BURST, BURST_ON_THE_SECOND], layouts=[Layout(), MILLISECONDS])
#: MariaDB shows some of more calls at one moment than a page holds on no page of any size: see test_server.py.
HIDDEN = [case for case in BURSTS if case.database == "mariadb" and case.ties_whole_seconds]
SHOWN = [case for case in BURSTS if case not in HIDDEN]
WITHOUT_ID = cases([DID], [replace(load, keyed=False) for load in (MINUTE, HOUR)], seeds=[1, 2])
DOUBLED = [replace(case, twice=5) for case in cases(ENDPOINTS, [MINUTE, HOUR])]

each_consistency = pytest.mark.parametrize("consistency", ["single", "double"])
each_size = pytest.mark.parametrize("odd_size", [False, True], ids=["default", "odd"])


def of(chosen: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("back_end", chosen, indirect=True, ids=str)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run that is green has written."""

    lines: list[bytes]
    duplicates: int

    def assert_equals(self, expected: list[bytes]) -> None:
        written, held = Counter(self.lines), Counter(expected)
        missing, doubled = (held - written).total(), (written - held).total()
        assert not missing, f"green, but of {len(expected)} records {missing} are missing and {doubled} too many"
        assert not doubled, f"green, but {doubled} records are too many beside the {len(expected)}"


def run(back_end: BackEnd, consistency: Consistency, *, odd_size: bool = False) -> Outcome:
    server, kind = back_end.server, back_end.case.endpoint
    client = NXCloudClient(
        Credentials(server.access_key, server.access_secret, "md5"),
        server.url,
        timeout=ANSWER_SECONDS,
        max_concurrency=CONCURRENCY,
    )
    with Extraction(
        client,
        ENDPOINTS[kind],
        DAY_START,
        DAY_END,
        timezone=ZONE,
        page_size=ODD_SIZE[kind] if odd_size else None,
        consistency=consistency,
    ) as extraction:
        lines = [line for block in extraction.blocks() for line in block.splitlines(keepends=True)]
        return Outcome(lines, extraction.duplicates)


@of([*SMALL, *LARGE_DID, *LARGE_CALL_CENTER])
@each_size
@each_consistency
def test_loads(back_end: BackEnd, consistency: Consistency, odd_size: bool) -> None:
    run(back_end, consistency, odd_size=odd_size).assert_equals(back_end.lines)


@of(LARGEST)
@each_size
@each_consistency
def test_sixty_thousand_calls(back_end: BackEnd, consistency: Consistency, odd_size: bool) -> None:
    run(back_end, consistency, odd_size=odd_size).assert_equals(back_end.lines)


@of([*cases(ENDPOINTS, [MINUTE], layouts=LAYOUTS), *cases([CALL_CENTER], [MINUTE], layouts=CALL_CENTER_LAYOUTS)])
@each_consistency
def test_layouts(back_end: BackEnd, consistency: Consistency) -> None:
    run(back_end, consistency).assert_equals(back_end.lines)


@of(SHOWN)
@each_size
@each_consistency
def test_seconds_of_more_than_a_page(back_end: BackEnd, consistency: Consistency, odd_size: bool) -> None:
    run(back_end, consistency, odd_size=odd_size).assert_equals(back_end.lines)


@of(HIDDEN)
@each_size
@each_consistency
def test_green_is_right_where_records_stand_on_no_page(
    back_end: BackEnd, consistency: Consistency, odd_size: bool
) -> None:
    try:
        outcome = run(back_end, consistency, odd_size=odd_size)
    except NXCloudIncompleteResultError:
        return
    outcome.assert_equals(back_end.lines)


@of(WITHOUT_ID)
@each_size
@each_consistency
def test_records_without_a_key(back_end: BackEnd, consistency: Consistency, odd_size: bool) -> None:
    run(back_end, consistency, odd_size=odd_size).assert_equals(back_end.lines)


@of(DOUBLED)
@each_size
@each_consistency
def test_records_that_are_held_twice(back_end: BackEnd, consistency: Consistency, odd_size: bool) -> None:
    outcome = run(back_end, consistency, odd_size=odd_size)
    outcome.assert_equals(back_end.lines)
    assert outcome.duplicates == back_end.case.twice
