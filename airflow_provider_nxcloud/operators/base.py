"""What the operators share: from the DAG run's interval to the records in XCom or an object, and its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    BaseOperator,
    conf,
)

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.api.errors import NXCloudError, NXCloudNotEndedError
from airflow_provider_nxcloud.api.moments import utc_text
from airflow_provider_nxcloud.connection import DEFAULT_CONNECTION_ID
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook
from airflow_provider_nxcloud.interval import Interval, resolve_interval
from airflow_provider_nxcloud.links import NXCloudObjectLink, keep_link, object_url
from airflow_provider_nxcloud.storage.errors import StorageError, full_disk_named
from airflow_provider_nxcloud.waiting import has_come, settled_at, sleep_until, trigger_at, wait_without_triggerer

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_nxcloud.api.completeness.proving import Consistency
    from airflow_provider_nxcloud.api.endpoints import Endpoint
    from airflow_provider_nxcloud.api.extraction import Extraction
    from airflow_provider_nxcloud.api.moments import Moment
    from airflow_provider_nxcloud.api.records import RecordReader
    from airflow_provider_nxcloud.redaction import Redact, Redactor
    from airflow_provider_nxcloud.storage.formats import OutputFormat
    from airflow_provider_nxcloud.storage.target import StorageTarget

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
    :param settle: time after the interval's end until its records have settled (calls still under way, late billing):
        the task waits for it, zero too. None: no waiting, an interval that has not ended is an error
    :param deferrable: wait for it on the triggerer. Otherwise the task gives up its worker and is run again (Airflow
        3.2+), or sleeps on it. Default: the option ``[operators] default_deferrable``
    :param output_path: None: the records go to XCom. A path or URI: they go to an object there, through Airflow's
        ``ObjectStoragePath``. With a format's suffix it is the object itself, else the root of a dataset with
        ``date=`` partitions (templated)
    :param storage_conn_id: Airflow connection of the storage, where the URI does not carry it (templated)
    :param output_format: ``jsonl`` (default), ``csv`` or ``parquet`` (extra ``parquet``); taken from the path's
        suffix where it has one
    :param compression: ``gzip`` or ``none`` (default) for ``jsonl`` and ``csv``, taken from the path's suffix where
        it has one; ``zstd`` (default), ``snappy``, ``gzip`` or ``none`` for ``parquet``
    :param overwrite: replace an object that the interval has already, as a rerun does; False: fail where there is
        one, before anything is fetched
    :param skip_if_empty: skip the task where the interval holds no record, after replacing an older object of
        the interval by an empty one; by default an empty object is written
    :param page_size: records of a page; default: the endpoint's limit
    :param max_concurrency: pages in flight; default: 8
    :param window: span of one scan of call center records; default: the whole interval. A scan of DID records
        is one local date
    :param consistency: ``double`` reads each window twice, by different edges, until both agree
    :param keep_misplaced: keep records whose start no selection by time explains (more than a second after the
        interval's end, or more than a day before its start); by default they are an error
    :param max_xcom_bytes: the most that is pushed to XCom, in bytes of JSON
    :param redact: personal data that is not to be written: a list of fields to replace by a keyed hash, such as
        ``PERSONAL_FIELDS["did_cdr"]`` of ``airflow_provider_nxcloud.redaction``, or a mapping of fields to ``hash`` or
        ``drop``; ``_extra`` stands for every field that the provider does not know. The hash needs the Connection's
        extra ``redaction_key`` (templated)

    On Airflow 3.3 and later, ``retry_policy`` is a
    :class:`~airflow_provider_nxcloud.retry_policy.NXCloudRetryPolicy` unless another is given.
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
        "redact",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"redact": "json"}
    operator_extra_links = (NXCloudObjectLink(),)
    ui_color = "#e3f1fb"

    def __init__(
        self,
        *,
        nxcloud_conn_id: str = DEFAULT_CONNECTION_ID,
        interval_start: Moment | None = None,
        interval_end: Moment | None = None,
        lookback: timedelta | None = None,
        settle: timedelta | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        output_path: str | None = None,
        storage_conn_id: str | None = None,
        output_format: str | None = None,
        compression: str | None = None,
        overwrite: bool = True,
        skip_if_empty: bool = False,
        page_size: int | None = None,
        max_concurrency: int | None = None,
        window: timedelta | None = None,
        consistency: Consistency = "single",
        keep_misplaced: bool = False,
        max_xcom_bytes: int = DEFAULT_MAX_XCOM_BYTES,
        redact: Redact | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nxcloud_conn_id = nxcloud_conn_id
        self.interval_start = interval_start
        self.interval_end = interval_end
        self.lookback = lookback
        self.settle = settle
        self.deferrable = deferrable
        self.output_path = output_path
        self.storage_conn_id = storage_conn_id
        self.output_format = output_format
        self.compression = compression
        self.overwrite = overwrite
        self.skip_if_empty = skip_if_empty
        self.page_size = page_size
        self.max_concurrency = max_concurrency
        self.window = window
        self.consistency = consistency
        self.keep_misplaced = keep_misplaced
        self.max_xcom_bytes = max_xcom_bytes
        self.redact = redact
        self._extraction: Extraction | None = None
        self._gateway: str | None = None
        self._manifest: dict[str, Any] | None = None
        #: The written object's page in its store's web console, after a run.
        self.object_url: str | None = None
        if getattr(self, "retry_policy", self) is None:  # from Airflow 3.3 on, and nobody gave another
            from airflow_provider_nxcloud.retry_policy import NXCloudRetryPolicy

            self.retry_policy = NXCloudRetryPolicy()

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """
        Wait until the interval's records have settled, fetch and write them.

        :return: the records (money as text) or, with ``output_path``, the manifest of the object
        :raises AirflowFailException: for a failure that a retry cannot help, with what to do
        :raises NXCloudError: for one of NXCloud or the network that it can
        :raises StorageError: likewise, of the storage or a local disk
        :raises AirflowSkipException: with ``skip_if_empty``, where there is no record
        """
        with _permanent_failures(), full_disk_named():
            hook = NXCloudHook(self.nxcloud_conn_id)
            interval = resolve_interval(
                context,
                interval_start=self.interval_start,
                interval_end=self.interval_end,
                lookback=self.lookback,
                timezone=hook.timezone,
            )
            redactor = hook.redactor(self.endpoint, self.redact)  # what is wrong with it is said before the wait
            self._wait(interval)
            return self._fetch(hook, redactor, interval, context)

    def execute_complete(
        self, context: Context, event: Any = None, *, start: int, end: int
    ) -> list[dict[str, Any]] | dict[str, Any]:
        """
        Go on where the triggerer has waited, with the very interval that the task waited for.

        :param start: Unix time in seconds
        :param end: likewise
        """
        with _permanent_failures(), full_disk_named():
            interval = Interval(start, end)
            if self.settle is not None:
                sleep_until(settled_at(interval, self.settle))  # the triggerer's clock may be ahead of this one
            hook = NXCloudHook(self.nxcloud_conn_id)
            return self._fetch(hook, hook.redactor(self.endpoint, self.redact), interval, context)

    def on_kill(self) -> None:
        """Stop the requests."""
        if self._extraction is not None:
            self._extraction.close()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage the endpoint, and the object where one was written; also after a failure."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from airflow_provider_nxcloud.lineage import input_dataset, output_dataset

        return OperatorLineage(
            inputs=[input_dataset(self._gateway, self.endpoint)] if self._gateway else [],
            outputs=[output_dataset(self._manifest, self.endpoint)] if self._manifest else [],
        )

    def _wait(self, interval: Interval) -> None:
        """Return when the interval may be fetched, or leave the worker until then."""
        if self.settle is None:
            interval.require_ended()
            return
        moment = settled_at(interval, self.settle)
        if not has_come(moment):
            self.log.info("Waiting until %s, %s after the end of %s", moment.isoformat(), self.settle, interval)
            self._wait_until(moment, interval)

    def _wait_until(self, moment: datetime, interval: Interval) -> None:
        if self.deferrable:
            kwargs = {"start": interval.start, "end": interval.end}
            self.defer(trigger=trigger_at(moment), method_name="execute_complete", kwargs=kwargs)
        wait_without_triggerer(moment)

    def _fetch(
        self, hook: NXCloudHook, redactor: Redactor, interval: Interval, context: Context
    ) -> list[dict[str, Any]] | dict[str, Any]:
        self._gateway = hook.settings.host
        self.log.info("Fetching the records of %s for %s", self.endpoint.kind, interval)
        if redactor.actions:
            self.log.info("Redacting %s", redactor.actions)
        try:
            return self._deliver(hook, redactor, interval, context)
        except NXCloudNotEndedError as error:
            if self.settle is None:
                raise
            moment = datetime.now(UTC) + timedelta(seconds=error.seconds)
            self.log.warning("%s Waiting until %s", error, moment.isoformat())
            self._wait_until(moment, interval)
            return self._deliver(hook, redactor, interval, context)

    def _deliver(
        self, hook: NXCloudHook, redactor: Redactor, interval: Interval, context: Context
    ) -> list[dict[str, Any]] | dict[str, Any]:
        if self.output_path is None:
            return self._to_xcom(hook, redactor, interval)
        return self._to_storage(hook, redactor, interval, self.output_path, context)

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
            keep_misplaced=self.keep_misplaced,
            ready_at=(interval.end if self.settle is None else settled_at(interval, self.settle).timestamp()),
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

        return RecordReader(self.endpoint, hook.timezone)

    def _to_xcom(self, hook: NXCloudHook, redactor: Redactor, interval: Interval) -> list[dict[str, Any]]:
        reader = self._reader(hook)
        records: list[dict[str, Any]] = []
        size = 0
        with self._extract(hook, interval) as extraction:
            for block in redactor.blocks(extraction.blocks()):
                for record in map(reader.with_texts, block.splitlines()):
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

    def _to_storage(
        self, hook: NXCloudHook, redactor: Redactor, interval: Interval, output_path: str, context: Context
    ) -> dict[str, Any]:
        from airflow_provider_nxcloud.storage.commit import new_object
        from airflow_provider_nxcloud.storage.formats import output_format
        from airflow_provider_nxcloud.storage.target import storage_target
        from airflow_provider_nxcloud.storage.writers import record_writer

        output = output_format(output_path, self.output_format, self.compression)
        location = self._location(hook, redactor, interval, output_path, output)
        target = storage_target(location, self.storage_conn_id)
        exists = target.exists()
        if not self.overwrite:
            _require_absent(target, exists)
        facts = {
            "kind": self.endpoint.kind,
            "interval_start": utc_text(interval.start),
            "interval_end": utc_text(interval.end),
        }
        told = {**facts, "provider_version": __version__}
        if redactor.actions:
            told["redacted"] = json.dumps(redactor.actions)
        with self._extract(hook, interval) as extraction:
            blocks = redactor.blocks(extraction.blocks())
            first = next(blocks, b"")
            if not first and exists is False:
                self._skip_where_asked(interval)
            with new_object(target) as spool, record_writer(spool, output, self._reader(hook), told) as writer:
                writer.write(first)
                for block in blocks:
                    writer.write(block)
        manifest = {
            "path": location,
            **facts,
            "records": extraction.records,
            "bytes": spool.size,
            "sha256": spool.sha256,
            "format": output.name,
            "compression": output.compression,
            "redacted": redactor.actions,
            "pages": extraction.pages,
            "requests": extraction.requests,
            "retries": extraction.retries,
            "seconds": round(extraction.seconds, 3),
            "duplicates": extraction.duplicates,
            "outside": extraction.outside,
        }
        self._announce(manifest, target, output_path, context)
        if not extraction.records:
            self._skip_where_asked(interval)
        return manifest

    def _location(
        self, hook: NXCloudHook, redactor: Redactor, interval: Interval, output_path: str, output: OutputFormat
    ) -> str:
        from airflow_provider_nxcloud.storage.layout import object_location

        return object_location(
            output_path,
            kind=self.endpoint.kind,
            interval=interval,
            filters=redactor.hidden(self.endpoint.filter_parameters(self._filters())),
            timezone=hook.timezone,
            output=output,
        )

    def _announce(self, manifest: dict[str, Any], target: StorageTarget, output_path: str, context: Context) -> None:
        """Tell the log, the lineage, the UI and the outlets of the object that was written."""
        from airflow_provider_nxcloud.assets import annotate_outlets

        self.log.info("Wrote %d records, %d bytes, to %s", manifest["records"], manifest["bytes"], manifest["path"])
        self._manifest = manifest
        self.object_url = object_url(target)
        keep_link(self.object_url, context)
        annotate_outlets(self.outlets, context, output_path, manifest)

    def _skip_where_asked(self, interval: Interval) -> None:
        if self.skip_if_empty:
            raise AirflowSkipException(f"No records of {self.endpoint.kind} in {interval}")


def _require_absent(target: StorageTarget, exists: bool | None) -> None:
    if exists is None:
        raise AirflowFailException(
            f"Whether there is an object at {target} cannot be told, as overwrite=False needs: permit its credentials "
            "to list the bucket, or set overwrite=True"
        )
    if exists:
        raise AirflowFailException(
            f"There is an object at {target} already, and overwrite=False: remove it, choose another output_path, or "
            "set overwrite=True to replace it"
        )


@contextmanager
def _permanent_failures() -> Iterator[None]:
    """Turn what a retry cannot help into ``AirflowFailException``, so that no retry is wasted on it."""
    try:
        yield
    except (NXCloudError, StorageError, ValueError, AirflowNotFoundException) as error:
        if isinstance(error, NXCloudError | StorageError) and error.transient:
            raise
        # Not chained: the message says what happened and what to do, a traceback would bury it.
        raise AirflowFailException(str(error)) from None
