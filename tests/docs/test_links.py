"""Every link leads somewhere, and every page is linked to."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.demo.processes import REPOSITORY
from tests.docs.pages import Page, pages

#: Other sites that the pages name.
KNOWN_HOSTS = {"www.nxcloud.com", "keepachangelog.com", "semver.org"}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links(page: Page) -> None:
    assert not [link for link in page.links if not leads_somewhere(page, link)]


def leads_somewhere(page: Page, link: str) -> bool:
    url = urlsplit(link)
    if url.scheme:
        return url.scheme == "https" and url.hostname in KNOWN_HOSTS
    target = page.path.parent / url.path if url.path else page.path
    if not url.fragment:
        return target.exists()
    return target.is_file() and url.fragment in Page(target.resolve()).anchors


@pytest.mark.parametrize("link", ["docs/nowhere.md", "docs/completeness.md#nowhere", "#nowhere", "http://semver.org"])
def test_a_broken_link_is_found(link: str) -> None:
    assert not leads_somewhere(Page(REPOSITORY / "README.md"), link)


def test_the_readme_leads_to_every_page() -> None:
    readme = Page(REPOSITORY / "README.md")
    linked = {(REPOSITORY / urlsplit(link).path).resolve() for link in readme.links if not urlsplit(link).scheme}
    assert not {page.path for page in pages()} - linked - {readme.path}
