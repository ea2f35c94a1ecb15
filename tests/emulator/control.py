"""Steering an emulator that runs in another process, by HTTP under `/_emulator/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.emulator.connection import Request, Response
from tests.emulator.encoding import decode, encode
from tests.emulator.faults import Fault

if TYPE_CHECKING:
    from tests.emulator.server import Emulator

PREFIX = "/_emulator/"


def respond(emulator: Emulator, request: Request) -> Response:
    """Do what a control request asks for."""
    action = _ACTIONS.get((request.method, request.path.removeprefix(PREFIX)))
    if action is None:
        return Response(404, b"No such control\n")
    try:
        return action(emulator, request)
    except (KeyError, TypeError, ValueError) as error:
        return Response(400, f"{error!r}\n".encode())


def _statistics(emulator: Emulator, _: Request) -> Response:
    return _json(emulator.statistics())


def _reset(emulator: Emulator, _: Request) -> Response:
    emulator.reset_statistics()
    return _json({})


def _add_faults(emulator: Emulator, request: Request) -> Response:
    for fault in [Fault(**fields) for fields in decode(request.body)]:
        emulator.add_fault(fault)
    return _json({})


def _clear_faults(emulator: Emulator, _: Request) -> Response:
    emulator.clear_faults()
    return _json({})


def _call_center_records(emulator: Emulator, request: Request) -> Response:
    return _lines(emulator.call_center_cdrs(*_range(request)))


def _did_records(emulator: Emulator, request: Request) -> Response:
    return _lines(emulator.did_cdrs(*_range(request)))


def _range(request: Request) -> tuple[float, float]:
    query = parse_qs(request.query)
    return float(query["start"][0]), float(query["end"][0])


def _json(value: Any) -> Response:
    return Response(200, encode(value).encode(), {"Content-Type": "application/json"})


def _lines(records: list[dict[str, Any]]) -> Response:
    text = "".join(f"{encode(record)}\n" for record in records)
    return Response(200, text.encode(), {"Content-Type": "application/x-ndjson; charset=utf-8"})


_ACTIONS: dict[tuple[str, str], Callable[[Emulator, Request], Response]] = {
    ("GET", "statistics"): _statistics,
    ("POST", "reset"): _reset,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "records/call_center"): _call_center_records,
    ("GET", "records/did"): _did_records,
}
