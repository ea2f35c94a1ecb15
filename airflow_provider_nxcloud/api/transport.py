"""One bounded HTTPS exchange: kept-alive connections, no redirects, no cookies, a limit on time and size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool
from urllib3.exceptions import HTTPError

from airflow_provider_nxcloud.api import defaults
from airflow_provider_nxcloud.api.errors import NXCloudTransportError, NXCloudUnexpectedResponseError

MAX_TIMEOUT = 3600.0
#: The whole answer may take this many times ``timeout``; a server that drips would else hold a thread for ever.
TOTAL_TIMEOUTS = 4
#: A page of 999 records is below 1 MiB; an answer of this size is not a page.
MAX_BODY_BYTES = 32 * 1024 * 1024
READ_CHUNK_BYTES = 64 * 1024


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def date(self) -> datetime | None:
        """The server's clock, from the ``Date`` header."""
        return _http_date(self.headers.get("Date"))

    @property
    def retry_after(self) -> float | None:
        """Seconds that ``Retry-After`` asks for; its date form counts from the server's own clock."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isdecimal():
            return float(text)
        moment = _http_date(text)
        if moment is None:
            return None
        return max(0.0, (moment - (self.date or datetime.now(UTC))).total_seconds())


def checked_base_url(url: str) -> str:
    """
    Return a gateway's URL without a trailing slash, ``https://`` added where it has no scheme.

    :raises ValueError: for a scheme other than https (or http to a loopback address), and for a URL with
        credentials, a query or no host
    """
    url = url.strip()
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        _ = parts.port
    except ValueError:  # its text may hold a part of credentials
        raise ValueError(f"host is not the URL of a gateway, such as {defaults.BASE_URL}") from None
    if parts.username or parts.password:
        raise ValueError("host must not hold credentials: they belong in login and password")
    if not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"host {url!r} is not the URL of a gateway, such as {defaults.BASE_URL}")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"host {url!r} must be an https:// URL; http:// is for loopback addresses only")
    return parts.geturl().rstrip("/")


class Transport:
    """
    Posts bodies to one gateway over kept-alive connections; safe to share between threads.

    ``requests`` finds proxies and CA bundle, those of the environment included, and sets the connections up. It
    does so once: doing it for every request, as a session does, costs as much as the request itself, follows
    redirects, keeps cookies and reads ``.netrc``.

    :param base_url: gateway, see :func:`checked_base_url`
    :param timeout: seconds to connect, and between two bytes; a whole answer may take four times that
    :param max_connections: connections to keep
    :param verify: True, or the path of a CA bundle
    :param proxies: proxies by scheme, as in ``requests``
    :raises ValueError: for a value out of range
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = defaults.TIMEOUT,
        max_connections: int = defaults.MAX_CONCURRENCY,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 < timeout <= MAX_TIMEOUT:
            raise ValueError(f"timeout must be above 0 and at most {MAX_TIMEOUT:.0f} seconds, not {timeout}")
        if not verify:
            raise ValueError("verify cannot be switched off: set it to the path of a CA bundle")
        self.base_url = checked_base_url(base_url)
        self._timeout = timeout
        with requests.Session() as session:
            found = session.merge_environment_settings(self.base_url, dict(proxies or {}), True, verify, None)
        request = requests.Request("POST", self.base_url).prepare()
        self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=max_connections)
        try:
            pool = self._adapter.get_connection_with_tls_context(request, found["verify"], found["proxies"])
            self._adapter.cert_verify(pool, self.base_url, found["verify"], None)  # type: ignore[no-untyped-call]
        except (requests.RequestException, OSError) as error:
            raise ValueError(f"proxies or verify cannot be used: {_cause(error)}") from None
        self._pool = cast(HTTPConnectionPool, pool)
        self._root = self._adapter.request_url(request, found["proxies"]).rstrip("/")

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """
        Send one request and read the whole answer, whatever its status.

        :raises NXCloudTransportError: where no whole answer arrived in time
        :raises NXCloudUnexpectedResponseError: where the answer is larger than ``MAX_BODY_BYTES``
        """
        deadline = time.monotonic() + TOTAL_TIMEOUTS * self._timeout
        try:
            response = self._pool.urlopen(
                "POST",
                self._root + path,
                body=body,
                headers=headers,
                timeout=self._timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
            with closing(response):
                return Answer(response.status, response.headers, _read_body(response, deadline))
        except (HTTPError, OSError) as error:
            # Not chained: the texts of these exceptions may hold a proxy's credentials.
            raise NXCloudTransportError(f"No whole answer from {self.base_url}: {_cause(error)}") from None

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()


def _is_loopback(hostname: str) -> bool:
    try:
        return ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _read_body(response: BaseHTTPResponse, deadline: float) -> bytes:
    chunks = []
    size = 0
    while chunk := response.read1(READ_CHUNK_BYTES, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise NXCloudUnexpectedResponseError(f"The answer is larger than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise NXCloudTransportError(f"The answer took longer than {TOTAL_TIMEOUTS} times the timeout")
    return b"".join(chunks)


def _cause(error: BaseException) -> str:
    """Name the innermost reason of a transport failure, such as ``ConnectionRefusedError Connection refused``."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    reason = error.strerror if isinstance(error, OSError) and error.strerror else ""
    return f"{type(error).__name__} {reason}".strip()


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
