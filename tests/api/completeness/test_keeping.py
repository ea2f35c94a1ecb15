"""What keeps records until they are proven: the spool, the ledger, and the texts of repeated identities."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.completeness import keeping
from airflow_provider_nxcloud.api.completeness.keeping import Ledger, Spool, Texts, fingerprint
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR
from airflow_provider_nxcloud.api.pages import identities
from tests.api.conftest import examples

#: Small numbers, so that some come twice, and large ones of both signs.
hashes = st.integers(-9, 9) | st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(autouse=True)
def _closed_spools() -> Iterator[None]:
    yield
    while _spools:
        _spools.pop().close()


_spools: list[Spool] = []


def spool_of(*records: dict[str, Any]) -> Spool:
    spool = Spool()
    _spools.append(spool)
    spool.write([json.dumps(record).encode() for record in records])
    return spool


def call(key: str | None, start: int = 1000, **fields: Any) -> dict[str, Any]:
    return {"callId": key, "startTime": start, **fields}


def written(*records: dict[str, Any], times: dict[int, int] | None = None) -> tuple[list[dict[str, Any]], Texts]:
    """Return what of these records is written, where each stood so often on one page."""
    spool = spool_of(*records)
    found = Counter(identity for lines, facts in spool.facts(CALL_CENTER_CDR) for identity in identities(facts, lines))
    repeated = {identity for identity, count in found.items() if count > 1}
    texts = Texts(spool, CALL_CENTER_CDR, repeated, times if times is not None else found, is_sliced=False)
    kept = spool.filtered(CALL_CENTER_CDR, texts.keep)
    _spools.append(kept)
    return [json.loads(line) for block in kept.blocks() for line in block.splitlines()], texts


class TestSpool:
    @pytest.mark.parametrize("memory", [1, 1 << 20])
    def test_gives_back_whole_lines_in_blocks(self, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "SPOOL_MEMORY_BYTES", memory)
        monkeypatch.setattr(keeping, "BLOCK_BYTES", 100)
        spool = spool_of(*(call(f"call {number}") for number in range(50)))
        blocks = list(spool.blocks())
        assert len(blocks) > 10
        assert all(block.endswith(b"\n") for block in blocks)
        assert [json.loads(line)["callId"] for block in blocks for line in block.splitlines()] == [
            f"call {number}" for number in range(50)
        ]
        assert spool.count == 50

    def test_is_read_while_more_comes(self) -> None:
        spool = spool_of(call("a"))
        assert len(list(spool.facts(CALL_CENTER_CDR))) == 1
        spool.write([b'{"callId":"b"}'])
        assert [facts.keys for _, facts in spool.facts(CALL_CENTER_CDR)] == [["a", "b"]]

    def test_of_nothing(self) -> None:
        assert list(spool_of().blocks()) == []

    def test_fingerprint_is_of_the_records_whatever_their_order(self) -> None:
        a, b, c = call("a"), call("b"), call("c")
        assert fingerprint(spool_of(a, b, c), CALL_CENTER_CDR) == fingerprint(spool_of(c, a, b), CALL_CENTER_CDR)
        assert fingerprint(spool_of(a, b, c), CALL_CENTER_CDR) != fingerprint(spool_of(a, b, b), CALL_CENTER_CDR)
        assert fingerprint(spool_of(a, a), CALL_CENTER_CDR) != fingerprint(spool_of(b, b), CALL_CENTER_CDR)


class TestLedger:
    @examples(100)
    @given(mine=st.lists(hashes), theirs=st.lists(hashes))
    def test_counts_as_sets_do(self, mine: list[int], theirs: list[int]) -> None:
        one, other = Ledger(), Ledger()
        one.add(mine)
        other.add(theirs)
        assert one.different() == len({*mine})
        assert one.repeated() == {value for value, count in Counter(mine).items() if count > 1}
        assert one.unknown(theirs) == {*theirs} - {*mine}
        assert one.beyond(other) == {*mine} - {*theirs}


class TestTexts:
    def test_one_text_of_a_key_is_written_once_and_counted(self) -> None:
        records, texts = written(call("a"), call("b"), call("a"), call("a"))
        assert records == [call("a"), call("b")]
        assert (texts.duplicates, texts.differing) == (2, 0)

    def test_different_texts_of_one_page_are_all_written(self) -> None:
        legs = [call("a", leg=number) for number in range(3)]
        records, texts = written(*legs)
        assert records == legs
        assert (texts.duplicates, texts.differing) == (0, 1)

    def test_of_different_texts_that_never_stood_on_one_page_the_last_is_written(self) -> None:
        records, texts = written(call("a", state="ringing"), call("a", state="ended"), times={})
        assert records == [call("a", state="ended")]
        assert (texts.duplicates, texts.differing) == (0, 0)

    def test_one_start_more_is_another_record(self) -> None:
        records, texts = written(call("a"), call("a", 2000))
        assert len(records) == 2
        assert (texts.duplicates, texts.differing) == (0, 0)

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_without_a_key_a_text_is_written_as_often_as_it_stood_on_one_page(self, times: int) -> None:
        records = [call(None)] * 3
        identity = hash(json.dumps(records[0]).encode())
        found, texts = written(*records, times={identity: times})
        assert found == records[:times]
        assert texts.duplicates == 0
