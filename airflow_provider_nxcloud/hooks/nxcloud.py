"""NXCloudHook: from an Airflow Connection to a client, and to iterators over records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, ENDPOINTS, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.api.moments import Moment, unix_seconds
from airflow_provider_nxcloud.api.signing import Credentials
from airflow_provider_nxcloud.connection import (
    CONNECTION_TYPE,
    DEFAULT_CONNECTION_ID,
    EXTRA_FIELDS,
    FIELD_BEHAVIOUR,
    HOOK_NAME,
    ConnectionSettings,
)

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.client import NXCloudClient
    from airflow_provider_nxcloud.api.extraction import Extraction
    from airflow_provider_nxcloud.redaction import Redact, Redactor

#: Where Airflow's versions have ``mask_secret``, the newest first; common-compat names it since 1.22 only.
_MASKING_MODULES = ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker")


class NXCloudHook(BaseHook):
    """
    Reads call detail records through a Connection of type ``nxcloud``.

    :param nxcloud_conn_id: id of the Connection: login is the accessKey, password the accessSecret
    """

    conn_name_attr = "nxcloud_conn_id"
    default_conn_name = DEFAULT_CONNECTION_ID
    conn_type = CONNECTION_TYPE
    hook_name = HOOK_NAME

    def __init__(self, nxcloud_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nxcloud_conn_id = nxcloud_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form shows the standard fields; read by Airflow before 3.2."""
        return {
            "hidden_fields": FIELD_BEHAVIOUR["hidden-fields"],
            "relabeling": FIELD_BEHAVIOUR["relabeling"],
            "placeholders": FIELD_BEHAVIOUR["placeholders"],
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the form's extra fields; read by Airflow before 3.2."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import PasswordField, StringField

        def form_field(field: dict[str, Any]) -> Any:
            if field["schema"].get("format") == "password":
                return PasswordField(field["label"], description=field["description"], widget=BS3PasswordFieldWidget())
            return StringField(field["label"], description=field["description"], widget=BS3TextFieldWidget())

        return {name: form_field(field) for name, field in EXTRA_FIELDS.items()}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """What the Connection says, read once."""
        settings = ConnectionSettings.from_connection(self.get_connection(self.nxcloud_conn_id))
        if settings.redaction_key:
            _mask_secret(settings.redaction_key)  # Airflow masks the password, but no extra of this name
        return settings

    @property
    def timezone(self) -> ZoneInfo:
        """Zone of NXCloud's dates and wall-clock times."""
        return self.settings.timezone

    def get_conn(self, **options: Any) -> NXCloudClient:
        """
        Return a new client; close it after use.

        :param options: ``max_concurrency`` and ``max_attempts`` of the client
        :raises ValueError: where the Connection is not usable, with the field's name
        """
        from airflow_provider_nxcloud.api.client import NXCloudClient

        settings = self.settings
        return NXCloudClient(
            Credentials(settings.access_key, settings.access_secret, settings.algorithm),
            settings.host,
            timeout=settings.timeout,
            requests_per_second=settings.requests_per_second,
            verify=settings.verify,
            proxies=settings.proxies,
            **options,
        )

    def extraction(
        self, endpoint: Endpoint, start: Moment, end: Moment, *, max_concurrency: int | None = None, **options: Any
    ) -> Extraction:
        """
        Return the extraction of an interval's records, to be used as a context manager.

        :param endpoint: the kind of records
        :param start: ISO 8601 text, datetime, date or Unix seconds, inclusive; without an offset it is in the
            Connection's time zone
        :param end: likewise, exclusive
        :param max_concurrency: requests under way at once; None for the client's default
        :param options: of the extraction: ``filters``, ``page_size``, ``window``, ``consistency``, ``keep_misplaced``,
            ``ready_at``
        """
        from airflow_provider_nxcloud.api.extraction import Extraction

        client = self.get_conn(**({"max_concurrency": max_concurrency} if max_concurrency is not None else {}))
        return Extraction(
            client,
            endpoint,
            unix_seconds(start, self.timezone),
            unix_seconds(end, self.timezone),
            timezone=self.timezone,
            **options,
        )

    def redactor(self, endpoint: Endpoint, redact: Redact | None) -> Redactor:
        """
        Return what takes personal data out of records, with the Connection's ``redaction_key``.

        :param endpoint: the kind of records
        :param redact: as the operators take it
        :raises ValueError: for an unknown field or action, a field that cannot be hashed, or a missing key
        """
        from airflow_provider_nxcloud.redaction import Redactor

        return Redactor(endpoint, redact, self.settings.redaction_key)

    def iter_call_center_cdrs(
        self, start: Moment, end: Moment, *, redact: Redact | None = None, **filters: str | None
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the call center records that start in ``[start, end)``, fetched as they are asked for.

        :param start: ISO 8601 text, datetime, date or Unix seconds, inclusive; without an offset it is in the
            Connection's time zone
        :param end: likewise, exclusive
        :param redact: personal data to hash or drop, as the operators take it
        :param filters: ``answered``, ``direction``, ``agent_name``, ``caller``, ``callee``, ``call_id``, ``order_id``
        :return: each record under the API's field names, money as ``Decimal``
        :raises NXCloudError: one subclass a cause; records yielded before are then not the whole
        """
        return self.iter_records(CALL_CENTER_CDR, start, end, redact=redact, **filters)

    def iter_did_cdrs(
        self, start: Moment, end: Moment, *, redact: Redact | None = None, **filters: str | None
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the DID records that start in ``[start, end)``, fetched as they are asked for.

        :param start: see :meth:`iter_call_center_cdrs`
        :param end: likewise, exclusive
        :param redact: personal data to hash or drop, as the operators take it
        :param filters: ``did_number``, ``call_number``, ``call_type``
        :return: each record under the API's field names, money as ``Decimal``
        :raises NXCloudError: one subclass a cause; records yielded before are then not the whole
        """
        return self.iter_records(DID_CDR, start, end, redact=redact, **filters)

    def iter_records(
        self, endpoint: Endpoint, start: Moment, end: Moment, *, redact: Redact | None = None, **filters: str | None
    ) -> Iterator[dict[str, Any]]:
        """
        Iterate over the records of any kind that start in ``[start, end)``; see :meth:`iter_call_center_cdrs`.

        :param endpoint: the kind of records
        :param filters: of the kind, by our names
        """
        from airflow_provider_nxcloud.api.records import RecordReader

        reader = RecordReader(endpoint, self.timezone)
        redactor = self.redactor(endpoint, redact)
        with self.extraction(endpoint, start, end, filters=filters) as extraction:
            for block in redactor.blocks(extraction.blocks()):
                yield from map(reader.with_decimals, block.splitlines())

    def test_connection(self) -> tuple[bool, str]:
        """
        Make the cheapest signed call to each endpoint.

        :return: whether at least one endpoint is permitted (an account may have only one), and each one's result
        """
        try:
            client = self.get_conn(max_attempts=1)
        except ValueError as error:
            return False, str(error)
        try:
            results = [self._probe(client, endpoint) for endpoint in ENDPOINTS]
        finally:
            client.close()
        return any(ok for ok, _ in results), "; ".join(text for _, text in results)

    def _probe(self, client: NXCloudClient, endpoint: Endpoint) -> tuple[bool, str]:
        now = int(datetime.now().timestamp())
        window = next(endpoint.windows(now - 1, now, filters={}, timezone=self.timezone, span=timedelta(seconds=1)))
        try:
            client.fetch_page(endpoint, {**window.parameters, **endpoint.page_parameters(1, 1)})
        except NXCloudError as error:
            return False, f"{endpoint.kind}: {error}"
        return True, f"{endpoint.kind}: permitted"


def _mask_secret(secret: str) -> None:
    """Have Airflow mask a secret in logs."""
    for module in _MASKING_MODULES:
        with suppress(ImportError, AttributeError):
            import_module(module).mask_secret(secret)
            return
    raise RuntimeError("This version of Airflow has no known way to mask a secret")
