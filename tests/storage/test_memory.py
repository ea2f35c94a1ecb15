"""Memory does not grow with the number of records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_nxcloud.storage.parquet import PART_BYTES, ROW_GROUP_PARTS
from tests.storage.test_read_back import OUTPUTS

MIB = 1024 * 1024
#: Peak with a million records, less that with ten thousand. Ten thousand do not fill a row group of Parquet.
ALLOWED = {"jsonl": 20 * MIB, "csv": 20 * MIB, "parquet": ROW_GROUP_PARTS * PART_BYTES}


def peak(output_format: str, compression: str, count: int, path: Path) -> int:
    arguments = [output_format, compression, str(count), str(path)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.storage.write_many", *arguments], check=True, capture_output=True, text=True
    )
    return int(run.stdout.split()[-1]) * 1024


@pytest.mark.large
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("output_format", "compression"), OUTPUTS)
def test_a_million_records_take_what_ten_thousand_take(output_format: str, compression: str, tmp_path: Path) -> None:
    few, many = (peak(output_format, compression, count, tmp_path / f"{count}") for count in (10_000, 1_000_000))
    print(f"{output_format} {compression}: {few / MIB:.0f} MiB for 10 000 records, {many / MIB:.0f} MiB for 1 000 000")
    assert many - few < ALLOWED[output_format]
