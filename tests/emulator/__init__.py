"""A stand-in for the NXCloud server: synthetic call detail records, the real rules, faults on demand.

It follows the service's own description and shares no code with the client that it tests.
"""

from tests.emulator.behaviour import Behaviour
from tests.emulator.faults import Fault
from tests.emulator.records import generate_call_center_cdrs, generate_did_cdrs
from tests.emulator.server import Emulator
from tests.emulator.statistics import ReceivedRequest

__all__ = ["Behaviour", "Emulator", "Fault", "ReceivedRequest", "generate_call_center_cdrs", "generate_did_cdrs"]
