"""Write docs/operators.md from the operators' docstrings and signatures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_nxcloud.operators import cdr
from airflow_provider_nxcloud.operators.base import NXCloudCdrOperator

PAGE = Path(__file__).with_name("operators.md")

OPERATORS: list[type[NXCloudCdrOperator]] = [
    each for each in vars(cdr).values() if inspect.isclass(each) and each.__module__ == cdr.__name__
]
SECTIONS = {NXCloudCdrOperator: "All operators"} | {each: f"Filters of `{each.__name__}`" for each in OPERATORS}

_HEAD = """\
# Operators

<!-- Made by docs/generate_operators.py from the operators' docstrings: change these, then run make docs. -->

`NXCloudCallCenterCdrOperator` fetches call center records, `NXCloudDidCdrOperator` DID records; both are in
`airflow_provider_nxcloud.operators.cdr`. All parameters are keyword-only; those of every Airflow operator (`task_id`,
`retries`, `outlets`, `pool`, ...) come in addition. Templated ones take Jinja templates.

The task returns the object's manifest ([output.md](output.md)), or the records where there is no `output_path`.
"""
_TABLE_HEAD = """\
| parameter | default | templated | meaning |
| --- | --- | --- | --- |
"""
_TEMPLATED = " (templated)"
#: What Airflow's configuration decides: the value here would be that of whoever writes the page.
_DEFAULTS = {"deferrable": "`[operators] default_deferrable`"}


def operators_page() -> str:
    """Return the page's text."""
    return "\n".join([_HEAD, *(_section(title, operator) for operator, title in SECTIONS.items())])


def _section(title: str, operator: type[NXCloudCdrOperator]) -> str:
    return f"## {title}\n\n{_TABLE_HEAD}{''.join(_rows(operator))}"


def _rows(operator: type[NXCloudCdrOperator]) -> Iterator[str]:
    meanings = documented_parameters(operator)
    for name, default in _own_parameters(operator).items():
        templated = "yes" if name in operator.template_fields else ""
        meaning = meanings[name].replace(_TEMPLATED, "").replace("``", "`").replace("|", "\\|")
        yield f"| `{name}` | {_DEFAULTS.get(name, f'`{default!r}`')} | {templated} | {meaning} |\n"


def _own_parameters(operator: type[NXCloudCdrOperator]) -> Mapping[str, Any]:
    """Return the parameters that a class itself defines, with their defaults."""
    parameters = inspect.signature(vars(operator)["__init__"]).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def documented_parameters(operator: type[NXCloudCdrOperator]) -> dict[str, str]:
    """Return the parameters that a class's docstring describes, and how."""
    found = re.findall(r"^:param (\w+): (.*?)(?=^:|^\s*$|\Z)", inspect.getdoc(operator) or "", re.DOTALL | re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text).strip() for name, text in found}


if __name__ == "__main__":
    PAGE.write_text(operators_page(), encoding="utf-8")
