"""One signed call: what each answer means, what is tried again, what is said, and what is never said."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.api import client as client_module
from airflow_provider_nxcloud.api import errors
from airflow_provider_nxcloud.api.client import MAX_ATTEMPTS, NXCloudClient
from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR, DID_CDR, Endpoint
from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.api.signing import Credentials
from tests.api.conftest import NAMES, Ear, RudeServer, client_of, each_kind, failure, fetch, http
from tests.emulator import Emulator, Fault
from tests.emulator.rules import signature

StartRude = Callable[[bytes], RudeServer]
StartEmulator = Callable[..., Emulator]

NOT_RETRIED = 1


class TestRequest:
    @each_kind
    def test_carries_the_headers_of_the_convention(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator()
        fetch(client_of(server), endpoint)
        (request,) = server.requests
        assert request.endpoint == NAMES[endpoint]
        assert request.headers["accesskey"] == server.access_key
        assert request.headers["content-type"] == "application/json"
        assert request.headers["user-agent"] == f"airflow-provider-nxcloud/{__version__}"
        assert "algorithm" not in request.headers
        assert abs(int(request.headers["ts"]) - time.time() * 1000) < 60_000

    @each_kind
    def test_may_be_signed_with_sha256(self, emulator: StartEmulator, endpoint: Endpoint) -> None:
        server = emulator()
        fetch(client_of(server, algorithm="sha256"), endpoint)
        assert server.requests[0].headers["algorithm"] == "sha256"
        assert len(server.requests[0].headers["sign"]) == 64

    def test_is_signed_as_sent_whatever_the_text(self, emulator: StartEmulator) -> None:
        fetch(client_of(emulator()), CALL_CENTER_CDR, name='牛小信 "é" 🦊 \\ \n')

    def test_never_carries_the_secret(self, emulator: StartEmulator) -> None:
        server = emulator()
        fetch(client_of(server))
        (request,) = server.requests
        assert server.access_secret not in str((request.headers, request.body))

    def test_each_attempt_is_signed_anew(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("status", times=MAX_ATTEMPTS - 1))
        fetch(client_of(server))
        headers = [request.headers for request in server.requests]
        assert len({sent["ts"] for sent in headers}) == len({sent["sign"] for sent in headers}) == MAX_ATTEMPTS
        assert all(len(sent["sign"]) == 32 for sent in headers)

    def test_each_attempt_is_counted(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("status", times=2))
        client = client_of(server)
        fetch(client)
        assert (client.requests, client.retries) == (3, 2)

    @pytest.mark.parametrize("max_concurrency", [0, -1, 65])
    def test_concurrency_is_bounded(self, max_concurrency: int) -> None:
        with pytest.raises(ValueError, match=f"between 1 and 64, not {max_concurrency}"):
            NXCloudClient(Credentials("key", "secret"), max_concurrency=max_concurrency)

    def test_goes_to_the_public_gateway_unless_told_otherwise(self) -> None:
        assert NXCloudClient(Credentials("key", "secret")).base_url == "https://api2.nxcloud.com"


class TestResultCodes:
    @pytest.mark.parametrize(
        ("endpoint", "code", "error_type", "requests"),
        [
            (CALL_CENTER_CDR, 1001, errors.NXCloudAuthenticationError, 1),
            (CALL_CENTER_CDR, 1002, errors.NXCloudInvalidRequestError, 1),
            (CALL_CENTER_CDR, 1003, errors.NXCloudAuthenticationError, 1),
            (CALL_CENTER_CDR, 1004, errors.NXCloudClockSkewError, 2),
            (CALL_CENTER_CDR, 1005, errors.NXCloudPermissionError, 1),
            (CALL_CENTER_CDR, 88, errors.NXCloudServerError, MAX_ATTEMPTS),
            (CALL_CENTER_CDR, 99, errors.NXCloudServerError, MAX_ATTEMPTS),
            (CALL_CENTER_CDR, -1, errors.NXCloudInvalidRequestError, 1),
            (CALL_CENTER_CDR, 41000, errors.NXCloudInvalidRequestError, 1),
            (CALL_CENTER_CDR, 10**30, errors.NXCloudInvalidRequestError, 1),
            (DID_CDR, 1001, errors.NXCloudAuthenticationError, 1),
            (DID_CDR, 1002, errors.NXCloudInvalidRequestError, 1),
            (DID_CDR, 1003, errors.NXCloudAuthenticationError, 1),
            (DID_CDR, 1004, errors.NXCloudClockSkewError, 2),
            (DID_CDR, 1005, errors.NXCloudPermissionError, 1),
            (DID_CDR, -1, errors.NXCloudServerError, MAX_ATTEMPTS),
            (DID_CDR, 88, errors.NXCloudInvalidRequestError, 1),
            (DID_CDR, 99, errors.NXCloudInvalidRequestError, 1),
            (DID_CDR, 7, errors.NXCloudInvalidRequestError, 1),
        ],
    )
    def test_each_code_has_its_error_and_its_number_of_requests(
        self, emulator: StartEmulator, endpoint: Endpoint, code: int, error_type: type[NXCloudError], requests: int
    ) -> None:
        server = emulator()
        server.add_fault(Fault("error_code", code=code, message="What the server says", times=None))
        error = failure(client_of(server), endpoint)
        assert type(error) is error_type
        assert error.transient == (requests == MAX_ATTEMPTS)
        assert error.code == code
        assert error.request_id == server.requests[-1].request_id if endpoint is CALL_CENTER_CDR else True
        assert f"code {code}" in str(error)
        assert "NXCloud says 'What the server says'" in str(error)
        assert error.remedy in str(error)
        assert error.request_id is None or f"reqId {error.request_id}" in str(error)
        assert len(server.requests) == requests

    @pytest.mark.parametrize(
        ("options", "error_type"),
        [
            ({"permitted": ("did",)}, errors.NXCloudPermissionError),
            ({"access_key": "another-key"}, errors.NXCloudPermissionError),
            ({"access_secret": "another-secret"}, errors.NXCloudAuthenticationError),
        ],
    )
    def test_what_the_server_refuses_by_itself(
        self, emulator: StartEmulator, options: dict[str, Any], error_type: type[NXCloudError]
    ) -> None:
        server = emulator(**options)
        client = NXCloudClient(Credentials("emulator-access-key", "emulator-access-secret"), server.url)
        assert type(failure(client)) is error_type
        assert len(server.requests) == NOT_RETRIED

    def test_a_transient_code_may_pass(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=5)
        server.add_fault(Fault("error_code", code=99, times=MAX_ATTEMPTS - 1))
        assert len(fetch(client_of(server)).records) == 5

    def test_wrong_parameters_are_named_without_their_values(self, emulator: StartEmulator) -> None:
        error = failure(client_of(emulator()), CALL_CENTER_CDR, caller="85200001234", size=101)
        assert error.code == 1002
        assert str(error).count("parameters sent: startTime, endTime, size, page, caller") == 1
        assert "8520" not in str(error)

    def test_the_message_is_shown_without_personal_data_and_keys(self, rude: StartRude) -> None:
        said = f"no 85200001234 for {RudeServer.access_key}, {RudeServer.access_secret}, {{sign}}, room 123456"
        body = b'{"code":1002,"reqId":"7","msg":"%b"}' % said.encode()
        error = failure(client_of(rude(b"HTTP/1.1 200 OK\r\n\r\n" + body)))
        assert "NXCloud says 'no *** for ***, ***, ***, room 123456'" in str(error)

    def test_the_message_is_cut_to_a_sane_length(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("error_code", code=1002, message="long " * 1000))
        assert len(str(failure(client_of(server)))) < 1000

    @pytest.mark.parametrize("name", ["msg", "message"])
    def test_the_message_goes_by_either_name(self, rude: StartRude, name: str) -> None:
        server = rude(http(b'{"code":1002,"%b":"Nope"}' % name.encode()))
        assert "NXCloud says 'Nope'" in str(failure(client_of(server)))

    def test_no_message_is_no_failure(self, rude: StartRude) -> None:
        error = failure(client_of(rude(http(b'{"code":1005,"msg":null}'))))
        assert isinstance(error, errors.NXCloudPermissionError)


class TestHttpStatuses:
    @pytest.mark.parametrize(
        ("status", "error_type", "requests"),
        [
            (400, errors.NXCloudInvalidRequestError, 1),
            (401, errors.NXCloudAuthenticationError, 1),
            (403, errors.NXCloudPermissionError, 1),
            (404, errors.NXCloudInvalidRequestError, 1),
            (405, errors.NXCloudInvalidRequestError, 1),
            (407, errors.NXCloudInvalidRequestError, 1),
            (408, errors.NXCloudServerError, MAX_ATTEMPTS),
            (413, errors.NXCloudInvalidRequestError, 1),
            (451, errors.NXCloudInvalidRequestError, 1),
            (500, errors.NXCloudServerError, MAX_ATTEMPTS),
            (502, errors.NXCloudServerError, MAX_ATTEMPTS),
            (503, errors.NXCloudServerError, MAX_ATTEMPTS),
            (504, errors.NXCloudServerError, MAX_ATTEMPTS),
            (599, errors.NXCloudServerError, MAX_ATTEMPTS),
            (201, errors.NXCloudUnexpectedResponseError, MAX_ATTEMPTS),
        ],
    )
    def test_each_status_has_its_error_and_its_number_of_requests(
        self, emulator: StartEmulator, status: int, error_type: type[NXCloudError], requests: int
    ) -> None:
        server = emulator()
        server.add_fault(Fault("status", status=status, times=None))
        error = failure(client_of(server))
        assert type(error) is error_type
        assert error.code == status
        assert f"{server.url} answers with HTTP status {status}" in str(error)
        assert len(server.requests) == requests

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_redirects_are_refused(self, emulator: StartEmulator, status: int) -> None:
        server, elsewhere = emulator(), emulator()
        server.add_fault(Fault("redirect", status=status, location=f"{elsewhere.url}/saas/cc/openapi/cdr/page"))
        error = failure(client_of(server))
        assert type(error) is errors.NXCloudInvalidRequestError
        assert "redirects to 127.0.0.1, and a signed request is never sent on" in str(error)
        assert len(server.requests) == NOT_RETRIED
        assert elsewhere.requests == []

    @pytest.mark.parametrize("location", ["/elsewhere", "https://[nowhere", "//", "", "https://me:mine@elsewhere.test"])
    def test_redirects_to_nowhere_are_refused_as_well(self, emulator: StartEmulator, location: str) -> None:
        server = emulator()
        server.add_fault(Fault("redirect", location=location))
        error = failure(client_of(server))
        assert type(error) is errors.NXCloudInvalidRequestError
        assert "mine" not in str(error)


class TestRateLimit:
    def seconds_between_two_requests(self, server: Emulator) -> float:
        fetch(client_of(server))
        first, second = (request.time for request in server.requests)
        return second - first

    def test_seconds_are_waited(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit", retry_after=1))
        assert 1 <= self.seconds_between_two_requests(server) < 5

    @pytest.mark.parametrize("clock_offset", [-40, 0, 40])
    def test_a_date_is_waited_for_by_the_servers_clock(self, emulator: StartEmulator, clock_offset: float) -> None:
        server = emulator(clock_offset=clock_offset)
        server.add_fault(Fault("rate_limit", retry_after="date", seconds=1))
        assert 1 <= self.seconds_between_two_requests(server) < 5

    def test_without_a_time_the_usual_back_off_is_waited(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit"))
        assert self.seconds_between_two_requests(server) < 1

    def test_ends_after_the_usual_number_of_attempts(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit", times=None))
        error = failure(client_of(server))
        assert type(error) is errors.NXCloudRateLimitError
        assert (error.code, error.retry_after) == (429, None)
        assert len(server.requests) == MAX_ATTEMPTS

    @pytest.mark.parametrize("retry_after", [61, 3600, 10**5])
    def test_a_wait_beyond_the_budget_fails_at_once(self, emulator: StartEmulator, retry_after: int) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit", retry_after=retry_after, times=None))
        started = time.monotonic()
        error = failure(client_of(server))
        assert time.monotonic() - started < 5
        assert type(error) is errors.NXCloudRateLimitError
        assert error.retry_after == retry_after
        assert "asks to wait" in str(error)
        assert len(server.requests) == NOT_RETRIED

    def test_waits_add_up_to_the_budget(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_module, "MAX_BACKOFF_SECONDS", 1.5)
        server = emulator()
        server.add_fault(Fault("rate_limit", retry_after=1, times=None))
        assert failure(client_of(server)).retry_after == 1
        assert len(server.requests) == 2

    def test_after_a_wait_beyond_the_budget_other_requests_fail_as_well(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("rate_limit", retry_after=3600))
        client = client_of(server)
        failure(client)
        error = failure(client)
        assert type(error) is errors.NXCloudRateLimitError
        assert error.retry_after is not None
        assert 3590 < error.retry_after <= 3600
        assert len(server.requests) == 1

    def test_a_busy_server_may_name_a_time_as_well(self, rude: StartRude) -> None:
        server = rude(http(b"", "Retry-After: 3600", status="503 Service Unavailable"))
        error = failure(client_of(server))
        assert type(error) is errors.NXCloudServerError
        assert error.retry_after == 3600
        assert server.requests == NOT_RETRIED


class TestClock:
    @pytest.mark.parametrize("offset", [-3600, -61, 61, 3600, 86_400 * 400])
    def test_a_wrong_clock_is_corrected_once_for_all_requests(
        self, emulator: StartEmulator, offset: int, logs: Ear
    ) -> None:
        server = emulator(clock_offset=offset)
        client = client_of(server)
        for _ in range(3):
            fetch(client)
        assert [request.code for request in server.requests] == [1004, 0, 0, 0]
        first, second, *_ = (int(request.headers["ts"]) for request in server.requests)
        assert abs(second - first - offset * 1000) < 5000
        assert logs.heard("clock is") == 1
        assert logs.heard(f"clock is {-offset:+d} s off") or logs.heard(f"clock is {-offset + 1:+d} s off")

    def test_a_second_refusal_is_permanent(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.add_fault(Fault("error_code", code=1004, times=None))
        error = failure(client_of(server))
        assert type(error) is errors.NXCloudClockSkewError
        assert "NTP" in str(error)
        assert len(server.requests) == 2

    def test_a_clock_that_jumps_again_is_corrected_again(self, emulator: StartEmulator) -> None:
        server = emulator(clock_offset=3600)
        client = client_of(server)
        fetch(client)
        server.clock_offset = -3600
        fetch(client)
        assert [request.code for request in server.requests] == [1004, 0, 1004, 0]

    def test_without_the_servers_date_nothing_is_corrected(self, rude: StartRude, logs: Ear) -> None:
        server = rude(http(b'{"code":1004,"msg":"Timestamp expired"}'))
        assert type(failure(client_of(server))) is errors.NXCloudClockSkewError
        assert server.requests == 2
        assert not logs.heard("clock is")


class TestMisshapenAnswers:
    """Each is tried again, then an error, never "no records"."""

    def assert_unexpected(self, server: Emulator | RudeServer, endpoint: Endpoint) -> NXCloudError:
        error = failure(client_of(server, max_attempts=2), endpoint)
        assert type(error) is errors.NXCloudUnexpectedResponseError
        requests = server.requests if isinstance(server, RudeServer) else len(server.requests)
        assert requests == 2
        return error

    @each_kind
    @pytest.mark.parametrize("kind", ["not_json", "truncate_json"])
    def test_no_json(self, emulator: StartEmulator, endpoint: Endpoint, kind: Any) -> None:
        server = emulator(call_center_per_day=20, did_per_day=20)
        server.add_fault(Fault(kind, times=None))
        assert "is not one of NXCloud's" in str(self.assert_unexpected(server, endpoint))

    @each_kind
    @pytest.mark.parametrize("payload", [None, [], {}, "text", 5, True, {"data": []}, {"code": "0"}, {"code": None}])
    def test_no_envelope(self, emulator: StartEmulator, endpoint: Endpoint, payload: Any) -> None:
        server = emulator()
        server.add_fault(Fault("misshapen", payload=payload, times=None))
        self.assert_unexpected(server, endpoint)

    @pytest.mark.parametrize(
        "payload",
        [
            None,
            {},
            {"list": []},
            "text",
            "[]",
            7,
            True,
            [None],
            ["text"],
            [[]],
            [{"callId": 1.5}],
            [{"callId": ["x"]}],
            [{"startTime": "2026-03-17 00:00:00"}],
            [{"startTime": 1.5}],
        ],
    )
    def test_call_center_data(self, emulator: StartEmulator, payload: Any) -> None:
        server = emulator(call_center_per_day=5)
        server.add_fault(Fault("data", payload=payload, times=None))
        error = self.assert_unexpected(server, CALL_CENTER_CDR)
        assert "data is misshapen" in str(error)
        assert error.request_id == server.requests[-1].request_id

    @pytest.mark.parametrize(
        "payload",
        [
            None,
            {},
            [],
            "text",
            7,
            {"list": []},
            {"totalRow": 0, "list": []},
            {"totalPage": 0, "list": []},
            {"totalRow": 0, "totalPage": 0},
            {"totalRow": None, "totalPage": 0, "list": []},
            {"totalRow": "0", "totalPage": "0", "list": []},
            {"totalRow": -1, "totalPage": 0, "list": []},
            {"totalRow": 0, "totalPage": -1, "list": []},
            {"totalRow": 1, "totalPage": 1, "list": None},
            {"totalRow": 1, "totalPage": 1, "list": {}},
            {"totalRow": 1, "totalPage": 1, "list": [None]},
            {"totalRow": 1, "totalPage": 1, "list": [{"id": 1.5}]},
            {"totalRow": 1, "totalPage": 1, "list": [{"startTime": 1690442492841}]},
        ],
    )
    def test_did_data(self, emulator: StartEmulator, payload: Any) -> None:
        server = emulator(did_per_day=5)
        server.add_fault(Fault("data", payload=payload, times=None))
        assert "data is misshapen" in str(self.assert_unexpected(server, DID_CDR))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b'\xef\xbb\xbf{"code":0,"data":[]}',
            '{"code":0,"data":[{"agentName":"José"}]}'.encode("latin-1"),
            '{"code":0,"data":[]}'.encode("utf-16"),
            b'{"code":0,"data":[{"agentName":"two\nlines"}]}',
            b'{"code":0,"data":[{"agentName":"\\x"}]}',
            b'{"code":0,"data":[{"price":01}]}',
            b'{"code":0,"data":[{"price":NaN}]}',
            b'{"code":0,"data":[{},]}',
            b'{"code":0,"data":[]}{"code":0,"data":[]}',
            b'{"code":0,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        ],
    )
    def test_broken_text(self, rude: StartRude, body: bytes) -> None:
        self.assert_unexpected(rude(http(body)), CALL_CENTER_CDR)

    @each_kind
    @pytest.mark.parametrize("kind", ["not_json", "truncate_json", "truncate", "reset", "close"])
    def test_one_bad_answer_is_made_good(self, emulator: StartEmulator, endpoint: Endpoint, kind: Any) -> None:
        server = emulator(call_center_per_day=20, did_per_day=20)
        server.add_fault(Fault(kind))
        assert len(fetch(client_of(server), endpoint).records) == 20


class TestSecrecy:
    """The fixture ``logs`` and the helper ``failure`` look for secrets in all tests; here is what they look at."""

    def test_debug_logs_are_heard(self, emulator: StartEmulator, logs: Ear) -> None:
        fetch(client_of(emulator()))
        assert logs.heard("urllib3.connectionpool DEBUG") >= 2

    def test_retries_are_logged_with_their_cause(self, emulator: StartEmulator, logs: Ear) -> None:
        server = emulator()
        server.add_fault(Fault("error_code", code=88, message="for 85200001234", times=2))
        fetch(client_of(server))
        assert logs.heard("Attempt 1 of 5 failed") == logs.heard("Attempt 2 of 5 failed") == 1
        assert not logs.heard("8520")

    def test_signatures_are_the_right_ones_to_look_for(self, emulator: StartEmulator) -> None:
        server = emulator()
        fetch(client_of(server))
        (request,) = server.requests
        assert request.headers["sign"] == signature(
            request.headers, b'{"startTime":1773676800,"endTime":1773763200,"size":100,"page":1}', server.access_secret
        )

    def test_a_client_does_not_show_its_keys(self, emulator: StartEmulator) -> None:
        server = emulator()
        client = client_of(server)
        assert server.access_key not in repr(client)
