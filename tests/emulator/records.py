"""Synthetic call detail records: invented, repeatable, and awkward on purpose."""

import datetime
import hashlib
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

Record = dict[str, Any]
_T = TypeVar("_T")

DEFAULT_TIMEZONE = "Asia/Shanghai"

_SECOND = 1000
_HOUR = 3600 * _SECOND
_HOUR_WEIGHTS = (1, 1, 1, 1, 1, 1, 2, 4, 12, 30, 34, 30, 16, 20, 32, 34, 32, 28, 14, 8, 6, 4, 3, 2)
_HOUR_EDGE_SHARE = 0.02
_MANY_DIGITS = Decimal("0.1234567890123456789")
_TINY = Decimal("1E-7")
_SCALE = Decimal("1E-19")  # the service has no more decimals than its readers
_MINUTE_SCALE = Decimal("0.0001")


class _Country(NamedTuple):
    name: str
    prefix: str
    digits: int
    price: Decimal

    def number(self, rng: Random) -> str:
        """Return a number that nobody owns: from a range set aside for fiction, or plainly invented."""
        return f"{self.prefix}{int(rng.random() * 10**self.digits):0{self.digits}d}"


class _Ending(NamedTuple):
    by: int
    code: int
    status: str
    reason: str


_COUNTRIES = (
    _Country("United States", "120255501", 2, Decimal("0.0125")),
    _Country("United Kingdom", "447700900", 3, Decimal("0.0310")),
    _Country("Hong Kong, China", "8520000", 4, Decimal("0.035")),
    _Country("Thailand", "660000", 5, Decimal("0.055")),
    _Country("Indonesia", "620000", 6, Decimal("0.17")),
    _Country("Côte d'Ivoire", "2250000", 6, Decimal("0.987654321")),
)

_NICK_NAMES = (
    "牛小信",
    "José García",
    "Renée",
    "Wong, Tai Man",
    'Ann "Ace" Lee',
    "=SUM(A1:A9)",
    "O'Brien",
    "first line\nsecond line",
    "Søren\tÅse",
    "客服-🦊",
    "Plain Name",
    "",
)
_AGENTS = tuple((f"NX{number:04d}", _NICK_NAMES[number % len(_NICK_NAMES)]) for number in range(1, 49))

_REMARKS = (
    '{"ticket":"T-17","tags":["a","b"]}',
    "=1+1",
    'said "later", then left',
    "two\r\nlines",
    "备注 已回访",
    "back\\slash",
    "@home;+1;-1",
)
_INTENTS = ("interested", "call back", "不感兴趣", "déjà client")
_ANSWERED_ENDINGS = (
    _Ending(0, 1001, "Normal termination", "Agent ended the call"),
    _Ending(1, 1002, "Normal termination", "Customer ended the call"),
    _Ending(2, 1009, "Interrupted", "Connection lost"),
)
_UNANSWERED_ENDINGS = (
    _Ending(1, 1103, "Missed call", "Customer left the queue"),
    _Ending(2, 1104, "No answer", "Nobody answered in time"),
    _Ending(1, 1105, "Busy", "Customer was busy"),
)
_VOICEMAIL_ENDING = _Ending(1, 1110, "Voicemail", "Customer left a message")

_DID_ENDINGS = (
    (0, "-7", "Caller Hang-up"),
    (1, "-8", "Callee Hang-up"),
    (2, "-1", "Timeout, no answer"),
    (9, "503", 'Carrier said "unavailable"'),
)
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")


def generate_call_center_cdrs(
    day: datetime.date, count: int, *, seed: int = 0, timezone: str = DEFAULT_TIMEZONE
) -> list[Record]:
    """Return `count` call center records that start on the local calendar `day`, oldest first."""
    rng = Random(f"call_center/{seed}/{day}")
    return [
        _call_center_cdr(rng, index, _call_id(seed, day, index), start, past_midnight=_is_last(index, count))
        for index, start in enumerate(_starts(rng, day, count, ZoneInfo(timezone)))
    ]


def generate_did_cdrs(
    day: datetime.date, count: int, *, seed: int = 0, timezone: str = DEFAULT_TIMEZONE
) -> list[Record]:
    """Return `count` DID records that start on the local calendar `day`, oldest first."""
    rng = Random(f"did/{seed}/{day}")
    zone = ZoneInfo(timezone)
    first_id = (seed * 10_000_000 + day.toordinal()) * 1_000_000 + 1
    return [
        _did_cdr(rng, index, first_id + index, start // _SECOND, zone, past_midnight=_is_last(index, count))
        for index, start in enumerate(_starts(rng, day, count, zone))
    ]


def _is_last(index: int, count: int) -> bool:
    return count > 2 and index == count - 1


def _call_id(seed: int, day: datetime.date, index: int) -> str:
    return hashlib.blake2b(f"{seed}/{day}/{index}".encode(), digest_size=16).hexdigest()


def _starts(rng: Random, day: datetime.date, count: int, zone: ZoneInfo) -> list[int]:
    """Return start times: the day's first and last millisecond, an hour's edge, then office hours."""
    midnight = _midnight(day, zone)
    length = _midnight(day + datetime.timedelta(days=1), zone) - midnight
    edges = [0, 10 * _HOUR, length - 1]
    offsets = [*edges, *(offset % length for offset in _office_offsets(rng, count - len(edges)))]
    return sorted(midnight + offset for offset in offsets[:count])


def _midnight(day: datetime.date, zone: ZoneInfo) -> int:
    return int(datetime.datetime.combine(day, datetime.time(), zone).timestamp()) * _SECOND


def _office_offsets(rng: Random, count: int) -> Iterator[int]:
    for hour in rng.choices(range(24), _HOUR_WEIGHTS, k=max(count, 0)):
        on_the_hour = rng.random() < _HOUR_EDGE_SHARE
        yield hour * _HOUR + (0 if on_the_hour else int(rng.random() * _HOUR))


def _pick(rng: Random, options: tuple[_T, ...]) -> _T:
    return options[int(rng.random() * len(options))]


def _talk_seconds(rng: Random, past_midnight: bool) -> int:
    return int(rng.expovariate(1 / 150)) + (120 if past_midnight else 1)


def _cost(index: int, price: Decimal, minutes: int) -> Decimal:
    """Return the price of a call; now and then one whose digits a float could not carry."""
    if index % 97 == 5:
        return _MANY_DIGITS
    if index % 97 == 11:
        return _TINY
    return price * minutes


def _call_center_cdr(rng: Random, index: int, call_id: str, start: int, *, past_midnight: bool) -> Record:
    direction = _pick(rng, (0, 0, 0, 0, 1, 1, 2))
    answered = past_midnight or rng.random() < 0.7
    waited = 1 + int(rng.random() * 30)
    talk = _talk_seconds(rng, past_midnight) if answered else 0
    ring_time = start // _SECOND * _SECOND
    picked_up = ring_time + waited * _SECOND
    queued = direction == 0
    voicemail = queued and not answered and rng.random() < 0.2
    agent, nick_name = _pick(rng, _AGENTS) if answered and direction != 2 else (None, None)
    country = _pick(rng, _COUNTRIES)
    ending = _call_center_ending(rng, answered, voicemail)
    return {
        "agentName": agent,
        "agentNickName": nick_name,
        "answered": answered,
        "answerTime": picked_up if answered else 0,
        "callDuration": talk,
        "callee": country.number(rng),
        "caller": country.number(rng),
        "callId": call_id,
        "direction": direction,
        "dtmfKeys": "1,2,#" if queued and rng.random() < 0.3 else None,
        "endTime": picked_up + talk * _SECOND + int(rng.random() * _SECOND),
        "hangupBy": ending.by,
        "hangupCode": ending.code,
        "callStatus": ending.status,
        "hangupReason": ending.reason,
        "inQueueTime": start + 20 if queued else 0,
        "leaveMsgUrl": f"https://example.com/voicemail/{call_id}.mp3" if voicemail else None,
        "orderId": f"ORDER-{index % 50}" if direction == 1 else "",
        "other": _pick(rng, _REMARKS) if rng.random() < 0.15 else None,
        "intent": _pick(rng, _INTENTS) if direction == 2 and answered else None,
        "outQueueTime": picked_up if queued else 0,
        "queueDuration": _queue_duration(queued, answered, waited, picked_up - start),
        "recordUrl": f"https://example.com/recordings/{call_id}.mp3" if answered else None,
        "ringDuration": waited,
        "ringTime": ring_time,
        "startTime": start,
        "taskId": f"task-{index % 7}" if direction == 2 else "",
        "totalCustomerPrice": _cost(index, country.price, talk // 60 + 1),
    }


def _call_center_ending(rng: Random, answered: bool, voicemail: bool) -> _Ending:
    if voicemail:
        return _VOICEMAIL_ENDING
    return _pick(rng, _ANSWERED_ENDINGS if answered else _UNANSWERED_ENDINGS)


def _queue_duration(queued: bool, answered: bool, seconds: int, milliseconds: int) -> int:
    """Return the wait in seconds, but in milliseconds for a caller who gave up: the service does the same."""
    if not queued:
        return 0
    return seconds if answered else milliseconds


def _did_cdr(rng: Random, index: int, record_id: int, start: int, zone: ZoneInfo, *, past_midnight: bool) -> Record:
    answered = past_midnight or rng.random() < 0.8
    duration = _talk_seconds(rng, past_midnight) if answered else 0
    country = _pick(rng, _COUNTRIES)
    fee_type = _pick(rng, (0, 0, 1))
    minutes = _billed_minutes(fee_type, duration)
    price = _cost(index, country.price, 1)
    direction, reason, reason_name = _pick(rng, _DID_ENDINGS)
    return {
        "id": record_id,
        "number": country.number(rng),
        "callNumber": country.number(rng),
        "callType": _pick(rng, (0, 0, 0, 1)),
        "countryName": country.name,
        "callDuration": duration,
        "feeType": fee_type,
        "feeDurationMinute": minutes,
        "callPriceUnit": price,
        "callPrice": _at_most(_SCALE, price * minutes),
        "endDirection": direction,
        "endReason": reason,
        "endReasonName": reason_name,
        "callerIp": _address(rng),
        "calleeIp": _address(rng),
        "startTime": _wall_clock(start, zone),
        "endTime": _wall_clock(start + duration, zone),
    }


def _billed_minutes(fee_type: int, seconds: int) -> Decimal:
    if fee_type == 0:
        return Decimal(-(-seconds // 60))
    return _at_most(_MINUTE_SCALE, Decimal(seconds) / 60)


def _at_most(scale: Decimal, value: Decimal) -> Decimal:
    """Return a value rounded where it has more decimals than `scale`, else with those that it has."""
    rounded = value.quantize(scale)
    return value if value == rounded else rounded


def _address(rng: Random) -> str:
    return f"{_pick(rng, _NETWORKS)}.{1 + int(rng.random() * 254)}"


def _wall_clock(instant: int, zone: ZoneInfo) -> str:
    return datetime.datetime.fromtimestamp(instant, zone).strftime("%Y-%m-%d %H:%M:%S")
