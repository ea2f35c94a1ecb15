"""Run the emulator by itself: `python -m tests.emulator --port 8080`."""

import argparse
import os
import signal
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tests.emulator.behaviour import Behaviour
from tests.emulator.placement import DidDate
from tests.emulator.records import DEFAULT_TIMEZONE
from tests.emulator.rules import EndTime
from tests.emulator.server import Emulator
from tests.emulator.sorting import Order

_KEPT_REQUESTS = 100_000
_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_BEHAVIOUR = [option for option in fields(Behaviour) if option.name not in ("replicas", "lagging")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop by SIGINT or SIGTERM."""
    options = _parser().parse_args(arguments)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    # The server's thread inherits the mask, so that the signals wait for this one.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    with _emulator(options) as emulator:
        print(f"NXCloud emulator ready on {emulator.url}", flush=True)
        signal.sigwait(_STOP_SIGNALS)


def _emulator(options: argparse.Namespace) -> Emulator:
    return Emulator(
        port=options.port,
        call_center_per_day=options.call_center_per_day,
        did_per_day=options.did_per_day,
        seed=options.seed,
        latency=options.latency_ms / 1000,
        clock_offset=options.clock_offset,
        timezone=options.timezone,
        end_time=options.end_time,
        order=options.order,
        did_date_of=options.did_date_of,
        behaviour=Behaviour(**{option.name: getattr(options, option.name) for option in _BEHAVIOUR}),
        pretty=options.pretty,
        access_key=options.access_key,
        access_secret=options.access_secret,
        max_rate=options.max_rate,
        kept_requests=_KEPT_REQUESTS,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulator",
        description="Serve invented call detail records on 127.0.0.1 as NXCloud would.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, metavar="N", help="port to listen on; 0 picks a free one")
    add("--call-center-per-day", type=int, default=2500, metavar="N", help="call center records for each day")
    add("--did-per-day", type=int, default=1200, metavar="N", help="DID records for each day")
    add("--seed", type=int, default=0, metavar="N", help="another seed makes other records")
    add("--latency-ms", type=float, default=0.0, metavar="MS", help="time added to each answer")
    add("--clock-offset", type=float, default=0.0, metavar="S", help="how far the server's clock is ahead")
    add("--timezone", default=DEFAULT_TIMEZONE, metavar="ZONE", help="zone of days and wall-clock times")
    add("--end-time", choices=get_args(EndTime), default="exclusive", help="how endTime is read")
    add("--order", choices=get_args(Order), default="descending", help="order of the records by time")
    add("--did-date-of", choices=get_args(DidDate), default="start", help="whose date selects a DID record")
    add("--pretty", action="store_true", help="indent the answers")
    add("--access-key", default="emulator-access-key", metavar="KEY", help="access key to accept")
    add("--access-secret", default="emulator-access-secret", metavar="SECRET", help="secret of that key")
    add("--max-rate", type=float, metavar="N", help="answer 429 beyond this many requests in a second")
    add("--cpu", type=int, metavar="N", help="run on this processor only")
    annotations = get_type_hints(Behaviour, include_extras=True)
    for option in _BEHAVIOUR:
        kind, description = get_args(annotations[option.name])
        add(f"--{option.name.replace('_', '-')}", default=option.default, help=description, **_argument(kind))
    return parser


def _argument(kind: Any) -> dict[str, Any]:
    if kind is bool:
        return {"action": "store_true"}
    if get_origin(kind) is Literal:
        return {"choices": get_args(kind)}
    return {"type": int, "metavar": "N"}


if __name__ == "__main__":
    main()
