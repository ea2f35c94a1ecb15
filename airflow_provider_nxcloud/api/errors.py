"""What can go wrong with an NXCloud request: one exception a cause, each with its remedy."""

from __future__ import annotations

from typing import Any, ClassVar


class NXCloudError(Exception):
    """
    Base of all errors of the NXCloud API client.

    :param message: what happened; holds no credential and no personal data
    :param code: NXCloud's result code, or the HTTP status where the failure was below the API
    :param request_id: NXCloud's ``reqId``, which its support asks for
    :param endpoint: name of the endpoint that was called
    :param retry_after: seconds that the server asked to wait (a rate limit only)
    """

    #: Whether the same request may succeed when it is sent again.
    transient: ClassVar[bool] = False
    #: What the reader of the message can do.
    remedy: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        request_id: str | None = None,
        endpoint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.request_id = request_id
        self.endpoint = endpoint
        self.retry_after = retry_after

    def __str__(self) -> str:
        facts = {"endpoint": self.endpoint, "code": self.code, "reqId": self.request_id}
        known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
        text = f"{self.message} ({known})" if known else self.message
        return f"{text}. {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,), self.__dict__.copy())


class NXCloudAuthenticationError(NXCloudError):
    """The signature or a common header was refused (codes 1001 and 1003, HTTP 401)."""

    remedy = "Check login (accessKey), password (accessSecret) and extra 'algorithm' of the Connection"


class NXCloudPermissionError(NXCloudError):
    """The accessKey is unknown, or the account lacks this endpoint (code 1005, HTTP 403)."""

    remedy = "Check the Connection's login (accessKey), and ask NXCloud whether the account may read these records"


class NXCloudInvalidRequestError(NXCloudError):
    """NXCloud refused the parameters (code 1002 and undocumented codes), or the address is wrong (HTTP 4xx)."""

    remedy = "Sending the same request again cannot help: correct the task's parameters or the Connection's host"


class NXCloudClockSkewError(NXCloudError):
    """The request's time stamp is more than 60 s from the server's clock (code 1004)."""

    remedy = "Set the worker's clock (NTP)"


class NXCloudRateLimitError(NXCloudError):
    """NXCloud asks for fewer requests (HTTP 429); ``retry_after`` holds the seconds it named."""

    transient = True
    remedy = (
        "Set extra 'requests_per_second' of the Connection, a lower max_concurrency, "
        "or an Airflow pool for the tasks that share this account"
    )


class NXCloudServerError(NXCloudError):
    """NXCloud could not answer (codes 88, 99 and -1, HTTP 5xx and 408)."""

    transient = True
    remedy = "If it stays, give NXCloud's support the code and the reqId"


class NXCloudTransportError(NXCloudError):
    """No whole answer arrived: connection, TLS, timeout, or a body cut short."""

    transient = True
    remedy = "Check the Connection's host, proxies and timeout, and the network between worker and gateway"


class NXCloudUnexpectedResponseError(NXCloudError):
    """The answer is not what the API describes: not JSON, misshapen, or far too large."""

    transient = True
    remedy = "Check that the Connection's host is an NXCloud gateway and that no proxy answers in its place"


class NXCloudMisplacedRecordsError(NXCloudError):
    """Records start far outside of the time that was asked for."""

    transient = True
    remedy = (
        "Check the Connection's 'timezone', and ask NXCloud's support; who knows why they are there keeps them with "
        "keep_misplaced=True"
    )


class NXCloudNotEndedError(NXCloudError):
    """By NXCloud's clock the interval has not ended, or not settled; ``seconds`` says how long that takes."""

    transient = True
    remedy = "Set the worker's clock (NTP), and let the task run later"

    def __init__(self, message: str, *, seconds: float = 0.0, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.seconds = seconds


class NXCloudIncompleteResultError(NXCloudError):
    """The records could not be proven complete within bounds."""

    transient = True
    remedy = (
        "The record set kept changing while it was read, or the server pages wrongly: run the task later "
        "or with a smaller 'window'"
    )
