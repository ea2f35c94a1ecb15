"""Write docs/fields.md from the package's table of fields."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_nxcloud.api.endpoints import ENDPOINTS, Endpoint
from airflow_provider_nxcloud.api.records import EXTRA_FIELD, Field
from airflow_provider_nxcloud.storage.parquet import parquet_schema

PAGE = Path(__file__).with_name("fields.md")

_HEAD = """\
# Fields

<!-- Made by docs/generate_fields.py from airflow_provider_nxcloud/api/records.py: change that, then run it. -->

The columns of CSV and Parquet files, in their order, under the names that NXCloud gives them. Every column may be null:
a field that a record lacks, or has as `null`, is null. JSON Lines holds each record as it came, fields that are not
listed here included. How each type looks in each format is told in [output.md](output.md). What is marked as personal
tells of a person, or may: these fields are the `PERSONAL_FIELDS` of [security.md](security.md#personal-data).
"""
_TABLE_HEAD = """\
| field | type | in Parquet | unit | personal | meaning |
| --- | --- | --- | --- | --- | --- |
"""


def fields_page() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD, *map(_section, ENDPOINTS)])


def _section(endpoint: Endpoint) -> str:
    return f"## {endpoint.title} (`{endpoint.kind}`)\n\n{_table(endpoint.fields)}"


def _table(fields: tuple[Field, ...]) -> str:
    schema = parquet_schema(fields, {})
    rows = (_row(field, str(schema.field(field.name).type)) for field in (*fields, EXTRA_FIELD))
    return _TABLE_HEAD + "".join(rows)


def _row(field: Field, stored: str) -> str:
    codes = ", ".join(f"{code} {meaning}" for code, meaning in enumerate(field.codes))
    meaning = f"{field.meaning}: {codes}" if codes else field.meaning
    personal = "yes" if field.personal else ""
    return f"| `{field.name}` | {field.type.value} | `{stored}` | {field.unit} | {personal} | {meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(fields_page(), encoding="utf-8")
