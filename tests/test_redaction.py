"""What becomes of records whose personal data is hashed or dropped."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS
from airflow_provider_nxcloud.api.records import FieldType, RecordReader, RecordValueError
from airflow_provider_nxcloud.redaction import PERSONAL_FIELDS, Action, Redact, Redactor
from tests.conftest import DAY, ZONE
from tests.emulator import generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.encoding import encode

KEY = "invented-redaction-key-52c1"
CC, DID = CALL_CENTER_CDR.kind, DID_CDR.kind
BY_KIND = {endpoint.kind: endpoint for endpoint in ENDPOINTS}
FIELDS = {endpoint.kind: endpoint.fields for endpoint in ENDPOINTS}
KINDS = pytest.mark.parametrize("kind", FIELDS)
DISTINCTIVE = "personal-7fd1"


def pseudonym(text: str) -> str:
    """Say, without the package, what stands for a text."""
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def redacted(record: str, redact: Redact, *, kind: str = CC, key: str = KEY) -> str:
    return Redactor(BY_KIND[kind], redact, key).block(record.encode() + b"\n").decode().removesuffix("\n")


class Member(NamedTuple):
    """One member of an object, as it is and as it is written; ``text`` is what its hash is made of."""

    name: str
    written_name: str
    written: str
    text: str | None


def spellings(text: str) -> st.SearchStrategy[str]:
    """Return the ways to write a text in JSON."""
    units = text.encode("utf-16-be")
    escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
    return st.sampled_from([json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{escaped}"'])


def members(kind: str) -> st.SearchStrategy[Member]:
    names = st.sampled_from([field.name for field in FIELDS[kind]]) | st.text(max_size=8)
    texts = st.text(max_size=12) | st.sampled_from(["", "null", "85200001234"])
    numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)
    scalars = st.none() | st.booleans() | st.integers() | texts
    nested = st.lists(scalars, max_size=3) | st.dictionaries(texts, st.lists(scalars, max_size=2), max_size=3)

    @st.composite
    def member(draw: Callable[..., Any]) -> Member:
        name = draw(names)
        choice = draw(st.integers(0, 3))
        if choice == 0:
            text = draw(texts)
            return Member(name, draw(spellings(name)), draw(spellings(text)), text or None)
        if choice == 1:
            written = draw(numbers)
        else:
            value = draw(st.none() | st.booleans() | nested)
            written = json.dumps(value, separators=(",", ":"), ensure_ascii=draw(st.booleans()))
        return Member(name, draw(spellings(name)), written, None if written == "null" else written)

    return member()


def plans(kind: str) -> st.SearchStrategy[dict[str, Action]]:
    actions = {field.name: ["hash", "drop"] if field.type is FieldType.TEXT else ["drop"] for field in FIELDS[kind]} | {
        "_extra": ["hash", "drop"]
    }
    return st.lists(st.sampled_from(list(actions)), unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: st.sampled_from(actions[name]) for name in names})
    )


def expected(kind: str, record: list[Member], plan: dict[str, Action]) -> str:
    known = {field.name for field in FIELDS[kind]}
    kept = []
    for member in record:
        action = plan.get(member.name if member.name in known else "_extra")
        if action == "hash" and member.text is not None:
            kept.append(f'{member.written_name}:"{pseudonym(member.text)}"')
        elif action != "drop":
            kept.append(f"{member.written_name}:{member.written}")
    return "{" + ",".join(kept) + "}"


class TestRecords:
    @KINDS
    @given(data=st.data())
    def test_are_redacted_as_told_and_else_stay_byte_for_byte(self, kind: str, data: st.DataObject) -> None:
        record = data.draw(st.lists(members(kind), max_size=8))
        plan = data.draw(plans(kind))
        written = "{" + ",".join(f"{member.written_name}:{member.written}" for member in record) + "}"
        assert redacted(written, plan, kind=kind) == expected(kind, record, plan)

    @KINDS
    @given(
        members=st.lists(
            st.tuples(
                st.sampled_from([*PERSONAL_FIELDS[CC], *PERSONAL_FIELDS[DID], "an unknown field"]),
                st.recursive(
                    st.text(max_size=5).map(lambda text: f"{text}{DISTINCTIVE}"),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just(DISTINCTIVE), inner),
                ),
            ),
            min_size=1,
        ),
        compact=st.booleans(),
    )
    def test_never_hold_an_original_value(self, kind: str, members: list[tuple[str, Any]], compact: bool) -> None:
        separators = (",", ":") if compact else (" , ", " : ")
        written = ", ".join(f"{json.dumps(name)}: {json.dumps(v, separators=separators)}" for name, v in members)
        assert DISTINCTIVE not in redacted("{" + written + "}", PERSONAL_FIELDS[kind], kind=kind)

    @KINDS
    def test_of_a_day_keep_their_number_and_order(self, kind: str) -> None:
        generate = generate_call_center_cdrs if kind == CC else generate_did_cdrs
        lines = [encode(record).encode() for record in generate(DAY, 500)]
        names = [name for name in PERSONAL_FIELDS[kind] if name != "_extra"]
        redactor = Redactor(BY_KIND[kind], names, KEY)
        blocks = [b"\n".join(lines[start : start + 100]) + b"\n" for start in range(0, 500, 100)]
        found = b"".join(redactor.blocks(blocks)).splitlines()
        for before, after in zip(map(json.loads, lines), map(json.loads, found), strict=True):
            assert list(before) == list(after)
            assert {n: v for n, v in before.items() if n not in names} == {
                n: v for n, v in after.items() if n not in names
            }
            assert all(after[name] == (pseudonym(before[name]) if before[name] else before[name]) for name in names)

    def test_are_passed_on_untouched_where_nothing_is_redacted(self) -> None:
        blocks = [b'{"caller" : "85200001234"}\n']
        assert next(Redactor(CALL_CENTER_CDR, None).blocks(blocks)) is blocks[0]

    @pytest.mark.parametrize(
        "record", ["[]", '{"caller":"\\ud800"}', '{"caller":', '{"caller":1}}', '{"caller":"\x00"}']
    )
    def test_that_are_unreadable_are_refused(self, record: str) -> None:
        with pytest.raises(RecordValueError, match="A record of call_center_cdr is not readable"):
            redacted(record, ["caller"])

    def test_that_are_no_unicode_are_refused_without_their_text(self) -> None:
        with pytest.raises(RecordValueError) as raised:
            Redactor(CALL_CENTER_CDR, ["caller"], KEY).block(b'{"caller":"85200001234\xff"}\n')
        assert "8520000" not in f"{raised.value!r} {raised.value.__cause__!r}"
        assert raised.value.__suppress_context__


class TestHashes:
    def test_are_those_of_the_text_in_every_field_and_kind(self) -> None:
        number = "85200001234"
        call = json.loads(redacted(f'{{"caller":"{number}","callee":{number}}}', ["caller", "callee"]))
        did = json.loads(redacted(f'{{"number":"\\u0038{number[1:]}"}}', ["number"], kind=DID))
        assert {call["caller"], call["callee"], did["number"]} == {pseudonym(number)}

    def test_depend_on_the_key(self) -> None:
        record = '{"caller":"85200001234"}'
        assert redacted(record, ["caller"], key=KEY) != redacted(record, ["caller"], key=KEY.upper())

    def test_nobody_stays_nobody(self) -> None:
        record = '{"agentName":null,"agentNickName":"","other":"null"}'
        found = redacted(record, ["agentName", "agentNickName", "other"])
        assert found == f'{{"agentName":null,"agentNickName":"","other":"{pseudonym("null")}"}}'

    def test_spellings_are_different_texts(self) -> None:
        found = json.loads(redacted('{"caller":"85200001234","callee":"+85200001234"}', ["caller", "callee"]))
        assert found["caller"] != found["callee"]


class TestChoice:
    @KINDS
    def test_personal_fields_are_in_the_table_and_can_be_hashed(self, kind: str) -> None:
        assert Redactor(BY_KIND[kind], PERSONAL_FIELDS[kind], KEY).actions == dict.fromkeys(
            PERSONAL_FIELDS[kind], "hash"
        )

    def test_personal_fields_are_numbers_names_addresses_and_what_may_hold_them(self) -> None:
        assert set(PERSONAL_FIELDS[CC]) == {
            *("caller", "callee", "agentName", "agentNickName", "recordUrl", "leaveMsgUrl"),
            *("dtmfKeys", "other", "_extra"),
        }
        assert set(PERSONAL_FIELDS[DID]) == {"number", "callNumber", "callerIp", "calleeIp", "_extra"}

    def test_the_order_given_does_not_matter(self) -> None:
        first = Redactor(CALL_CENTER_CDR, {"recordUrl": "drop", "caller": "hash"}, KEY).actions
        assert list(first.items()) == [("caller", "hash"), ("recordUrl", "drop")]

    @pytest.mark.parametrize(
        ("redact", "message"),
        [
            (["caler"], "call_center_cdr has no field 'caler' to redact; it has agentName, .*_extra stands for"),
            (["caller", "number"], "has no field 'number'"),
            ([""], "has no field ''"),
            ([["caller"]], "has no field"),
            ({"caller": "mask"}, "caller must be mapped to one of hash, drop, not 'mask'"),
            ({"caller": None}, "caller must be mapped to"),
            (["startTime"], "startTime is no text but epoch milliseconds.*map it to 'drop'"),
            (["totalCustomerPrice"], "totalCustomerPrice is no text but decimal"),
            ("caller", "must be a list of fields.*not 'caller'"),
            ("['caller']", "must be a list of fields"),
            (iter(["caller"]), "must be a list of fields"),
            (True, "must be a list of fields"),
        ],
    )
    def test_what_could_redact_nothing_in_silence_is_an_error(self, redact: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Redactor(CALL_CENTER_CDR, redact, KEY)

    @pytest.mark.parametrize("key", [None, ""])
    def test_a_hash_needs_a_key_and_dropping_none(self, key: str | None) -> None:
        with pytest.raises(ValueError, match="set the Connection's extra 'redaction_key'"):
            Redactor(CALL_CENTER_CDR, {"caller": "hash", "callee": "drop"}, key)
        assert Redactor(CALL_CENTER_CDR, {"callee": "drop"}, key).block(b'{"callee":1}\n') == b"{}\n"


@KINDS
def test_typed_columns_take_every_redaction(kind: str) -> None:
    fields = FIELDS[kind]
    generate = generate_call_center_cdrs if kind == CC else generate_did_cdrs
    record = encode(generate(DAY, 9)[5] | {"extra": {"phone": "85200001234"}}).encode()
    names = [field.name for field in fields] + ["_extra"]
    dropped = Redactor(BY_KIND[kind], dict.fromkeys(names, "drop")).block(record + b"\n")
    hashed = Redactor(BY_KIND[kind], PERSONAL_FIELDS[kind], KEY).block(record + b"\n")
    reader = RecordReader(BY_KIND[kind], ZONE)
    assert [value for (value,) in reader.columns(dropped)] == [None] * len(names)
    row = {name: value for name, (value,) in zip(names, reader.columns(hashed), strict=True)}
    assert json.loads(row["_extra"]) == {"extra": pseudonym('{"phone":"85200001234"}')}
