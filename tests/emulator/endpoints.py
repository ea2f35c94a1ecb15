"""What sets the two call detail record endpoints apart."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The fixed facts of one endpoint."""

    name: str
    path: str
    biz_type: str
    action: str
    key_field: str
    message_field: str
    success_message: str
    failure_data: Any = field(hash=False)
    has_request_id: bool


CALL_CENTER = Endpoint(
    name="call_center",
    path="/saas/cc/openapi/cdr/page",
    biz_type="8",
    action="cc",
    key_field="callId",
    message_field="msg",
    success_message="Request succeeded",
    failure_data={},
    has_request_id=True,
)
DID = Endpoint(
    name="did",
    path="/api/did/cdr",
    biz_type="4",
    action="cdr",
    key_field="id",
    message_field="message",
    success_message="Request successful",
    failure_data=None,
    has_request_id=False,
)

BY_NAME = {endpoint.name: endpoint for endpoint in (CALL_CENTER, DID)}
BY_PATH = {endpoint.path: endpoint for endpoint in (CALL_CENTER, DID)}
