"""Run an operator in a process of its own, as Airflow does, so that it can be ended."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import get_temp_dir
from typing import Any

import s3fs  # type: ignore[import-untyped]  # noqa: F401 - imported once, for all the processes

from airflow_provider_nxcloud.operators.cdr import NXCloudCallCenterCdrOperator
from airflow_provider_nxcloud.storage import commit

LONGEST_SECONDS = 60
#: Imports this module once; each process is a fork of that.
_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def prepare() -> None:
    """Make, in the temporary folder of now, what all the processes share."""
    get_temp_dir()


class TerminatedError(BaseException):
    """Stands for the one with which Airflow 2 ends a task."""


@dataclass
class Run:
    """An operator that runs in a process of its own."""

    process: BaseProcess
    _results: Connection

    def end(self, number: signal.Signals) -> Any:
        """Send the signal, and return what came of it."""
        os.kill(self.process.pid or 0, number)
        return self.result()

    def result(self) -> Any:
        """Wait for its end; return the manifest or the exception, None where the process could give neither."""
        self.process.join(LONGEST_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            raise TimeoutError("the task does not end")
        try:
            return self._results.recv()
        except EOFError:
            return None


def start(options: dict[str, Any], *, airflow: int | None = None, largest_file: int | None = None) -> Run:
    """
    Start the call center operator.

    :param options: its parameters
    :param airflow: version whose way to take SIGTERM the process has; None: that of the system
    :param largest_file: a limit on the size of files, in bytes
    """
    results, sender = _CONTEXT.Pipe(duplex=False)
    arguments = (options, dict(os.environ), airflow, largest_file, sender)
    process = _CONTEXT.Process(target=_run, args=arguments, daemon=True)
    process.start()
    sender.close()
    return Run(process, results)


def _run(
    options: dict[str, Any],
    environment: Mapping[str, str],
    airflow: int | None,
    largest_file: int | None,
    results: Connection,
) -> None:
    os.environ.update(environment)
    tempfile.tempdir = None
    commit.FIRST_BACKOFF_SECONDS = 0.01
    task = NXCloudCallCenterCdrOperator(task_id="fetch", **options)

    def terminate(*_: object) -> None:
        task.on_kill()
        if airflow == 2:
            raise TerminatedError

    signal.signal(signal.SIGTERM, terminate if airflow else signal.SIG_DFL)
    if largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        results.send(task.execute({}))
    except BaseException as error:
        results.send(error)
        sys.exit(1)
