"""The page of fields is what the table of fields says."""

from __future__ import annotations

from docs.generate_fields import PAGE, fields_page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == fields_page(), "run python docs/generate_fields.py"
