"""The generated pages are what the package says, and what it says of itself is whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator
from docs import generate_errors, generate_fields, generate_operators
from docs.generate_operators import SECTIONS, documented_parameters
from tests.compat import COMBINATIONS
from tests.demo.processes import REPOSITORY


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (generate_errors, generate_errors.errors_page),
        (generate_fields, generate_fields.fields_page),
        (generate_operators, generate_operators.operators_page),
    ],
)
def test_the_page_is_up_to_date(module: ModuleType, text: Callable[[], str]) -> None:
    page: Path = module.PAGE
    assert page.read_text(encoding="utf-8") == text(), "run make docs"


@pytest.mark.parametrize("operator", SECTIONS)
def test_every_parameter_is_described(operator: type[NXCloudCdrOperator]) -> None:
    described = documented_parameters(operator)
    parameters = inspect.signature(vars(operator)["__init__"]).parameters.values()
    own = [each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    assert list(described) == own
    assert {name for name in own if "(templated)" in described[name]} == set(operator.template_fields) & set(own)


def test_the_readme_names_what_is_tested() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (releases,) = (line for line in readme.splitlines() if line.startswith("| Airflow |"))
    (pythons,) = (line for line in readme.splitlines() if line.startswith("| Python |"))
    assert not {each.airflow for each in COMBINATIONS if each.airflow not in releases}
    assert {COMBINATIONS[0].python, COMBINATIONS[-1].python} <= set(pythons.replace("|", " ").split())
