"""Operators that bring the call detail records of a DAG run's interval to XCom or object storage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    Asset,
    BaseOperator,
)

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.connection import DEFAULT_CONNECTION_ID
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from airflow_provider_nxcloud.interval import Interval, resolve_interval, utc_text

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_nxcloud.api.extraction import Extraction
    from airflow_provider_nxcloud.api.moments import Moment
    from airflow_provider_nxcloud.api.records import RecordReader
    from airflow_provider_nxcloud.api.scanning import Consistency

DEFAULT_MAX_XCOM_BYTES = 1024 * 1024


class NXCloudCdrOperator(BaseOperator):
    """
    Base of the operators: one record kind each.

    :param nxcloud_conn_id: Connection of type ``nxcloud`` (templated)
    :param interval_start: start of the interval of call start times, inclusive: ISO 8601 text, a datetime, or
        Unix seconds as number or text; without an offset it is in the Connection's time zone (templated).
        Default, with ``interval_end``: the DAG run's data interval
    :param interval_end: its end, exclusive; set both or neither (templated)
    :param lookback: length of the interval of a run that has only a point in time, up to which it reaches
    :param output_path: None: the records go to XCom. A path or URI: they go to an object there, through Airflow's
        ``ObjectStoragePath``. With a format's suffix it is the object itself, else the root of a dataset with
        ``date=`` partitions (templated)
    :param storage_conn_id: Airflow connection of the storage, where the URI does not carry it (templated)
    :param output_format: ``jsonl`` (default) or ``csv``; taken from the path's suffix where it has one
    :param compression: ``gzip`` or None; taken from the path's suffix where it has one
    :param skip_if_empty: skip the task where the interval holds no record, after replacing an older object of
        the interval by an empty one; by default an empty object is written
    :param page_size: records of a page; default: the endpoint's limit
    :param max_concurrency: pages in flight
    :param window: span of one scan of call center records; default: the whole interval. A scan of DID records
        is one local date
    :param consistency: ``double`` reads each window at least twice, until two scans in a row agree
    :param max_xcom_bytes: the most that is pushed to XCom, in bytes of JSON
    """

    endpoint: ClassVar[Endpoint]
    #: Names of the attributes that filter, as in ``Endpoint.filters``.
    filter_fields: ClassVar[tuple[str, ...]] = ()

    template_fields: Sequence[str] = (
        "nxcloud_conn_id",
        "interval_start",
        "interval_end",
        "output_path",
        "storage_conn_id",
    )
    ui_color = "#e3f1fb"

    def __init__(
        self,
        *,
        nxcloud_conn_id: str = DEFAULT_CONNECTION_ID,
        interval_start: Moment | None = None,
        interval_end: Moment | None = None,
        lookback: timedelta | None = None,
        output_path: str | None = None,
        storage_conn_id: str | None = None,
        output_format: str | None = None,
        compression: str | None = None,
        skip_if_empty: bool = False,
        page_size: int | None = None,
        max_concurrency: int | None = None,
        window: timedelta | None = None,
        consistency: Consistency = "single",
        max_xcom_bytes: int = DEFAULT_MAX_XCOM_BYTES,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nxcloud_conn_id = nxcloud_conn_id
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.lookback = lookback
        self.output_path = output_path
        self.storage_conn_id = storage_conn_id
        self.output_format = output_format
        self.compression = compression
        self.skip_if_empty = skip_if_empty
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.window = window
        self.consistency = consistency
        self.max_xcom_bytes = max_xcom_bytes
        self._extraction: Extraction | None = None

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        Fetch the interval's records and write them.

        :return: the records (money as text) or, with ``output_path``, the manifest of the object
        :raises AirflowFailException: for a failure that a retry cannot help, with what to do
        :raises NXCloudError: for one that it can
        :raises AirflowSkipException: with ``skip_if_empty``, where there is no record
        """
        with _permanent_failures():
            hook = NXCloudHook(self.nxcloud_conn_id)
            interval = resolve_interval(
                context,
                interval_start=self.interval_start,
                interval_end=self.interval_end,
                lookback=self.lookback,
                timezone=hook.timezone,
            )
            interval.require_ended()
            self.log.info("Fetching the records of %s for %s", self.endpoint.kind, interval)
            if self.output_path is None:
                return self._to_xcom(hook, interval)
            return self._to_storage(hook, interval, self.output_path, context)

    def on_kill(self) -> None:
        """Stop the requests."""
        if self._extraction is not None:
            self._extraction.close()

    @contextmanager
    def _extract(self, hook: NXCloudHook, interval: Interval) -> Iterator[Extraction]:
        with hook.extraction(
            self.endpoint,
            interval.start,
            interval.end,
            filters=self._filters(),
            max_concurrency=self.max_concurrency,
            page_size=self.page_size,
            window=self.window,
            consistency=self.consistency,
        ) as self._extraction:
            yield self._extraction
            self.log.info(
                "Fetched %d records in %d pages with %d requests in %.1f s",
                self._extraction.records,
                self._extraction.pages,
                self._extraction.requests,
                self._extraction.seconds,
            )

    def _filters(self) -> dict[str, str | None]:
        return {name: getattr(self, name) for name in self.filter_fields}

    def _reader(self, hook: NXCloudHook) -> RecordReader:
        from airflow_provider_nxcloud.api.records import RecordReader

        return RecordReader(self.endpoint.kind, hook.timezone)

    def _to_xcom(self, hook: NXCloudHook, interval: Interval) -> list[dict[str, Any]]:
        reader = self._reader(hook)
        records: list[dict[str, Any]] = []
        size = 0
        with self._extract(hook, interval) as extraction:
            for batch in extraction.batches():
                for record in map(reader.with_texts, batch):
                    size += len(json.dumps(record)) + len(", ")
                    if size > self.max_xcom_bytes:
                        raise ValueError(
                            f"The records of {interval} are larger than max_xcom_bytes={self.max_xcom_bytes}, and "
                            "XCom is kept in Airflow's database: set output_path to write them to object storage"
                        )
                    records.append(record)
        if not records:
            self._skip_where_asked(interval)
        return records

    def _to_storage(self, hook: NXCloudHook, interval: Interval, output_path: str, context: Context) -> dict[str, Any]:
        from airflow_provider_nxcloud.storage.commit import new_object, storage_path
        from airflow_provider_nxcloud.storage.formats import output_format, record_writer
        from airflow_provider_nxcloud.storage.layout import object_location

        output = output_format(output_path, self.output_format, self.compression)
        location = object_location(
            output_path,
            kind=self.endpoint.kind,
            interval=interval,
            filters=self.endpoint.filter_parameters(self._filters()),
            timezone=hook.timezone,
            output=output,
        )
        path = storage_path(location, self.storage_conn_id)
        with self._extract(hook, interval) as extraction:
            batches = extraction.batches()
            first = next(batches, [])
            if not first and self.skip_if_empty and not path.exists():
                self._skip_where_asked(interval)
            with new_object(path) as spool, record_writer(spool, output, self._reader(hook)) as writer:
                writer.write(first)
                for batch in batches:
                    writer.write(batch)
        manifest = {
            "path": location,
            "kind": self.endpoint.kind,
            "interval_start": utc_text(interval.start),
            "interval_end": utc_text(interval.end),
            "records": extraction.records,
            "bytes": spool.size,
            "sha256": spool.sha256,
            "format": output.name,
            "compression": output.compression,
            "pages": extraction.pages,
            "requests": extraction.requests,
            "retries": extraction.retries,
            "seconds": round(extraction.seconds, 3),
            "duplicates": extraction.duplicates,
        }
        self.log.info("Wrote %d records, %d bytes, to %s", extraction.records, spool.size, location)
        self._annotate_outlets(context, manifest)
        if not extraction.records:
            self._skip_where_asked(interval)
        return manifest

    def _skip_where_asked(self, interval: Interval) -> None:
        if self.skip_if_empty:
            raise AirflowSkipException(f"No records of {self.endpoint.kind} in {interval}")

    def _annotate_outlets(self, context: Context, manifest: dict[str, Any]) -> None:
        """Let each outlet's asset event carry the manifest."""
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(manifest)


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


@contextmanager
def _permanent_failures() -> Iterator[None]:
    """Turn what a retry cannot help into ``AirflowFailException``, so that no retry is wasted on it."""
    try:
        yield
    except (NXCloudError, ValueError, AirflowNotFoundException) as error:
        if isinstance(error, NXCloudError) and error.transient:
            raise
        # Not chained: the message says what happened and what to do, a traceback would bury it.
        raise AirflowFailException(str(error)) from None
