"""What tells the workers of one machine apart: `[core] hostname_callable`."""

import os

VARIABLE = "SYSTEM_TEST_WORKER"


def worker_name() -> str:
    """Return the name of the worker that this process belongs to."""
    return os.environ.get(VARIABLE, "no-worker")
