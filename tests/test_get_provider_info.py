"""The provider as Airflow sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_nxcloud import __version__
from airflow_provider_nxcloud.connection import EXTRA_FIELDS
from airflow_provider_nxcloud.get_provider_info import get_provider_info
from airflow_provider_nxcloud.hooks.nxcloud import NXCloudHook


def schema(name: str) -> Any:
    return json.loads(files("airflow").joinpath(name).read_text())


def test_valid_by_airflows_own_schema() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_the_form_is_valid_by_the_schema_of_provider_descriptions() -> None:
    connection_types = schema("provider.yaml.schema.json")["properties"]["connection-types"]
    jsonschema.validate(get_provider_info()["connection-types"], connection_types)


def test_the_entry_point_leads_here() -> None:
    (found,) = (entry for entry in entry_points(group="apache_airflow_provider") if "nxcloud" in entry.value)
    assert found.load()() == get_provider_info()


def test_the_hook_tells_the_same_form_to_airflow_before_3_2() -> None:
    behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
    assert NXCloudHook.get_ui_field_behaviour() == {name.replace("-", "_"): value for name, value in behaviour.items()}


def test_the_hooks_form_fields() -> None:
    pytest.importorskip("flask_appbuilder", reason="the form of Airflow 2")
    widgets = NXCloudHook.get_connection_form_widgets()
    assert list(widgets) == list(EXTRA_FIELDS)
    assert [name for name, field in widgets.items() if field.field_class.__name__ == "PasswordField"] == [
        "redaction_key"
    ]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("list", {"package_name": "airflow-provider-nxcloud", "version": __version__}),
        ("hooks", {"connection_type": "nxcloud", "package_name": "airflow-provider-nxcloud"}),
    ],
)
def test_airflows_command_line_shows_it(command: str, expected: dict[str, str]) -> None:
    airflow = str(Path(sys.executable).with_name("airflow"))
    output = subprocess.run(
        [airflow, "providers", command, "--output", "json"], capture_output=True, text=True, check=True
    ).stdout
    rows = json.loads(output[output.index("[{") :])
    assert any(expected.items() <= row.items() for row in rows)


def test_a_dag_file_loads_nothing_heavy() -> None:
    code = (
        "import sys; import airflow_provider_nxcloud.operators.cdr as m; "
        "print([name for name in ('requests', 'pyarrow', 'pandas', 'fsspec') if name in sys.modules])"
    )
    # What Airflow itself loads does not count.
    base = (
        "import sys; from airflow.providers.common.compat.sdk import BaseHook, BaseOperator, Asset; "
        "print([name for name in ('requests', 'pyarrow', 'pandas', 'fsspec') if name in sys.modules])"
    )
    ours, airflows = (
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        for text in (code, base)
    )
    assert ours == airflows
