"""What the events of a task's outlets tell: the manifest of the object that was written."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_nxcloud.storage.layout import object_uri

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def annotate_outlets(outlets: Iterable[Any], context: Context, output_path: str, manifest: Mapping[str, Any]) -> None:
    """
    Let each outlet's asset event carry the manifest; Airflow adds the run's partition key itself.

    :param outlets: an alias becomes the asset at ``output_path``; what is no asset has no event
    :param context: of the task
    :param output_path: as the user gave it
    :param manifest: of the object that was written
    """
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            asset = Asset(uri=object_uri(output_path.rstrip("/")))
            context["outlet_events"][outlet].add(asset, extra=_flat(manifest))
        elif _is_asset(outlet):
            context["outlet_events"][outlet].extra.update(manifest)


def _flat(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest as older Airflow takes it with an alias: it puts the values into a set."""
    return {name: value if isinstance(value, Hashable) else json.dumps(value) for name, value in manifest.items()}


def _is_asset(outlet: Any) -> bool:
    if isinstance(outlet, Asset) or not hasattr(Asset, "ref"):  # references came with Airflow 3
        return isinstance(outlet, Asset)
    from airflow.sdk.definitions.asset import AssetRef

    return isinstance(outlet, AssetRef)
