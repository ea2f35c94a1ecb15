"""OpenLineage: from which endpoint to which object the records went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
    SchemaDatasetFacet,
    SchemaDatasetFacetFields,
)

from airflow_provider_nxcloud.api.records import EXTRA_FIELD, Field, FieldType
from airflow_provider_nxcloud.api.transport import checked_base_url
from airflow_provider_nxcloud.storage.layout import object_uri

if TYPE_CHECKING:
    from airflow_provider_nxcloud.api.endpoints import Endpoint

TABULAR_FORMATS = ("csv", "parquet")
_COLUMN_TYPES = {FieldType.EPOCH_MILLISECONDS: "timestamp", FieldType.LOCAL_TIME: "timestamp"}


def input_dataset(gateway: str, endpoint: Endpoint) -> Dataset:
    """
    Return an endpoint as a dataset.

    :param gateway: the gateway's URL, as the Connection has it
    :param endpoint: kind of records
    """
    fields = [_described(field, field.type.value) for field in endpoint.fields]
    return Dataset(checked_base_url(gateway), endpoint.path, facets={"schema": SchemaDatasetFacet(fields)})


def output_dataset(manifest: Mapping[str, Any], endpoint: Endpoint) -> OutputDataset:
    """
    Return a written object as a dataset.

    :param manifest: as the operators return it
    :param endpoint: kind of records
    """
    scheme, _, place = object_uri(manifest["path"]).partition("://")
    store, _, key = place.partition("/")
    return OutputDataset(
        f"{scheme}://{store}" if store else scheme,
        key if store else place,
        outputFacets={
            "outputStatistics": OutputStatisticsOutputDatasetFacet(manifest["records"], manifest["bytes"], fileCount=1)
        },
        facets={"schema": SchemaDatasetFacet(list(_columns(manifest, endpoint)))},
    )


def _columns(manifest: Mapping[str, Any], endpoint: Endpoint) -> Iterator[SchemaDatasetFacetFields]:
    tabular = manifest["format"] in TABULAR_FORMATS
    for field in endpoint.fields:
        if manifest["redacted"].get(field.name) == "drop" and not tabular:
            continue
        yield _described(field, _COLUMN_TYPES.get(field.type, field.type.value) if tabular else field.type.value)
    if tabular:
        yield _described(EXTRA_FIELD, EXTRA_FIELD.type.value)


def _described(field: Field, type_name: str) -> SchemaDatasetFacetFields:
    return SchemaDatasetFacetFields(field.name, type_name, field.meaning)
