"""The provider's face: what Airflow learns of it without importing its hooks and operators."""

from __future__ import annotations

from typing import Any

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.connection import CONNECTION_TYPE, EXTRA_FIELDS, FIELD_BEHAVIOUR, HOOK_NAME


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as the entry point ``apache_airflow_provider`` promises it."""
    return {
        "package-name": "airflow-provider-nxcloud",
        "name": "NXCloud",
        "description": "Call detail records of the NXCloud cloud telephony platform",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": "NXCloud",
                "external-doc-url": "https://www.nxcloud.com",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": "NXCloud", "python-modules": ["airflow_provider_nxcloud.hooks.nxcloud"]}],
        "operators": [{"integration-name": "NXCloud", "python-modules": ["airflow_provider_nxcloud.operators.cdr"]}],
        "extra-links": ["airflow_provider_nxcloud.links.NXCloudObjectLink"],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": "airflow_provider_nxcloud.hooks.nxcloud.NXCloudHook",
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": FIELD_BEHAVIOUR,
                "conn-fields": EXTRA_FIELDS,
            }
        ],
    }
