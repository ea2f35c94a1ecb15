"""The operators: one record kind each."""

from __future__ import annotations

from typing import Any

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR
from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator


class NXCloudCallCenterCdrOperator(NXCloudCdrOperator):
    """
    Fetch the call center call detail records that start in the DAG run's interval.

    NXCloud's page: "Call Record Query". All parameters of :class:`NXCloudCdrOperator`, and these filters:

    :param answered: ``all`` (default), ``answered`` or ``unanswered`` (templated)
    :param direction: ``all`` (default), ``incoming``, ``outgoing`` or ``aicc`` (templated)
    :param agent_name: agent account (templated)
    :param caller: calling number (templated)
    :param callee: called number (templated)
    :param call_id: identifier of one call (templated)
    :param order_id: the caller's own order identifier (templated)
    """

    endpoint = CALL_CENTER_CDR
    filter_fields = ("answered", "direction", "agent_name", "caller", "callee", "call_id", "order_id")
    template_fields = (*NXCloudCdrOperator.template_fields, *filter_fields)

    def __init__(
        self,
        *,
        answered: str = "all",
        direction: str = "all",
        agent_name: str | None = None,
        caller: str | None = None,
        callee: str | None = None,
        call_id: str | None = None,
        order_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.answered = answered
        self.direction = direction
        self.agent_name = agent_name
        self.caller = caller
        self.callee = callee
        self.call_id = call_id
        self.order_id = order_id


class NXCloudDidCdrOperator(NXCloudCdrOperator):
    """
    Fetch the DID call detail records that start in the DAG run's interval.

    NXCloud's page: "DID Number Call Record Query". A query is for one local calendar date; every date that the
    interval touches is read. All parameters of :class:`NXCloudCdrOperator`, and these filters:

    :param did_number: DID number (templated)
    :param call_number: the other party's number (templated)
    :param call_type: ``incoming`` or ``outgoing``; None for both (templated)
    """

    endpoint = DID_CDR
    filter_fields = ("did_number", "call_number", "call_type")
    template_fields = (*NXCloudCdrOperator.template_fields, *filter_fields)

    def __init__(
        self,
        *,
        did_number: str | None = None,
        call_number: str | None = None,
        call_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.did_number = did_number
        self.call_number = call_number
        self.call_type = call_type
