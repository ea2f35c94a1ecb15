"""The server by itself: it holds what it was given, knows whom to refuse, and leaves the order to the database."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any, get_args

import pytest
import requests

from tests.conftest import DAY, DAY_END, DAY_START
from tests.database.conftest import BackEnd, Case
from tests.database.databases import DATABASES, Connection, Database
from tests.database.loads import FIRST_HOUR, Load
from tests.database.tables import End, Grain, Layout, Table, filled_table
from tests.emulator.encoding import encode
from tests.emulator.endpoints import CALL_CENTER, DID, Endpoint
from tests.emulator.placement import wall_clock_milliseconds
from tests.emulator.records import Record
from tests.emulator.rules import parse_body
from tests.emulator.store import Filter, Query

pytestmark = pytest.mark.database

KINDS = (CALL_CENTER, DID)
HOUR = Load(2_500, 3_600)
FULL_PAGE = {CALL_CENTER: 100, DID: 999}
MINUTE = Load(2_000, 60, whole_seconds=True)
BURST = Load(600, 5, whole_seconds=True)
SEEDS = (1, 2, 3)
TOGETHER = 8
SECONDS = 20


ENDS = [
    Case(database, CALL_CENTER, MINUTE, layout=Layout(call_center_starts=starts, end=end))
    for database in DATABASES
    for starts in get_args(Grain)
    for end in get_args(End)
]

each_back_end = pytest.mark.parametrize(
    "back_end", [Case(database, kind, HOUR) for database in DATABASES for kind in KINDS], indirect=True, ids=str
)


@pytest.fixture
def connection(back_end: BackEnd) -> Iterator[Connection]:
    with closing(back_end.server.table.database.connect()) as connection:
        yield connection


def query(endpoint: Endpoint, *filters: Filter, page: int = 1, size: int = 100_000) -> Query:
    if endpoint is CALL_CENTER:
        return Query(DAY_START * 1000, DAY_END * 1000, filters, page, size)
    midnight = wall_clock_milliseconds(DAY.isoformat())
    return Query(midnight, midnight + 86_400_000, filters, page, size)


def texts(records: list[Record]) -> list[bytes]:
    return sorted(encode(record).encode() for record in records)


def body_of(endpoint: Endpoint, **parameters: Any) -> dict[str, Any]:
    if endpoint is CALL_CENTER:
        return {"startTime": DAY_START, "endTime": DAY_END, "size": 100, "page": 1, **parameters}
    return {"date": DAY.isoformat(), "pageSize": 999, "page": 1, **parameters}


def ask(back_end: BackEnd, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Send a signed request, by the API page's own rule."""
    server, endpoint = back_end.server, back_end.case.endpoint
    text, ts = json.dumps(body), str(int(time.time() * 1000))
    common = f"accessKey={server.access_key}&action={endpoint.action}&bizType={endpoint.biz_type}&ts={ts}"
    sign = hashlib.md5(f"{common}&body={text}&accessSecret={server.access_secret}".encode()).hexdigest()  # noqa: S324
    signed = {
        "Content-Type": "application/json",
        "accessKey": server.access_key,
        "action": endpoint.action,
        "bizType": endpoint.biz_type,
        "ts": ts,
        "sign": sign,
    }
    answer = requests.post(server.url + endpoint.path, data=text, headers=signed | headers, timeout=SECONDS)
    assert answer.status_code == 200
    content = parse_body(answer.content)
    assert content is not None
    return content


@each_back_end
class TestRecords:
    def test_all_are_held(self, back_end: BackEnd, connection: Connection) -> None:
        table, whole = back_end.server.table, query(back_end.case.endpoint)
        assert sorted(table.page(connection, whole)) == texts(back_end.records)
        assert table.count(connection, whole) == HOUR.count == len(set(back_end.lines))

    def test_filters_select(self, back_end: BackEnd, connection: Connection) -> None:
        fields = {"answered", "direction", "agentName", "caller", "callId", "orderId", "number", "callType"}
        for field in fields & set(back_end.records[0]):
            value = next(record[field] for record in back_end.records if record[field])
            expected = [record for record in back_end.records if record[field] == value]
            filtered = query(back_end.case.endpoint, (field, value))
            assert sorted(back_end.server.table.page(connection, filtered)) == texts(expected)

    def test_another_day_has_none(self, back_end: BackEnd, connection: Connection) -> None:
        day = query(back_end.case.endpoint)
        next_day = day._replace(start=day.end, end=day.end + 86_400_000)
        assert back_end.server.table.page(connection, next_day) == []
        assert back_end.server.table.count(connection, next_day) == 0


@each_back_end
class TestAnswers:
    def test_a_page(self, back_end: BackEnd) -> None:
        answer = ask(back_end, body_of(back_end.case.endpoint))
        assert answer["code"] == 0
        if back_end.case.endpoint is CALL_CENTER:
            assert len(answer["data"]) == 100
        else:
            assert (answer["data"]["totalRow"], answer["data"]["totalPage"]) == (HOUR.count, 3)
            assert len(answer["data"]["list"]) == 999

    def test_refusals(self, back_end: BackEnd) -> None:
        body = body_of(back_end.case.endpoint)
        assert ask(back_end, body, sign="0" * 32)["code"] == 1003
        assert ask(back_end, body, ts="1")["code"] == 1004
        assert ask(back_end, body, accessKey="stranger")["code"] == 1005
        assert ask(back_end, {**body, "page": 0})["code"] == 1002
        assert ask(back_end, {**body, "colour": "red"})["code"] == 1002

    def test_come_side_by_side(self, back_end: BackEnd, monkeypatch: pytest.MonkeyPatch) -> None:
        all_have_come = Barrier(TOGETHER)

        def page(*_: object) -> list[bytes]:
            all_have_come.wait(SECONDS)
            return []

        monkeypatch.setattr(Table, "page", page)
        with ThreadPoolExecutor(TOGETHER) as pool:
            answers = pool.map(lambda _: ask(back_end, body_of(back_end.case.endpoint)), range(TOGETHER))
            assert {answer["code"] for answer in answers} == {0}


@pytest.mark.parametrize("back_end", ENDS, indirect=True, ids=str)
def test_the_end_of_a_selection(back_end: BackEnd, connection: Connection) -> None:
    layout, end = back_end.case.layout, (DAY_START + FIRST_HOUR * 3600 + 30) * 1000

    def selects(start: int) -> bool:
        kept = start // 1000 * 1000 if layout.call_center_starts == "seconds" else start
        return kept < end or (kept == end and layout.end == "inclusive")

    page = back_end.server.table.page(connection, query(CALL_CENTER)._replace(end=end))
    assert sorted(page) == texts([record for record in back_end.records if selects(record["startTime"])])


@pytest.mark.parametrize("endpoint", KINDS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize("database", DATABASES)
def test_equal_start_times_are_ordered_anew_for_each_page(
    databases: Mapping[str, Database], database: str, endpoint: Endpoint
) -> None:
    """Were it otherwise, the tests of completeness would prove nothing."""
    assert sum(doubled_rows(databases[database], endpoint, seed) for seed in SEEDS) > 0


@pytest.mark.parametrize("back_end", [Case("mariadb", CALL_CENTER, BURST)], indirect=True, ids=str)
def test_some_of_many_equal_start_times_stand_on_no_page(back_end: BackEnd, connection: Connection) -> None:
    """No client can be right there: it can but refuse to be green."""
    first = (DAY_START + FIRST_HOUR * 3600) * 1000
    second = query(CALL_CENTER)._replace(start=first, end=first + 1000)
    count = back_end.server.table.count(connection, second)
    seen = {
        text
        for size in range(1, FULL_PAGE[CALL_CENTER] + 1)
        for number in range(1, -(-count // size) + 1)
        for text in back_end.server.table.page(connection, second._replace(page=number, size=size))
    }
    assert len(seen) < count


def doubled_rows(database: Database, endpoint: Endpoint, seed: int) -> int:
    """Return how many rows come again on a further page, while as many never come."""
    records, size = MINUTE.records(endpoint, seed), FULL_PAGE[endpoint]
    numbers = range(1, -(-len(records) // size) + 1)
    with (
        filled_table(database, endpoint, records, layout=Layout(), seed=seed) as table,
        closing(database.connect()) as connection,
    ):
        pages = [table.page(connection, query(endpoint, page=number, size=size)) for number in numbers]
    rows = [text for page in pages for text in page]
    assert len(rows) == len(records)
    return len(rows) - len(set(rows))
