"""In Airflow's UI: the link to the written object, where its store has a web address for it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.common.compat.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskInstanceKey

    from airflow_provider_nxcloud.storage.target import StorageTarget

#: Under which Airflow 3 keeps a link of this class by itself.
XCOM_KEY = "_link_NXCloudObjectLink"

_AWS_CONSOLES = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
_GOOGLE_CONSOLE = "https://console.cloud.google.com"
_GOOGLE_HOST = ".googleapis.com"


class NXCloudObjectLink(BaseOperatorLink):
    """The written object's page in the web console of its store; no link where there is none."""

    name = "Object in storage"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the object's web address, or nothing.

        :param operator: in Airflow 3 the one that has just run; in Airflow 2 what the web server knows of it
        :param ti_key: its task instance
        """
        if hasattr(operator, "object_url"):
            return operator.object_url or ""
        from airflow.providers.common.compat.sdk import XCom

        return XCom.get_value(key=XCOM_KEY, ti_key=ti_key) or ""


def keep_link(url: str | None, context: Context) -> None:
    """Keep a web address for the web server of Airflow 2; Airflow 3 asks for it at the task's end and keeps it."""
    if url and not hasattr(BaseOperatorLink, "xcom_key"):
        context["ti"].xcom_push(key=XCOM_KEY, value=url)


def object_url(target: StorageTarget) -> str | None:
    """
    Return the web address of an object in Amazon S3 or Google Cloud Storage; None in any other store.

    Whose store it is, the address tells that the driver speaks to: what only speaks S3 has no page at Amazon. Azure's
    portal asks for the subscription and the resource group, which no connection has.
    """
    scheme = target.location.partition("://")[0]
    bucket, _, key = target.path.lstrip("/").partition("/")
    with suppress(AttributeError):  # a driver of the user's own need not tell where it speaks to
        if scheme in ("s3", "s3a"):
            return _amazon_url(target.fs.s3.meta, bucket, key)
        if scheme in ("gs", "gcs"):
            return _google_url(target.fs.base, bucket, key)
    return None


def _amazon_url(client: Any, bucket: str, key: str) -> str | None:
    console = _AWS_CONSOLES.get(client.partition)
    is_arn = ":" in bucket  # of an access point, whose pages have other addresses
    if console is None or is_arn or not _host(client.endpoint_url).endswith(_AWS_HOSTS):
        return None
    query = urlencode({"region": client.region_name, "prefix": key}, safe="/", quote_via=quote)
    return f"{console}/s3/object/{quote(bucket)}?{query}"


def _google_url(endpoint: str, bucket: str, key: str) -> str | None:
    if not _host(endpoint).endswith(_GOOGLE_HOST):
        return None
    return f"{_GOOGLE_CONSOLE}/storage/browser/_details/{quote(bucket)}/{quote(key)};tab=live_object"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
