"""One HTTP exchange: where it may go, how long and how large it may be, what may be in its way."""

from __future__ import annotations

import gzip
import shutil
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_nxcloud.api import transport
from airflow_provider_nxcloud.api.client import NXCloudClient
from airflow_provider_nxcloud.api.errors import NXCloudTransportError, NXCloudUnexpectedResponseError
from airflow_provider_nxcloud.api.transport import Answer, Transport, checked_base_url
from tests.api.conftest import Ear, RudeServer, assert_no_secret, client_of, examples, failure, fetch, http
from tests.emulator import Emulator, Fault

StartRude = Callable[[bytes], RudeServer]
StartEmulator = Callable[..., Emulator]

MOMENT = datetime(2026, 3, 17, 12, tzinfo=UTC)


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("https://api2.nxcloud.com", "https://api2.nxcloud.com"),
            (" https://api2.nxcloud.com/ ", "https://api2.nxcloud.com"),
            ("api2.nxcloud.com", "https://api2.nxcloud.com"),
            ("HTTPS://gateway.example.com:8443/prefix/", "https://gateway.example.com:8443/prefix"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://127.1.2.3:1", "http://127.1.2.3:1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("localhost:8080", "https://localhost:8080"),
        ],
    )
    def test_is_completed(self, url: str, expected: str) -> None:
        assert checked_base_url(url) == expected

    @pytest.mark.parametrize(
        "url",
        [
            "http://api2.nxcloud.com",
            "http://localhost.example.com",
            "http://127.0.0.1.example.com",
            "http://0.0.0.0",
            "http://192.0.2.1",
            "http://[2001:db8::1]",
            "ftp://localhost",
            "file:///etc/hosts",
        ],
    )
    def test_must_be_https_unless_loopback(self, url: str) -> None:
        with pytest.raises(ValueError, match="https"):
            checked_base_url(url)

    @pytest.mark.parametrize("url", ["", "https://", "https://host?x=1", "https://host#x", "https://[::1", "//host:x"])
    def test_must_be_a_url(self, url: str) -> None:
        with pytest.raises(ValueError, match="is not the URL of a gateway"):
            checked_base_url(url)

    @pytest.mark.parametrize(
        "url", ["https://me:mine@host", "https://mine@host", "me:mine@host", "https://me:mi/ne@host"]
    )
    def test_must_not_hold_credentials_and_does_not_repeat_them(self, url: str) -> None:
        with pytest.raises(ValueError, match="host") as caught:
            checked_base_url(url)
        assert "mi" not in str(caught.value)

    def test_scheme_is_checked_by_the_client(self) -> None:
        with pytest.raises(ValueError, match="must be an https:// URL"):
            Transport("http://api2.nxcloud.com")


class TestSettings:
    @pytest.mark.parametrize("timeout", [0, -1, 3601, float("inf"), float("nan")])
    def test_timeout_is_bounded(self, timeout: float) -> None:
        with pytest.raises(ValueError, match="timeout must be above 0 and at most 3600 seconds"):
            Transport("https://localhost", timeout=timeout)

    @pytest.mark.parametrize("verify", [False, "", None])
    def test_verify_cannot_be_switched_off(self, verify: bool | str) -> None:
        with pytest.raises(ValueError, match="verify cannot be switched off"):
            Transport("https://localhost", verify=verify)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        """Return a certificate for 127.0.0.1 that only who is told to can trust, with its key beside it."""
        certificate = tmp_path / "certificate.pem"
        options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        files = ["-out", str(certificate), "-keyout", str(tmp_path / "key.pem")]
        command = ["openssl", "req", *options, "-addext", "subjectAltName=IP:127.0.0.1", *files]
        subprocess.run(command, check=True, capture_output=True)
        return certificate

    @pytest.fixture
    def server(self, rude: StartRude, certificate: Path) -> RudeServer:
        server = rude(http(b'{"code":0,"data":[]}'))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        return server

    @pytest.fixture(autouse=True)
    def _no_bundle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)

    def client(self, server: RudeServer, host: str = "127.0.0.1", **options: Any) -> NXCloudClient:
        port = server.server_address[1]
        return client_of(server, base_url=f"https://{host}:{port}", max_attempts=1, **options)

    def test_nobody_is_trusted_unchecked(self, server: RudeServer) -> None:
        error = failure(self.client(server))
        assert isinstance(error, NXCloudTransportError)
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        assert server.requests == 0

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_environment_cannot_switch_it_off(
        self, server: RudeServer, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, "")
        assert isinstance(failure(self.client(server)), NXCloudTransportError)
        assert server.requests == 0

    def test_a_bundle_of_the_caller_is_trusted(self, server: RudeServer, certificate: Path) -> None:
        assert fetch(self.client(server, verify=str(certificate))).records == []

    def test_a_bundle_of_the_environment_is_trusted(
        self, server: RudeServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert fetch(self.client(server)).records == []

    def test_the_name_is_checked(self, server: RudeServer, certificate: Path) -> None:
        error = failure(self.client(server, "localhost", verify=str(certificate)))
        assert isinstance(error, NXCloudTransportError)
        assert server.requests == 0


class TestProxies:
    TARGET = "http://127.0.0.2:9"

    @pytest.fixture(autouse=True)
    def _no_exceptions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)

    def test_of_the_environment_are_used(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        server = emulator()
        monkeypatch.setenv("http_proxy", server.url)
        transport = Transport(self.TARGET, timeout=5)
        assert transport.post("/some/path", {}, b"{}").status == 404
        assert [request.endpoint for request in server.requests] == [f"{self.TARGET}/some/path"]

    def test_of_the_caller_come_first(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        server, other = emulator(), emulator()
        monkeypatch.setenv("http_proxy", other.url)
        transport = Transport(self.TARGET, timeout=5, proxies={"http": server.url})
        assert transport.post("/some/path", {}, b"{}").status == 404
        assert (len(server.requests), len(other.requests)) == (1, 0)

    def test_credentials_stay_out_of_errors(self, emulator: StartEmulator) -> None:
        server = emulator()
        client = client_of(server, max_attempts=1, proxies={"http": "http://me:emulator-access-key@127.0.0.1:9"})
        assert isinstance(failure(client), NXCloudTransportError)
        assert server.requests == []


def test_netrc_is_not_read(emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\ndefault login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = emulator()
    fetch(client_of(server))
    assert "authorization" not in server.requests[0].headers


def test_connections_are_kept_alive(emulator: StartEmulator, logs: Ear) -> None:
    client = client_of(emulator())
    for _ in range(5):
        fetch(client)
    assert logs.heard("Starting new HTTP connection") == 1


class TestUnreadableAnswers:
    """Each ends as an error of its own, never as an answer."""

    @pytest.mark.parametrize("kind", ["close", "reset", "truncate"])
    def test_cut_short(self, emulator: StartEmulator, kind: str) -> None:
        server = emulator(call_center_per_day=50)
        server.add_fault(Fault(kind, times=None))  # type: ignore[arg-type]
        error = failure(client_of(server, max_attempts=2))
        assert isinstance(error, NXCloudTransportError)
        assert f"No whole answer from {server.url}" in str(error)
        assert len(server.requests) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.9\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"code":0}\r\n',
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"code":0}',
            http(b"not compressed", "Content-Encoding: gzip"),
        ],
    )
    def test_broken_http(self, rude: StartRude, answer: bytes) -> None:
        assert isinstance(failure(client_of(rude(answer), max_attempts=1)), NXCloudTransportError)

    @pytest.mark.parametrize("cut", [10, 20, 30])
    def test_compressed_and_cut_short(self, rude: StartRude, cut: int) -> None:
        body = gzip.compress(b'{"code":0,"data":[]}')[:-cut]
        error = failure(client_of(rude(http(body, "Content-Encoding: gzip")), max_attempts=1))
        assert isinstance(error, NXCloudTransportError | NXCloudUnexpectedResponseError)

    def test_oversize(self, emulator: StartEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "MAX_BODY_BYTES", 100_000)
        server = emulator()
        server.add_fault(Fault("oversize", size=100_001, times=2))
        error = failure(client_of(server, max_attempts=2))
        assert isinstance(error, NXCloudUnexpectedResponseError)
        assert "larger than 100000 bytes" in str(error)
        server.add_fault(Fault("oversize", size=100_000))
        assert fetch(client_of(server)).records == []

    def test_oversize_once_unpacked(self, rude: StartRude, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "MAX_BODY_BYTES", 100_000)
        bomb = gzip.compress(b'{"code":0,"data":[],"msg":"' + b"x" * 100_000 + b'"}')
        error = failure(client_of(rude(http(bomb, "Content-Encoding: gzip")), max_attempts=1))
        assert isinstance(error, NXCloudUnexpectedResponseError)

    def test_dripping(self, emulator: StartEmulator) -> None:
        server = emulator(call_center_per_day=50)
        server.add_fault(Fault("drip", seconds=0.05, times=None))
        started = time.monotonic()
        error = failure(client_of(server, timeout=0.5, max_attempts=1))
        assert isinstance(error, NXCloudTransportError)
        assert "took longer than 4 times the timeout" in str(error)
        assert 0.8 <= time.monotonic() - started < 5

    def test_silent(self, emulator: StartEmulator) -> None:
        server = emulator(latency=30)
        error = failure(client_of(server, timeout=0.1, max_attempts=1))
        assert isinstance(error, NXCloudTransportError)
        assert "Timeout" in str(error)

    def test_nobody_there(self, emulator: StartEmulator) -> None:
        server = emulator()
        server.stop()
        error = failure(client_of(server, max_attempts=1))
        assert isinstance(error, NXCloudTransportError)
        assert "ConnectionRefusedError Connection refused" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"code":0,"data":[{"callId":"a"}]}'),
        http(gzip.compress(b'{"code":0,"data":[{"callId":"a"}]}'), "Content-Encoding: gzip"),
        http(zlib.compress(b'{"code":0,"data":[{"callId":"a"}]}'), "Content-Encoding: deflate"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'14\r\n{"code":0,"data":[{"\r\ne\r\ncallId":"a"}]}\r\n0\r\n\r\n',
        b'HTTP/1.0 200 OK\r\n\r\n{"code":0,"data":[{"callId":"a"}]}',
    ],
    ids=["plain", "gzip", "deflate", "chunked", "until the connection ends"],
)
def test_every_proper_transfer_is_read(rude: StartRude, answer: bytes) -> None:
    assert fetch(client_of(rude(answer), max_attempts=1)).facts.keys == ["a"]


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", None),
            ("0", 0.0),
            (" 7 ", 7.0),
            ("soon", None),
            ("-1", None),
            ("Tue, 17 Mar 2026 12:00:30 GMT", 30.0),
            ("Tue, 17 Mar 2026 11:00:00 GMT", 0.0),
            ("Tue, 17 Mar 2026 00:00:00 +99999999999999999999", None),
            ("Tue, 17 Mar 99999999999999999999 00:00:00 GMT", None),
        ],
    )
    def test_forms(self, text: str, expected: float | None) -> None:
        headers = {"Retry-After": text, "Date": format_datetime(MOMENT, usegmt=True)}
        assert Answer(429, headers, b"").retry_after == expected

    def test_a_date_without_the_servers_clock_counts_from_ours(self) -> None:
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
        wait = Answer(429, {"Retry-After": then}, b"").retry_after
        assert wait is not None
        assert 30 < wait <= 40

    @examples(200)
    @given(
        skew=st.integers(-(10**6), 10**6),
        seconds=st.integers(0, 10**6),
    )
    def test_a_date_counts_from_the_servers_clock(self, skew: int, seconds: int) -> None:
        now = MOMENT + timedelta(seconds=skew)
        then = now + timedelta(seconds=seconds)
        headers = {"Date": format_datetime(now, usegmt=True), "Retry-After": format_datetime(then, usegmt=True)}
        assert Answer(429, headers, b"").retry_after == seconds

    @examples(150)
    @given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\w+"))
    def test_nothing_that_a_server_says_is_fatal(self, text: str) -> None:
        wait = Answer(429, {"Retry-After": text, "Date": text}, b"").retry_after
        assert wait is None or wait >= 0


def test_secrets_are_looked_for() -> None:
    """The other tests lean on this one."""
    with pytest.raises(AssertionError):
        assert_no_secret("sign 87c3560d3331ae23f1021e2025722354")
    with pytest.raises(AssertionError):
        assert_no_secret("emulator-access-secret")
    assert_no_secret("reqId 87c3560d3331ae23f1021e2025722354")
