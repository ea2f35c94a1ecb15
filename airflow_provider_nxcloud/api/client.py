"""One signed JSON call to NXCloud: signature, retries, rate limit, clock offset, and what an answer means."""

from __future__ import annotations

import logging
import re
import threading
import time
from codecs import utf_8_decode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential, wait_random

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.api import defaults
from airflow_provider_nxcloud.api.errors import (
    NXCloudAuthenticationError,
    NXCloudClockSkewError,
    NXCloudError,
    NXCloudInvalidRequestError,
    NXCloudPermissionError,
    NXCloudRateLimitError,
    NXCloudServerError,
    NXCloudUnexpectedResponseError,
)
from airflow_provider_nxcloud.api.signing import Credentials, signed_headers
from airflow_provider_nxcloud.api.throttle import Throttle
from airflow_provider_nxcloud.api.transport import Answer, Transport

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint
    from airflow_provider_nxcloud.api.pages import Page

log = logging.getLogger(__name__)

#: More would trouble any gateway, and a worker's threads are not free.
MAX_CONCURRENCY = 64
#: A failure that outlives this many tries is no hiccup: Airflow's own retries take over.
MAX_ATTEMPTS = 5
#: Back-off of one request in total; a longer wait belongs to Airflow's retries, which free the worker.
MAX_BACKOFF_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 20.0
MAX_MESSAGE_CHARACTERS = 200
#: Answers that the server's clock is learnt from.
CLOCK_ANSWERS = 8
#: Seconds by which a time stamp may differ from the server's clock.
TIMESTAMP_TOLERANCE = 60.0
UTF8_PIECE_BYTES = 2048

RESULT_CODES: dict[int, type[NXCloudError]] = {
    1001: NXCloudAuthenticationError,
    1002: NXCloudInvalidRequestError,
    1003: NXCloudAuthenticationError,
    1004: NXCloudClockSkewError,
    1005: NXCloudPermissionError,
}
HTTP_STATUSES: dict[int, type[NXCloudError]] = {
    401: NXCloudAuthenticationError,
    403: NXCloudPermissionError,
    408: NXCloudServerError,
    429: NXCloudRateLimitError,
}

_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "User-Agent": f"airflow-provider-nxcloud/{__version__}",
}
#: A phone number, or a signature that the server repeats.
_PERSONAL = re.compile(r"[0-9a-fA-F]{32,}|\d{7,}")


class _Outcome(msgspec.Struct, rename="camel"):
    """What every answer says of itself; the message goes by two names."""

    code: int
    msg: str | None = None
    message: str | None = None
    req_id: str | None = None


_decode_outcome = msgspec.json.Decoder(_Outcome).decode


class NXCloudClient:
    """
    Sends signed requests to NXCloud; safe to share between threads.

    A transient failure is tried again, signed anew, with jittered exponential back-off: at most
    ``MAX_ATTEMPTS`` times and ``MAX_BACKOFF_SECONDS`` in total. A ``Retry-After`` is honoured or, where it is
    beyond what is left, the request fails at once.

    :param credentials: the account's key pair
    :param base_url: gateway, an ``https://`` URL (``http://`` for a loopback address only)
    :param timeout: seconds to connect, and between two bytes; a whole answer may take four times that
    :param requests_per_second: ceiling of requests in any one-second span; None for none
    :param max_concurrency: requests under way at once, over all threads
    :param max_attempts: tries of one request, the first one included
    :param verify: True, or the path of a CA bundle
    :param proxies: proxies by scheme, as in ``requests``; those of the environment are used as well
    :raises ValueError: for a value out of range
    """

    def __init__(
        self,
        credentials: Credentials,
        base_url: str = defaults.BASE_URL,
        *,
        timeout: float = defaults.TIMEOUT,
        requests_per_second: float | None = None,
        max_concurrency: int = defaults.MAX_CONCURRENCY,
        max_attempts: int = MAX_ATTEMPTS,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
    ) -> None:
        if not 1 <= max_concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"max_concurrency must be between 1 and {MAX_CONCURRENCY}, not {max_concurrency}")
        self.throttle = Throttle(max_concurrency, requests_per_second, longest_pause=MAX_BACKOFF_SECONDS)
        self._transport = Transport(
            base_url, timeout=timeout, max_connections=max_concurrency, verify=verify, proxies=proxies
        )
        self._credentials = credentials
        self._max_attempts = max_attempts
        self._retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, NXCloudError) and error.transient),
            stop=self._is_last_attempt,
            wait=_seconds_to_wait,
            sleep=self.throttle.sleep,
            before_sleep=self._note_retry,
            reraise=True,
        )
        self._clock_offset = 0.0
        self._clock_answers = 0
        self._lock = threading.Lock()
        self._requests = 0
        self._retries = 0

    @property
    def base_url(self) -> str:
        """The gateway that the requests go to."""
        return self._transport.base_url

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self._requests

    @property
    def retries(self) -> int:
        """Requests that were sent again after a transient failure."""
        return self._retries

    def server_time(self, moment: float) -> float:
        """Return what NXCloud's clock showed at a moment of this machine's clock, as far as its answers tell."""
        return moment + self._clock_offset

    def fetch_page(self, endpoint: Endpoint, parameters: Mapping[str, Any]) -> Page:
        """
        Send one query and return the page that it answers with.

        :param endpoint: the kind of records
        :param parameters: the JSON body, page number and size included
        :raises NXCloudError: one subclass a cause, see :mod:`airflow_provider_nxcloud.api.errors`
        :raises CancelledError: when :meth:`close` was called from another thread
        """
        body = msgspec.json.encode(parameters)
        try:
            return self._retrying(self._attempt, endpoint, body)
        except NXCloudError as error:
            error.endpoint = endpoint.kind
            if isinstance(error, NXCloudInvalidRequestError):
                error.message += f"; parameters sent: {', '.join(parameters)}"
            raise

    def close(self) -> None:
        """Let no further request start, in any thread, and close the idle connections."""
        self.throttle.close()
        self._transport.close()

    def _is_last_attempt(self, state: RetryCallState) -> bool:
        waited = state.idle_for + state.upcoming_sleep
        return state.attempt_number >= self._max_attempts or waited > MAX_BACKOFF_SECONDS

    def _note_retry(self, state: RetryCallState) -> None:
        with self._lock:
            self._retries += 1
        error = state.outcome.exception() if state.outcome else None
        log.warning(
            "Attempt %d of %d failed, the next one follows in %.1f s: %s",
            state.attempt_number,
            self._max_attempts,
            state.upcoming_sleep,
            error,
        )

    def _attempt(self, endpoint: Endpoint, body: bytes) -> Page:
        """Send the request; where its time stamp is refused once more, by the server's clock."""
        try:
            return self._exchange(endpoint, body)
        except NXCloudClockSkewError:
            return self._exchange(endpoint, body)

    def _exchange(self, endpoint: Endpoint, body: bytes) -> Page:
        with self.throttle.request() as started:
            answer = self._post(endpoint, body)
        try:
            page = self._read(endpoint, answer)
        except NXCloudClockSkewError:
            self._correct_clock(answer)
            raise
        except NXCloudRateLimitError as error:
            self.throttle.slow_down(error.retry_after or 0.0, started=started)
            raise
        self.throttle.succeeded()
        self._learn_clock(answer)
        return page

    def _post(self, endpoint: Endpoint, body: bytes) -> Answer:
        signature = signed_headers(
            self._credentials,
            action=endpoint.action,
            biz_type=endpoint.biz_type,
            timestamp=int((time.time() + self._clock_offset) * 1000),
            body=body,
        )
        with self._lock:
            self._requests += 1
        return self._transport.post(endpoint.path, {**_HEADERS, **signature}, body)

    def _read(self, endpoint: Endpoint, answer: Answer) -> Page:
        if answer.status != 200:
            raise self._http_error(answer)
        try:
            return endpoint.read_page(_in_one_line(answer.body))
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self._refusal(endpoint, answer.body, error) from None

    def _refusal(self, endpoint: Endpoint, body: bytes, misfit: Exception) -> NXCloudError:
        """Say why an answer holds no page: NXCloud says so, or it is not what the API describes."""
        try:
            outcome = _decode_outcome(body)
        except (msgspec.MsgspecError, RecursionError):
            return NXCloudUnexpectedResponseError(f"An answer of {len(body)} bytes is not one of NXCloud's: {misfit}")
        if outcome.code != 0:
            return self._result_error(endpoint, outcome)
        return NXCloudUnexpectedResponseError(f"The answer's data is misshapen: {misfit}", request_id=outcome.req_id)

    def _http_error(self, answer: Answer) -> NXCloudError:
        status = answer.status
        if 300 <= status < 400:
            target = _hostname(answer.headers.get("Location", "")) or "an unnamed host"
            return NXCloudInvalidRequestError(
                f"{self.base_url} redirects to {target}, and a signed request is never sent on", code=status
            )
        if status >= 500:
            error_type: type[NXCloudError] = NXCloudServerError
        elif status >= 400:
            error_type = HTTP_STATUSES.get(status, NXCloudInvalidRequestError)
        else:
            error_type = NXCloudUnexpectedResponseError
        wait = answer.retry_after
        asks = "" if wait is None else f" and asks to wait {wait:.0f} s"
        message = f"{self.base_url} answers with HTTP status {status}{asks}"
        return error_type(message, code=status, retry_after=wait)

    def _result_error(self, endpoint: Endpoint, outcome: _Outcome) -> NXCloudError:
        if outcome.code in endpoint.transient_codes:
            error_type: type[NXCloudError] = NXCloudServerError
        else:
            error_type = RESULT_CODES.get(outcome.code, NXCloudInvalidRequestError)
        message = f"NXCloud says {self._harmless(outcome.msg or outcome.message or 'nothing')!r}"
        return error_type(message, code=outcome.code, request_id=outcome.req_id)

    def _learn_clock(self, answer: Answer) -> None:
        """
        Note the server's clock as its first answers tell it: it took our time stamps, so it is not far off.

        An answer was given before it was here: the one that took least tells most.
        """
        if self._clock_answers >= CLOCK_ANSWERS or answer.date is None:
            return
        offset = answer.date.timestamp() - time.time()
        if abs(offset - self._clock_offset) <= TIMESTAMP_TOLERANCE:
            self._clock_offset = max(offset, self._clock_offset) if self._clock_answers else offset
            self._clock_answers += 1

    def _correct_clock(self, answer: Answer) -> None:
        if answer.date is not None:
            self._clock_answers = 1
            self._clock_offset = answer.date.timestamp() - time.time()
            log.warning(
                "The worker's clock is %+.0f s off NXCloud's, which refused a time stamp: further ones are "
                "corrected by that; set the clock (NTP)",
                -self._clock_offset,
            )

    def _harmless(self, text: str) -> str:
        """Return a server's message without credentials and phone numbers, cut to a sane length."""
        for secret in (self._credentials.access_secret, self._credentials.access_key):
            text = text.replace(secret, "***")
        return _PERSONAL.sub("***", text)[:MAX_MESSAGE_CHARACTERS]


def _in_one_line(body: bytes) -> bytes:
    """Return the JSON text without line breaks: other white space stays as it came."""
    _require_utf8(body)
    return msgspec.json.format(body, indent=-1) if b"\n" in body or b"\r" in body else body


def _require_utf8(body: bytes) -> None:
    """
    Check what msgspec does not: the text of raw values.

    In small pieces, since a page as one text, four bytes a character, fragments the memory of many threads.
    """
    if body.isascii():
        return
    view = memoryview(body)
    position = 0
    while position < len(body):
        end = position + UTF8_PIECE_BYTES
        position += utf_8_decode(view[position:end], "strict", end >= len(body))[1]


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _seconds_to_wait(state: RetryCallState) -> float:
    backoff = wait_exponential(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS) + wait_random(0, FIRST_BACKOFF_SECONDS)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, NXCloudError) else None
    return max(asked or 0.0, backoff(state))
