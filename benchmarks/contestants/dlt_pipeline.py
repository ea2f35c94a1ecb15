"""dlt: its REST client with a paginator and an authentication of our own, to the ``filesystem`` destination."""

from __future__ import annotations

from typing import Any

import dlt
from dlt.sources.helpers.rest_client.client import RESTClient
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from benchmarks.jobs import Job
from benchmarks.nxcloud import SigningAuth


class _Paginator(BasePaginator):
    def __init__(self, page_size: int) -> None:
        super().__init__()
        self._page_size = page_size
        self._page = 1

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        self._page += 1
        self._has_next_page = len(data or []) == self._page_size

    def update_request(self, request: Request) -> None:
        body: Any = request.json
        request.json = {**body, "page": self._page}


def fetch(job: Job) -> None:
    """Run a pipeline."""
    kind = job.kind
    client = RESTClient(
        job.url,
        auth=SigningAuth(kind),
        paginator=_Paginator(kind.page_size),
        data_selector=".".join(kind.data_path),
    )
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(job.folder / "pipelines"),
        destination=dlt.destinations.filesystem(str(job.folder / "dlt")),
        dataset_name="cdr",
    )
    pages = client.paginate(kind.path, method="POST", json=kind.query(job.start, job.end))
    pipeline.run(pages, table_name="records").raise_on_failed_jobs()
