"""Write docs/errors.md from the exceptions' docstrings and remedies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow_provider_nxcloud.api.errors import NXCloudError
from airflow_provider_nxcloud.storage.errors import StorageError

PAGE = Path(__file__).with_name("errors.md")

_HEAD = """\
# Errors

<!-- Made by docs/generate_errors.py from the exceptions' docstrings and remedies: change these, then run make docs. -->

Every message names what happened, where, and what to do, and holds no credential and no phone number. Nothing is
written when a task fails: an earlier object of the interval stays as it was.

- **Permanent** failures become `AirflowFailException`: the task fails at once, and no retry is spent on what it
  cannot help.
- **Transient** ones of NXCloud are tried again within the task (5 attempts and 60 s of back-off a request, each
  signed anew; a `Retry-After` is honoured), those of a store likewise (5 attempts). What stays is raised under its
  own name and left to the task's `retries`.

## NXCloud

In `airflow_provider_nxcloud.api.errors`, all subclasses of `NXCloudError`, with the attributes `code`, `request_id`,
`endpoint` and `retry_after`.

"""
_STORAGE_HEAD = """\
## Storage

In `airflow_provider_nxcloud.storage.errors`, all subclasses of `StorageError`. The message names the place and its
Connection, what the driver said, and what to do.

"""
_REST = """\
## Airflow's own

| exception | cause | what to do | retried |
| --- | --- | --- | --- |
| `AirflowFailException` | a permanent failure of the tables above; a wrong parameter or Connection; a format or store \
whose library is not installed; a value that does not fit its column; a run without an interval; records larger than \
`max_xcom_bytes` | what the message says | no |
| `AirflowException` | the interval has not ended | run the task later, or set `settle` | by the task's `retries` |
| `AirflowSkipException` | `skip_if_empty=True`, and the interval holds no record | nothing: the task is skipped | no |
"""


def errors_page() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD + _nxcloud_table(), _STORAGE_HEAD + _storage_table(), _REST])


def _nxcloud_table() -> str:
    head = "| exception | cause | what to do | transient |\n| --- | --- | --- | --- |\n"
    return head + "".join(
        f"| `{error.__name__}` | {_cause(error)} | {error.remedy} | {_yes(error.transient)} |\n"
        for error in _subclasses(NXCloudError)
    )


def _storage_table() -> str:
    head = "| exception | cause | transient |\n| --- | --- | --- |\n"
    return head + "".join(
        f"| `{error.__name__}` | {_cause(error)} | {_yes(error.transient)} |\n" for error in _subclasses(StorageError)
    )


def _subclasses(base: type[Exception]) -> Iterator[type]:
    return (error for error in base.__subclasses__() if error.__module__ == base.__module__)


def _cause(error: type[Exception]) -> str:
    return (error.__doc__ or "").strip().rstrip(".").replace("``", "`")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    PAGE.write_text(errors_page(), encoding="utf-8")
