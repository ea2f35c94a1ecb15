"""A process that heeds no signal, with the like in a session of its own, whose parent has ended."""

from __future__ import annotations

import signal
import subprocess
import sys

GENERATIONS = 3


def main(generation: int = 1) -> None:
    """Say so on standard output when all are there, and stay for ever."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if generation == GENERATIONS:
        print("ready", flush=True)
    else:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.demo.stubborn", str(generation + 1)], start_new_session=True
        )
        if generation == GENERATIONS - 1:
            return  # its child is an orphan from now on
        child.wait()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
