"""Object stores that run on the loopback interface, and a link to them that can stall and break."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Lock, Thread
from urllib.error import URLError
from urllib.request import urlopen

HOST = "127.0.0.1"
BUCKET = "landing"
START_SECONDS = 30
#: SeaweedFS listens on each port and on the one so much above.
SECOND_PORT_OFFSET = 10_000
#: Below the range from which systems give out ports by themselves.
PORTS = range(11_000, 22_000)

#: Runs a program until the pipe to it is closed, which it is however the tests end.
KILLED_WITH_US = '"$@" & read -r _; kill -KILL $!; wait'

#: Keys of the store: name, secret, and what each may do.
KEYS = {
    "writer": ("writer-key", "writer-secret", ["Admin", "Read", "Write", "List"]),
    "reader": ("reader-key", "reader-secret", ["Read", "List"]),
    "write_only": ("write-only-key", "write-only-secret", ["Write"]),
}


def free_ports(count: int) -> list[int]:
    """Return ports that are free, and so are those ``SECOND_PORT_OFFSET`` above."""
    with ExitStack() as bound:
        ports: list[int] = []
        while len(ports) < count:
            port = random.choice(PORTS)
            with suppress(OSError):
                for number in (port, port + SECOND_PORT_OFFSET):
                    bound.enter_context(closing(socket.socket())).bind((HOST, number))
                ports.append(port)
        return ports


class S3Server:
    """
    SeaweedFS, a real S3 server, in a process of its own.

    :param folder: for its data; what it holds outlives :meth:`kill`
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = dict(zip(("s3", "master", "volume", "filer", "admin"), free_ports(5), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        identities = [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for name, (key, secret, actions) in KEYS.items()
        ]
        (folder / "data").mkdir()
        (folder / "identities.json").write_text(json.dumps({"identities": identities}))

    @property
    def port(self) -> int:
        """Port of the S3 interface."""
        return self._ports["s3"]

    @property
    def url(self) -> str:
        """Endpoint of the S3 interface."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        arguments = [
            "mini",
            f"-dir={self._folder / 'data'}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={self._folder / 'identities.json'}",
            "-s3.autoCreateBucket=false",
            f"-bucket={BUCKET}",
            f"-filer.localSocket={self._folder / 'filer.sock'}",
            f"-s3.localSocket={self._folder / 's3.sock'}",
            *(f"-{name}.port={port}" for name, port in self._ports.items()),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", KILLED_WITH_US, "sh", Path(sysconfig.get_path("scripts"), "weed"), *arguments],
                stdin=subprocess.PIPE,
                cwd=self._folder,
                env={**os.environ, "TMPDIR": str(self._folder)},  # for its logs
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, f"SeaweedFS did not start; see {self._folder / 'log'}")

    def _is_ready(self) -> bool:
        with suppress(URLError, OSError), urlopen(f"{self.url}/healthz", timeout=1) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200) and self._takes_objects()
        return False

    def _takes_objects(self) -> bool:
        """Return whether all parts of it are up: it answers before that."""
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        key, secret, _ = KEYS["writer"]
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=2),
        )
        with closing(client), suppress(BotoCoreError, ClientError):
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
            return bool(client.get_object(Bucket=BUCKET, Key="ready")["Body"].read() == b"ready")
        return False

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is None:
            return
        self._process.communicate()
        self._process = None
        for port in self._ports.values():  # it puts some of its sockets there, whatever it is told
            for left in Path("/tmp").glob(f"seaweedfs-*-{port + SECOND_PORT_OFFSET}.sock"):  # noqa: S108
                left.unlink()

    def connection(self, identity: str = "writer", *, url: str | None = None, **login: str) -> str:
        """
        Return an Airflow connection to it, as JSON text.

        :param identity: one of ``KEYS``
        :param url: of a :class:`Link` in between
        :param login: ``login`` and ``password`` other than the identity's
        """
        key, secret, _ = KEYS[identity]
        extra = {
            "endpoint_url": url or self.url,
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"max_attempts": 0}, "connect_timeout": 5, "read_timeout": 30},
        }
        return json.dumps({"conn_type": "aws", "login": key, "password": secret, "extra": extra, **login})


@contextmanager
def running_s3_server(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS; it is ended whatever happens."""
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Link:
    """
    A relay to a store's port, in which an upload can be held in the middle, and cut.

    :param port: the store's
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = Lock()
        self._left: int | None = None
        self._sockets: list[socket.socket] = []
        #: Set when an upload is held.
        self.held = Event()
        self._released = Event()
        self._released.set()
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def hold_after(self, size: int) -> None:
        """Let so many bytes more go to the store, then hold."""
        self.held.clear()
        self._released.clear()
        self._left = size

    def release(self) -> None:
        """Let all bytes pass."""
        self._left = None
        self._released.set()

    def cut(self) -> None:
        """Break all connections; new ones pass."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.release()

    def close(self) -> None:
        """Break all connections, and take no more."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                store = socket.create_connection((HOST, self._port))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._sockets += [client, store]
            Thread(target=self._serve, args=(client, store), daemon=True).start()

    def _serve(self, client: socket.socket, store: socket.socket) -> None:
        with client, store:
            answers = Thread(target=self._relay, args=(store, client, lambda size: None), daemon=True)
            answers.start()
            self._relay(client, store, self._count)
            answers.join()

    def _count(self, size: int) -> None:
        with self._lock:
            if self._left is not None:
                self._left -= size
            hold = self._left is not None and self._left <= 0
        if hold:
            self.held.set()
            self._released.wait()

    @staticmethod
    def _relay(source: socket.socket, drain: socket.socket, count: Callable[[int], None]) -> None:
        with suppress(OSError):
            while data := source.recv(16_384):
                count(len(data))
                drain.sendall(data)
        for end in (source, drain):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def wait_until(condition: Callable[[], bool], failure: str, seconds: float = START_SECONDS) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(failure)
        time.sleep(0.02)
