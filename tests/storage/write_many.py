"""Write so many invented records in a process of its own, and tell the most memory that it held: see test_memory."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_nxcloud.api.endpoints import CALL_CENTER_CDR
from airflow_provider_nxcloud.api.records import RecordReader
from airflow_provider_nxcloud.storage.formats import output_format
from airflow_provider_nxcloud.storage.writers import record_writer
from tests.conftest import DAY, ZONE
from tests.emulator import generate_call_center_cdrs
from tests.emulator.encoding import encode

BATCH_RECORDS = 400
PATTERNS = 2000


def batches(count: int) -> Iterator[list[bytes]]:
    """Yield records that all differ, made from a few."""
    patterns = [
        encode(record | {"callId": "%s"}).encode().replace(b"%", b"%%").replace(b'"%%s"', b'"%032x"') + b"\n"
        for record in generate_call_center_cdrs(DAY, PATTERNS)
    ]
    for start in range(0, count, BATCH_RECORDS):
        yield [
            patterns[number % PATTERNS] % (number * 0x9E3779B97F4A7C15)
            for number in range(start, min(start + BATCH_RECORDS, count))
        ]


def main(name: str, compression: str, count: str, path: str) -> None:
    """Write the records, and print the peak of resident memory in KiB, as Linux tells it."""
    output = output_format("/landing", name, compression)
    with (
        io.FileIO(Path(path), "w") as file,
        record_writer(file, output, RecordReader(CALL_CENTER_CDR, ZONE)) as writer,
    ):
        for batch in batches(int(count)):
            writer.write(b"".join(batch))
    # Not ru_maxrss: after fork and exec that begins with the peak of the process which did so.
    (peak,) = re.findall(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    print(peak)


if __name__ == "__main__":
    main(*sys.argv[1:])
